#!/usr/bin/env python3
"""Measures containers: `fleet.py --shim target/shim/release/containerd-shim-ampoule-v1`. See README.md.

As root, with containerd, runc and a C compiler. containerd is one of its own, in a temporary folder; what runs in it ends with the script.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = "io.containerd.ampoule.v1"
NATIVE = '#include <unistd.h>\nint main(void) { return write(1, "hello\\n", 6) != 6; }\n'
MANIFEST, CONFIG = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"


class Machine:
    """A containerd, and what it is asked."""

    def __init__(self, shim):
        self.folder = Path(tempfile.mkdtemp(prefix="fleet-"))
        self.namespace = f"fleet-{os.getpid()}"
        config = "".join(f"{name} = \"{self.folder / name}\"\n" for name in ("root", "state"))
        config += 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n' + f"address = \"{self.folder / 'socket'}\"\n"
        (self.folder / "config.toml").write_text("version = 2\n" + config)
        # The shim's file has the name that containerd looks for.
        path = f"{shim.parent}:{os.environ['PATH']}"
        with open(self.folder / "log", "w") as log:
            command = ["containerd", "-c", self.folder / "config.toml"]
            self.daemon = subprocess.Popen(command, env=os.environ | {"PATH": path}, stdout=log, stderr=log)
        while self.ctr("version", check=False).returncode:
            time.sleep(0.05)

    def ctr(self, *arguments, check=True):
        command = ["ctr", "--address", self.folder / "socket", "--namespace", self.namespace, *arguments]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise SystemExit(f"fleet.py: ctr {' '.join(arguments)}: {done.stderr.decode()}")
        return done

    def first_byte(self, *arguments):
        """Milliseconds until a container has written something, with all that `ctr run` does before."""
        command = ["ctr", "--address", self.folder / "socket", "--namespace", self.namespace, "run", "--rm", *arguments]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        first = process.stdout.read(1)
        elapsed = time.perf_counter() - start
        process.communicate()
        if not first or process.returncode:
            raise SystemExit(f"fleet.py: {' '.join(arguments)} says nothing")
        return elapsed * 1e3

    def image(self, name, program, wasm):
        """Imports an image of one layer: a program of WebAssembly, or a file."""
        folder = self.folder / "images" / name
        (folder / "blobs/sha256").mkdir(parents=True)

        def blob(data):
            digest = hashlib.sha256(data).hexdigest()
            (folder / "blobs/sha256" / digest).write_bytes(data)
            return {"digest": f"sha256:{digest}", "size": len(data)}

        data, kind = program, "application/wasm"
        platform = {"architecture": "wasm", "os": "wasip1"} if wasm else {"architecture": "amd64", "os": "linux"}
        if not wasm:
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w") as files:
                entry = tarfile.TarInfo("program")
                entry.size, entry.mode = len(program), 0o755
                files.addfile(entry, io.BytesIO(program))
            data, kind = archive.getvalue(), "application/vnd.oci.image.layer.v1.tar"
        layer = blob(data)
        rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
        config = blob(json.dumps(platform | {"config": {"Entrypoint": ["/program"]}, "rootfs": rootfs}).encode())
        layers = [{"mediaType": kind} | layer]
        manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG} | config,
                                    "layers": layers}).encode())
        names = {"io.containerd.image.name": f"localhost/{name}:1"}
        index = {"schemaVersion": 2,
                 "manifests": [{"mediaType": MANIFEST, "platform": platform, "annotations": names} | manifest]}
        (folder / "index.json").write_text(json.dumps(index))
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        subprocess.run(["tar", "-C", folder, "-cf", f"{folder}.tar", "."], check=True)
        unpack = ["--no-unpack"] if wasm else []
        self.ctr("images", "import", "--all-platforms", *unpack, f"{folder}.tar")
        if wasm:
            # As versions of containerd from 1.7 on do it: such a layer adds no files.
            self.ctr("snapshots", "prepare", "empty")
            self.ctr("snapshots", "commit", layer["digest"], "empty")
        return f"localhost/{name}:1"

    def idle(self, image, name, pod):
        """Starts a container of a pod that nobody waits for."""
        return self.ctr("run", "--detach", "--null-io", "--runtime", RUNTIME, "--platform", "wasip1/wasm",
                        "--annotation", f"io.kubernetes.cri.sandbox-id={pod}", image, name, check=False)

    def processes(self):
        """The shims, and the processes of their containers, by whether they are shims."""
        found = {True: [], False: []}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int(re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.M).group(1))
            except (OSError, AttributeError):
                continue
            if str(self.folder / "socket").encode() in words and b"containerd-shim" in words[0]:
                of_shim = Path(f"/proc/{parent}/cmdline")
                child = of_shim.exists() and b"containerd-shim" in of_shim.read_bytes()
                found[not child].append(int(folder.name))
        return found

    def close(self):
        for process in sum(self.processes().values(), []):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.daemon.kill()
        self.daemon.wait()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if line.split()[1].startswith(str(self.folder)):
                subprocess.run(["umount", "--lazy", line.split()[1]])
        shutil.rmtree(f"/run/containerd/ampoule/{self.namespace}", ignore_errors=True)
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            folders = [path for path in (hierarchy / self.namespace).rglob("*") if path.is_dir()]
            for folder in [*sorted(folders, reverse=True), hierarchy / self.namespace]:
                if folder.is_dir():
                    try:
                        folder.rmdir()
                    except OSError:
                        pass
        shutil.rmtree(self.folder, ignore_errors=True)


def resident(processes):
    """What these have of memory, each page shared among those who have it, in MiB."""
    total = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1))
    return total / 1024


def available():
    return int(re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text()).group(1)) / 1024


def starts(machine, images, rounds):
    """The medians of starts that take turns."""
    native, module, component = images
    platform = ["--runtime", RUNTIME, "--platform", "wasip1/wasm"]
    cases = {"runc, a static program": [native], "a module": [*platform, module], "a component": [*platform, component]}
    times = {name: [] for name in cases}
    for turn in range(rounds + 2):
        for name, arguments in cases.items():
            elapsed = machine.first_byte(*arguments, f"start{turn}-{len(times[name])}-{abs(hash(name))}")
            # The first ones compile what is kept from then on, and fill caches.
            if turn >= 2:
                times[name].append(elapsed)
    base = statistics.median(times["runc, a static program"])
    for name, all_times in times.items():
        median = statistics.median(all_times)
        print(f"start to first byte, {name}: {median:.1f} ms, best {min(all_times):.1f} ms, {median / base:.2f} of runc's")


def at_once(machine, image, count):
    began = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        run = lambda n: machine.ctr("run", "--rm", "--runtime", RUNTIME, "--platform", "wasip1/wasm", image, f"once{n}",
                                    check=False)
        failed = [done for done in pool.map(run, range(count)) if done.returncode or not done.stdout]
    print(f"{count} starts at once: {len(failed)} failed, {time.perf_counter() - began:.1f} s")


def idle(machine, image, count, pod_size):
    """So many servers that nobody asks anything, in pods."""
    before, began, failed, last = available(), time.perf_counter(), 0, None
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, count, pod_size):
            pod = f"pod{start}"
            # The first of a pod makes its shim.
            failed += machine.idle(image, f"{pod}-0", pod).returncode != 0
            if start == 0:
                time.sleep(1)
                first = machine.processes()
                alone, shim = resident(first[False]), resident(first[True])
            others = range(1, min(pod_size, count - start))
            failed += sum(done.returncode != 0 for done in
                          pool.map(lambda n: machine.idle(image, f"{pod}-{n}", pod), others))
    elapsed = time.perf_counter() - began
    time.sleep(2)
    found = machine.processes()
    print(f"{count} idle servers in pods of {pod_size}: {failed} failed, {elapsed:.1f} s, {count / elapsed:.1f} a second")
    per_container = resident(found[False]) / count
    print(f"  of each container's processes: {per_container:.2f} MiB of their own and their share of others")
    print(f"  of each shim: {resident(found[True]) / len(found[True]):.2f} MiB")
    print(f"  of the machine's memory: {(before - available()) / count:.2f} MiB for each container")
    print(f"  the first container alone: {alone:.2f} MiB, its shim {shim:.2f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shim", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--pod", type=int, default=50)
    options = parser.parse_args()
    machine = Machine(options.shim.resolve())
    try:
        source = machine.folder / "hello.c"
        source.write_text(NATIVE)
        subprocess.run(["cc", "-static", "-O2", source, "-o", machine.folder / "hello"], check=True)
        guest = lambda path: (ROOT / path).read_bytes()
        native = machine.image("native", (machine.folder / "hello").read_bytes(), False)
        module = machine.image("module", guest("shim/tests/containerd/hello.wat"), True)
        component = machine.image("component", guest("benches/guests/component_hello.wat"), True)
        server = machine.image("server", guest("cli/tests/serve/guest.wat"), True)
        starts(machine, (native, module, component), options.rounds)
        at_once(machine, component, 100)
        idle(machine, server, options.idle, options.pod)
    finally:
        machine.close()


if __name__ == "__main__":
    sys.exit(main())
