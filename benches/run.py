#!/usr/bin/env python3
"""Measures two libraries with the same C ABI side by side: `run.py --lib OURS --peer PEER`. See README.md.

Every case runs in a process of its own, ours and the peer's in turn, for several rounds. A case's figure is the least
of its rounds', which is what the machine can do when nothing disturbs it; file calls are the exception, see cases.py.
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import build
import cases
import report

SIDES = ("ours", "peer")
V8 = "v8"
"""Programs' cold starts and the kernels are compared with V8, too, where there is a `node`."""
V8_FLAGS = ("--no-liftoff", "--experimental-wasm-inlining", "--experimental-wasm-memory64")
"""For kernels and programs: V8's optimizing tier at once, and what its later versions do without being asked. A version that knows
a flag no longer does it always."""


class Failure(Exception):
    """A case that could not be measured; the text says why."""


class Bench:
    def __init__(self, options, drivers, scratch):
        self.drivers = drivers
        self.milliseconds = options.ms or (20 if options.quick else 40)
        self.rounds = options.rounds or (2 if options.quick else 7)
        self.slow_rounds = min(self.rounds, 1 if options.quick else 3)
        self.timeout = options.timeout
        self.scratch = scratch
        self.node = shutil.which("node")
        self.v8_flags = known_v8_flags(self.node) if self.node else []
        self.guests = {name: Path(options.guests) / f"{name}.wasm" for name in cases.GUESTS}

    def command(self, side, arguments):
        return [str(self.drivers[side]), "--ms", str(self.milliseconds), "--guests", str(build.BENCHES / "guests"),
                "--scratch", str(self.scratch), *arguments]

    def v8_command(self, arguments):
        """What does in V8's optimizing tier what the driver does with these arguments."""
        if arguments[0] == "again":
            script, arguments = "start.mjs", [str(self.scratch), *arguments[1:]]
        else:
            script, arguments = "kernel.mjs", arguments[1:]
        return [self.node, "--no-warnings", *self.v8_flags, str(build.BENCHES / script), *arguments, str(self.milliseconds)]

    def drive(self, side, arguments):
        """One process of the driver, or of what does the same in V8; its answer."""
        command = self.command(side, arguments) if side != V8 else self.v8_command(arguments)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Failure(f"{side}: no answer in {self.timeout} s")
        if done.returncode != 0:
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
            lines = done.stderr.strip().splitlines()
            raise Failure(f"{side}: {' / '.join(line.strip() for line in lines[:3]) if lines else how}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failure(f"{side}: no figures in {done.stdout[:80]!r}")

    def drive_startup(self, side, arguments):
        """Nanoseconds from before the process exists until its first line of output is here, and the most memory that it had."""
        command = self.command(side, arguments) if side != V8 else [
            self.node, "--no-warnings", str(build.BENCHES / "start.mjs"), str(self.scratch), *arguments]
        start = time.perf_counter_ns()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as process:
            timer = threading.Timer(self.timeout, process.kill)
            timer.start()
            output = os.read(process.stdout.fileno(), 64)
            spent = time.perf_counter_ns() - start
            line = output.strip()
            output += process.stdout.read()
            # Not by `process.wait`: what it used is told once.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            timer.cancel()
        if process.returncode != 0 or line != b"1":
            raise Failure(f"{side}: status {process.returncode}: {output.decode(errors='replace').strip()[:200]}")
        return {"ns": spent, "bytes": usage.ru_maxrss * 1024}


class CaseJob:
    """One case on its way: the figures of its rounds, or why there are none."""

    def __init__(self, bench, case, modules):
        self.bench, self.case, self.name, self.failure = bench, case, case.name, None
        self.rounds = {cases.MICRO: bench.rounds, cases.ONCE: 1}.get(case.kind, bench.slow_rounds)
        self.figures = {side: [] for side in SIDES}
        self.is_for_v8 = case.kind in (cases.STARTUP, cases.PROGRAM)
        self.v8, self.v8_failure = [], None if bench.node else "skipped, no node"
        if case.guest and not bench.guests[case.guest].is_file():
            self.failure = f"{bench.guests[case.guest]} is missing: run `cargo xtask guests`"
        paths = {name: str(path) for name, path in bench.guests.items()} | {name: str(path) for name, path in modules.items()}
        self.arguments = [re.sub(r"^\{(\w+)\}$", lambda found: paths[found.group(1)], part) for part in case.command]

    def round(self, number):
        drive = self.bench.drive_startup if self.case.kind == cases.STARTUP else self.bench.drive
        for side in alternate(number):
            self.figures[side].append(drive(side, self.arguments)[self.case.figure])
        if self.is_for_v8 and not self.v8_failure:
            try:
                self.v8.append(drive(V8, self.arguments)[self.case.figure])
            except Failure as failure:
                self.v8_failure = str(failure)

    def row(self):
        case = self.case
        if self.failure:
            return failed_row(case.group, case.name, case.title, case.unit, case.owed, case.budget, self.failure)
        choose = statistics.median if case.typical else min
        row = row_of(case.group, case.name, case.title, case.unit, self.figures, case.owed, case.budget, case.owed_of, choose)
        if self.is_for_v8:
            row |= {"v8": choose(self.v8) if self.v8 else None, "v8_failure": self.v8_failure}
        return row


class KernelJob:
    """One kernel on its way: its native times, and each side's times under each metering."""

    WAYS = {"ours": "5", "peer": "4"}
    """How many of the driver's ways: the last is by the baseline compiler, which 44.0.0 does not have."""

    def __init__(self, bench, kernel):
        self.bench, self.kernel, self.name, self.failure = bench, kernel, kernel.name, None
        self.rounds = bench.rounds
        self.native = []
        self.times = {side: [] for side in SIDES}
        self.cold = {side: [] for side in SIDES}
        self.v8, self.v8_failure = [], None if bench.node else "skipped, no node"

    def round(self, number):
        kernel = self.kernel
        native = self.bench.drive("ours", ["native", str(kernel.native), str(kernel.n)])
        self.native.append(native["ns"])
        for side in alternate(number):
            ways = self.WAYS[side]
            answer = self.bench.drive(side, ["kernel", str(kernel.wasm), str(kernel.n), native["checksum"], ways])
            self.times[side].append(answer)
            cold = self.bench.drive(side, ["cold", str(kernel.wasm), str(kernel.n), native["checksum"]])
            self.cold[side].append(cold["ns"])
        if not self.v8_failure:
            try:
                self.v8.append(self.bench.drive(V8, ["kernel", str(kernel.wasm), str(kernel.n), native["checksum"]])["ns"])
            except Failure as failure:
                self.v8_failure = str(failure)

    def row(self):
        if self.failure:
            return {"name": self.name, "cold": None, "native": None, "ours": None, "peer": None, "ratio": None, "to_native": None,
                    "v8": None, "to_v8": None, "v8_failure": None, "spread": {}, "failure": self.failure}
        row = kernel_row(self.name, min(self.native), self.times)
        v8 = min(self.v8) if not self.v8_failure else None
        return row | {
            "cold": {side: min(times) for side, times in self.cold.items()},
            "v8": v8, "to_v8": row["ours"]["plain"] / v8 if v8 else None, "v8_failure": self.v8_failure}


class CompileJob:
    """The compilation of one program on one core, by each compiler: ours and the peer's."""

    WAYS = (("ours", "baseline", 2), ("ours", "optimizing", 1), ("peer", "optimizing", 1))
    """With the numbers of their strategies; 44.0.0 has no other compiler."""

    def __init__(self, bench, guest, title):
        self.bench, self.name, self.title = bench, f"compile_{guest}", title
        self.path, self.rounds, self.failure = bench.guests[guest], bench.slow_rounds, None
        self.times, self.code_bytes = {way: [] for way in self.WAYS}, None
        if not self.path.is_file():
            self.failure = f"{self.path} is missing: run `cargo xtask guests`"

    def round(self, number):
        for way in self.WAYS if number % 2 == 0 else self.WAYS[::-1]:
            side, _, strategy = way
            answer = self.bench.drive(side, ["compile", str(self.path), str(strategy)])
            self.times[way].append(answer["ns"])
            self.code_bytes = answer["code_bytes"]

    def row(self):
        row = {"name": self.name, "title": self.title, "code_bytes": self.code_bytes, "failure": self.failure}
        if self.failure:
            return row
        baseline, optimizing, peer = (min(self.times[way]) for way in self.WAYS)
        return row | {"baseline": baseline, "optimizing": optimizing, "peer": peer, "ratio": baseline / optimizing}


def known_v8_flags(node):
    """Those of V8_FLAGS that this version has."""
    options = subprocess.run([node, "--v8-options"], capture_output=True, text=True).stdout
    return [flag for flag in V8_FLAGS if re.search(rf"--{flag.removeprefix('--no-').removeprefix('--')} ", options)]


def alternate(number):
    """Neither library always goes first."""
    return SIDES if number % 2 == 0 else SIDES[::-1]


def spread(values):
    """How far the median round is from the least, as a part of the least."""
    return (statistics.median(values) - min(values)) / min(values) if min(values) > 0 else 0.0


def row_of(group, name, title, unit, figures, owed, budget, owed_of="ratio", choose=min):
    ours, peer = choose(figures["ours"]), choose(figures["peer"])
    ratio = ours / peer if peer > 0 else None
    held = ratio if owed_of == "ratio" else ours
    return {
        "group": group, "name": name, "title": title, "unit": unit, "peer": peer, "ours": ours, "ratio": ratio,
        "owed": owed, "owed_of": owed_of, "budget": budget, "met": held <= owed if owed and held is not None else None,
        "spread": {side: spread(figures[side]) for side in SIDES}, "failure": None,
    }


def failed_row(group, name, title, unit, owed, budget, failure):
    return {
        "group": group, "name": name, "title": title, "unit": unit, "peer": None, "ours": None, "ratio": None,
        "owed": owed, "owed_of": "ratio", "budget": budget, "met": False if owed else None, "spread": {},
        "failure": failure,
    }


def kernel_row(name, native, times):
    least = {side: {metering: min(run[metering] for run in times[side]) for metering in times[side][0]} for side in SIDES}
    return {
        "name": name, "native": native, "ours": least["ours"], "peer": least["peer"],
        "ratio": least["ours"]["plain"] / least["peer"]["plain"], "to_native": least["ours"]["plain"] / native,
        "spread": {side: spread([run["plain"] for run in times[side]]) for side in SIDES}, "failure": None,
    }


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def kernel_summary(kernels, expected):
    """The rows that sum up the kernels: speed against the peer, V8 and natively, and what metering costs.

    A kernel that failed on a side is in no mean, and no bound is met while one is missing. V8's mean is that of the kernels
    that it ran."""
    good = [row for row in kernels if not row["failure"]]
    if not good:
        return []

    def sides(figure):
        return {side: [geometric_mean([figure(row[side], row) for row in good])] for side in SIDES}

    group = "kernels"
    count = f"{len(good)} kernels"
    rows = [
        row_of(group, "kernels", f"time, mean of {count}", "ns", sides(lambda side, row: side["plain"]),
               cases.KERNELS_OWED, None),
        *v8_summary(good),
        row_of("cold starts", "start_kernels", f"{count} from bytes to result, mean", "ns",
               {side: [geometric_mean([row["cold"][side] for row in good])] for side in SIDES}, None, cases.COLD_KERNELS_BUDGET),
        row_of(group, "kernels_native", "time over native", "x", sides(lambda side, row: side["plain"] / row["native"]),
               None, None),
    ]
    for metering, (title, owed, budget) in cases.METERINGS.items():
        figures = sides(lambda side, row: side[metering] / side["plain"])
        rows.append(row_of(group, f"metering_{metering}", f"cost of {title} (bound on ours)", "x", figures, owed, budget, "ours"))
    rows.append(row_of(group, "kernels_baseline", "baseline code over optimized code (bound on ours)", "x",
                       sides(lambda side, row: side.get("baseline", side["plain"]) / side["plain"]),
                       cases.BASELINE_CODE_OWED, None, "ours"))
    if len(good) < expected:
        for row in rows:
            row["met"] = False if row["owed"] else None
    return rows


def v8_summary(kernels):
    """The row that has V8 as the peer."""
    kernels = [row for row in kernels if row["v8"]]
    if not kernels:
        return []
    means = {"ours": [geometric_mean([row["ours"]["plain"] for row in kernels])],
             "peer": [geometric_mean([row["v8"] for row in kernels])]}
    return [row_of("kernels", "kernels_v8", f"time with V8 as the peer, mean of {len(kernels)} kernels", "ns", means,
                   cases.KERNELS_V8_OWED, None)]


def mentions(path, name):
    """Whether a file has a name in it. Read in pieces: what this process has had of memory, its children count as theirs."""
    with open(path, "rb") as file:
        before = b""
        while piece := file.read(1 << 20):
            if name in before + piece:
                return True
            before = piece[-len(name):]
    return False


def say(text):
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def run_all(options, bench):
    wanted = re.compile(options.only or "")
    chosen = [case for case in cases.CASES if wanted.search(case.name) or wanted.search(case.group)]
    for case in [case for case in chosen if case.needs and not mentions(options.peer, case.needs.encode())]:
        print(f"note: the peer has no {case.needs}: `{case.title}` is left out", file=sys.stderr)
        chosen.remove(case)
    kernels = [kernel for kernel in build.kernels() if wanted.search(f"kernel_{kernel.name}") or wanted.search("kernels")]
    compiled = [guest for guest in cases.COMPILED if wanted.search(f"compile_{guest}") or wanted.search("compilation")]
    if not chosen and not kernels and not compiled:
        raise SystemExit(f"no case matches {options.only!r}")
    inputs = build.ROOT / "tests" / "guests" / "inputs"
    modules = build.build_modules() | build.build_inputs() | {"dot": inputs / "layers.dot", "svg": inputs / "ampoule.svg"}
    if kernels:
        zig = build.find_zig(options.zig)
        for kernel in kernels:
            say(f"building {kernel.name}")
            kernel.build(zig)

    # A round goes once through everything, so that a busy minute of the machine spoils one round of many cases and
    # not all rounds of one.
    case_jobs = [CaseJob(bench, case, modules) for case in chosen]
    kernel_jobs = [KernelJob(bench, kernel) for kernel in kernels]
    compile_jobs = [CompileJob(bench, guest, cases.COMPILED[guest]) for guest in compiled]
    for number in range(bench.rounds):
        for job in case_jobs + kernel_jobs + compile_jobs:
            if job.failure or number >= job.rounds:
                continue
            say(f"round {number + 1} of {bench.rounds}: {job.name}")
            try:
                job.round(number)
            except Failure as failure:
                job.failure = str(failure)
    say("")
    kernel_rows = [job.row() for job in kernel_jobs]
    rows = [job.row() for job in case_jobs] + kernel_summary(kernel_rows, len(kernels))
    return rows, kernel_rows, [job.row() for job in compile_jobs]


def arguments():
    parser = argparse.ArgumentParser(description="Measures a library against a peer with the same C ABI.")
    parser.add_argument("--lib", required=True, help="our library, .so or .a")
    parser.add_argument("--peer", required=True, help="the library to compare with")
    parser.add_argument("--json", metavar="OUT", help="write all figures here")
    parser.add_argument("--svg", metavar="OUT", help="write the chart here")
    parser.add_argument("--only", metavar="REGEX", help="only cases, groups and kernels (`kernel_…`) that match")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a look, not a measurement")
    parser.add_argument("--ms", type=float, help="milliseconds per measurement (40)")
    parser.add_argument("--rounds", type=int, help="processes per case and side (7; 3 for the slow ones)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds one process may take (120)")
    parser.add_argument("--guests", default=str(build.ROOT / ".cache" / "guests"), help="folder of python.wasm and the like")
    parser.add_argument("--zig", help="the command of zig, when it isn't found by itself")
    parser.add_argument("--names", nargs=2, metavar=("OURS", "PEER"), default=("ours", "the peer"), help="for the chart")
    parser.add_argument("--check", action="store_true", help="exit with 2 when a bound that is owed isn't met")
    return parser.parse_args()


def main():
    options = arguments()
    try:
        drivers = {"ours": build.build_driver("ours", options.lib), "peer": build.build_driver("peer", options.peer)}
        load = os.getloadavg()[0]
        if load > 0.5:
            print(f"note: the load average is {load:.1f}; figures will be noisy", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as scratch:
            bench = Bench(options, drivers, scratch)
            rows, kernels, compiled = run_all(options, bench)
    except build.BuildError as error:
        raise SystemExit(f"run.py: {error}")
    results = {
        "ours_name": options.names[0], "peer_name": options.names[1], "lib": options.lib, "peer": options.peer,
        "quick": options.quick, "milliseconds": bench.milliseconds, "rounds": bench.rounds, "load_average": load,
        "rows": rows, "kernels": kernels, "compiled": compiled,
    }
    report.print_results(results)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if options.svg:
        Path(options.svg).write_text(report.svg_chart(results))
    if any(row["failure"] for row in rows + kernels + compiled):
        return 1
    if options.check and any(row["met"] is False for row in rows):
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
