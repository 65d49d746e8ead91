"""Builds what the benchmarks need into `.cache/bench`: the driver for each library, the kernels, modules of data."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parent
CACHE = ROOT / ".cache" / "bench"

DRIVER_FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall"]
# The same optimizations on both sides: no fused multiply-add, which would change results, and sqrt as an instruction.
KERNEL_FLAGS = ["-O2", "-ffp-contract=off", "-fno-math-errno"]
WASM_FLAGS = ["-target", "wasm32-freestanding", "-Wl,--no-entry", "-Wl,--export=run", "-s"]
NATIVE_FLAGS = ["-mcpu=baseline", "-fPIC", "-shared", "-s"]


class BuildError(Exception):
    pass


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(str(part) for part in command)}\n{done.stderr.strip()}")
    return done.stdout


def build_driver(side, library):
    """The driver linked with `library`. `side` keeps the two apart, since both may carry the same soname."""
    library = Path(library).resolve()
    if not library.is_file():
        raise BuildError(f"no such library: {library}")
    folder = CACHE / side
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    driver = folder / "driver"
    command = [os.environ.get("CC", "cc"), *DRIVER_FLAGS, "-I", ROOT / "c-api" / "include", "-o", driver,
               *sorted((BENCHES / "driver").glob("*.c"))]
    if library.suffix == ".a":
        command += [library, "-lpthread", "-ldl", "-lm"]
    else:
        # The loader looks for the soname, which need not be the file's name.
        found = re.search(r"SONAME.*\[(.*)\]", run(["readelf", "-d", library]))
        link = folder / (found.group(1) if found else library.name)
        link.symlink_to(library)
        command += [link, f"-Wl,-rpath,{folder}", "-ldl"]
    run(command)
    return driver


def find_zig(given=None):
    """The command of zig, which has a C compiler for WebAssembly: given, installed by `cargo xtask guests`, or on the
    path."""
    if given:
        return given.split()
    for python in (ROOT / ".cache" / "venv" / "bin" / "python", Path(sys.executable)):
        if python.exists() and subprocess.run([python, "-c", "import ziglang"], capture_output=True).returncode == 0:
            return [str(python), "-m", "ziglang"]
    zig = shutil.which("zig")
    if zig:
        return [zig]
    raise BuildError("zig is needed to compile the kernels: run `cargo xtask guests`, or `pip install ziglang`, "
                     "or name a command with --zig; "
                     "`--only` a group does without")


class Kernel:
    """One source under kernels/, with the two files made of it."""

    def __init__(self, source):
        text = source.read_text()
        self.name = source.stem
        self.source = source
        self.n = int(re.search(r"^// n: (\d+)", text, re.M).group(1))
        flags = re.search(r"^// wasm-flags: (.*)", text, re.M)
        self.wasm_flags = flags.group(1).split() if flags else []
        self.wasm = CACHE / "kernels" / f"{self.name}.wasm"
        self.native = CACHE / "kernels" / f"{self.name}.so"

    def build(self, zig):
        zig_cache = CACHE / "zig"
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(zig_cache), "ZIG_LOCAL_CACHE_DIR": str(zig_cache)}
        for output, flags in ((self.wasm, WASM_FLAGS + self.wasm_flags), (self.native, NATIVE_FLAGS)):
            command = [*zig, "cc", *KERNEL_FLAGS, *flags, "-o", str(output), str(self.source)]
            inputs = " ".join(command).encode() + self.source.read_bytes() + (self.source.parent / "kernel.h").read_bytes()
            digest = hashlib.sha256(inputs).hexdigest()
            stamp = output.with_suffix(output.suffix + ".stamp")
            if output.exists() and stamp.exists() and stamp.read_text() == digest:
                continue
            output.parent.mkdir(parents=True, exist_ok=True)
            run(command, env=environment)
            stamp.write_text(digest)


def kernels():
    return [Kernel(source) for source in sorted((BENCHES / "kernels").glob("*.c"))]


def leb128(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def build_inputs():
    """What programs work on, by the name that cases call it by: large enough that their work is what is measured."""

    def text(name, lines):
        path = CACHE / name
        path.write_text("\n".join(lines) + "\n")
        return path

    CACHE.mkdir(parents=True, exist_ok=True)
    edges = [f"  n{node} -> n{(node * step + 7) % 80};" for node in range(80) for step in (3, 11)]
    shapes = []
    for i in range(150):
        x, y, hue = i * 37 % 400, i * 91 % 400, i * 53 % 360
        shapes.append(f'<path d="M{x} {y} C{x + 60} {y - 40} {x + 90} {y + 70} {x + 20} {y + 80} Z" fill="hsl({hue},60%,50%)" opacity="0.7"/>')
        shapes.append(f'<circle cx="{y}" cy="{x}" r="{5 + i % 30}" fill="none" stroke="hsl({hue},40%,30%)" stroke-width="2"/>')
    return {
        "graph": text("graph.dot", ["digraph {", *edges, "}"]),
        "picture": text("picture.svg", ['<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400">', *shapes, "</svg>"]),
    }


def build_modules():
    """Modules that are easier counted than written, by the name that cases call them by."""

    def section(number, body):
        return bytes([number]) + leb128(len(body)) + body

    def module(name, *sections):
        path = CACHE / f"{name}.wasm"
        path.write_bytes(b"\0asm\x01\0\0\0" + b"".join(sections))
        return path

    def segment(offset, data):
        offset = bytes([offset & 127 | 128, offset >> 7 & 127 | 128, offset >> 14])  # Signed, 20 bits.
        return b"\x00\x41" + offset + b"\x0b" + leb128(len(data)) + data

    CACHE.mkdir(parents=True, exist_ok=True)
    memory = section(5, b"\x01\x00" + leb128(32))
    megabyte = bytes(1 + i % 255 for i in range(1 << 20))
    words = [segment(at * 16, b"abcd") for at in range(53_000)]
    table = b"\x70\x00" + leb128(10_000_000)
    return {
        # 1 MiB in one active segment, no byte of it zero.
        "data": module("data", memory, section(11, leb128(1) + segment(65536, megabyte))),
        "segments": module("segments", memory, section(11, leb128(len(words)) + b"".join(words))),
        "tables": module("tables", section(4, leb128(100) + table * 100)),
    }
