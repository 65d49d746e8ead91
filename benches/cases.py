"""What is measured, and what each figure owes.

`owed` is what the present state of the project must reach, `budget` what the design wants in the end. Both are ratios
of our figure to the peer's, except for the cost of metering, where they bound our own metered-to-unmetered ratio.
"""

from dataclasses import dataclass

MICRO, MODULE, STARTUP, PROGRAM, ONCE = "micro", "module", "startup", "program", "once"

GUESTS = ("python", "graphviz", "resvg", "qjs", "python_command")


PYTHON_WORDS = """
words, seed = {}, 1
for turn in range(60000):
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    word = "word" + str(seed >> 16 & 1023)
    words[word] = words.get(word, 0) + len(word)
longest = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:10]
print(", ".join(f"{word}={count}" for word, count in longest))
"""

JAVASCRIPT_WORDS = """
const words = new Map();
let seed = 1;
for (let turn = 0; turn < 100000; turn++) {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  const word = "word" + (seed >> 16 & 1023);
  words.set(word, (words.get(word) || 0) + word.length);
}
const longest = [...words].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 10);
console.log(longest.map(([word, count]) => word + "=" + count).join(", "));
"""


@dataclass(frozen=True)
class Case:
    group: str
    name: str
    title: str
    command: tuple
    owed: float | None = None
    budget: float | None = None
    kind: str = MICRO
    """MICRO: many iterations in a process. MODULE: seconds an iteration, so fewer rounds. STARTUP: timed from outside.
    PROGRAM: a whole program again and again, compiled ahead by each side's best compiler. V8 runs both of these, too.
    ONCE: so many seconds that one round has to do."""
    figure: str = "ns"
    """The key of the driver's answer that is compared."""
    typical: bool = False
    """Compare the medians, of batches and of rounds, and not the least: for work that is handed to another thread, where
    the least depends on whether that thread happened to be awake."""
    guest: str | None = None
    """The real program that the case needs."""
    needs: str | None = None
    """A function that a peer may lack: the case is left out then."""
    owed_of: str = "ratio"
    """What the bounds are for: `ratio`, or `ours` where our own figure is a ratio already."""

    @property
    def unit(self):
        return {"bytes": "bytes", "over": "x"}.get(self.figure, "ns")


def trap(name, title, **bounds):
    return Case("traps", f"trap_{name}", title, ("trap", name), **bounds)


def instance(name, title, module, mode, **bounds):
    return Case("stores and instances", f"instance_{name}", title, ("instance", module, mode), **bounds)


def pooled(name, title, module, mode, **bounds):
    return Case("pooled instances", f"pooled_{name}", title, ("pooled", module, mode), **bounds)


def footprint(name, title, module, mode, **bounds):
    command = ("footprint", module, mode)
    return Case("memory per live instance", f"footprint_{name}", title, command, figure="bytes", **bounds)


def module_new(guest, title, **bounds):
    command = ("module_new", "{" + guest + "}")
    return Case("modules", f"module_new_{guest}", f"module_new, {title}", command, kind=MODULE, figure="median_ns",
                guest=guest, **bounds)


def start(name, title, *command, guest, peak_budget=0.6, **bounds):
    """A program from before its process exists until its first result is here, and how much memory it took at most."""
    peak = Case("cold starts", f"start_{name}_peak", f"peak memory of {title}", command, kind=STARTUP, figure="bytes",
                guest=guest, budget=peak_budget)
    return [Case("cold starts", f"start_{name}", f"process start to {title}", command, kind=STARTUP, guest=guest, **bounds), peak]


def program(name, title, module, argument, **bounds):
    """A whole program again and again, in code that was compiled ahead."""
    guest = module.strip("{}")
    return Case("programs", f"program_{name}", title, ("again", name, module, argument), kind=PROGRAM, guest=guest, **bounds)


def wasi(name, title, **bounds):
    return Case("WASI calls", f"wasi_{name}", title, ("wasi", name), **bounds)


def file_call(name, title, **bounds):
    return wasi(name, title, figure="median_ns", typical=True, **bounds)


def component(name, title, *command, **bounds):
    return Case("components", f"component_{name}", title, tuple(command), **bounds)


def bulk(name, title, export, length, **bounds):
    return Case("bulk memory", f"bulk_{name}", title, ("bulk", export, str(length)), **bounds)


def accessor(name, title, **bounds):
    return Case("accessors", name, title, (name,), **bounds)


def collected(name, title, export, n, result, after=None, **bounds):
    """`export(n)` must answer `result`, once `after`, a function and its argument, has been called."""
    command = ("collected_after", "gc.wat", *map(str, after)) if after else ("collected", "gc.wat")
    return Case("garbage collection", f"gc_{name}", title, (*command, export, str(n), str(result)), **bounds)


def reference(name, title, result, **bounds):
    command = ("collected", "references.wat", name, "1000", str(result))
    return Case("calls through references", f"ref_{name}", title, command, **bounds)


def exception(name, title, export, **bounds):
    return Case("exceptions", f"exn_{name}", title, ("collected", "exceptions.wat", export, "1000", "7476"), **bounds)


# `{dot}` and `{svg}` are inputs of the tests. build.py writes `{graph}` and `{picture}`, and `{data}`, `{segments}` and `{tables}`, which are modules; `{python}` and the like are the real programs.
CASES = [
    Case("calls", "call_checked", "host→guest (i32,i32)→i32, checked", ("call_checked",), owed=0.15, budget=0.07),
    Case("calls", "call_unchecked", "host→guest (i32,i32)→i32, unchecked", ("call_unchecked",), owed=0.5, budget=0.28),
    Case("calls", "call_nothing", "host→guest ()→(), checked", ("call_nothing",)),
    Case("calls", "call_wide", "host→guest, 8 arguments, 2 results, checked", ("call_wide",)),
    Case("calls", "call_funcref", "host→guest (funcref)→funcref, checked", ("call_funcref",), owed=0.3),
    Case("calls", "call_externref", "host→guest (externref)→externref, checked", ("call_externref",), owed=0.5),
    Case("calls", "call_portable", "host→guest (i32,i32)→i32, wasm_func_call", ("call_portable",), owed=0.3),
    Case("calls", "host_checked", "guest→host (i32,i32)→i32, checked", ("host_checked",), owed=0.25, budget=0.11),
    Case("calls", "host_unchecked", "guest→host (i32,i32)→i32, unchecked", ("host_unchecked",), owed=0.8, budget=0.71),
    Case("calls", "host_nothing", "guest→host ()→(), checked", ("host_nothing",)),
    Case("calls", "host_funcref", "guest→host (funcref)→funcref, checked", ("host_funcref",), owed=0.3),
    Case("calls", "host_externref", "guest→host (externref)→externref, checked", ("host_externref",), owed=0.5),
    Case("calls", "host_portable", "guest→host (i32,i32)→i32, wasm_func_new", ("host_portable",), owed=0.5),
    reference("table", "call_indirect of one function, from a loop", 1110578343, owed=0.7),
    reference("two", "call_indirect of two in turn", -1047941251),
    reference("reference", "call_ref of one function", 1110578343, owed=0.7),
    reference("method", "a method of an object, by its class", -239086481, owed=0.7),
    Case("native calls", "indirect", "C→C (i32,i32)→i32, through a pointer", ("indirect",)),
    Case("native calls", "native_call", "host→guest (i32,i32)→i32", ("native_call",)),
    Case("native calls", "native_import", "guest→host (i32,i32)→i32", ("native_import",)),
    Case("asynchronous calls", "async_call", "call (i32,i32)→i32 as a future, one poll", ("async_call",),
         owed=0.25, budget=0.2),
    Case("asynchronous calls", "async_call_pooled", "the same with the pooling allocator", ("async_call_pooled",), owed=0.3),
    Case("asynchronous calls", "async_wait", "call that waits for the host once", ("async_wait",)),
    Case("asynchronous calls", "async_drop", "call dropped at its first yield", ("async_drop",)),
    Case("asynchronous calls", "async_yield_epoch", "yield at an epoch deadline + resume", ("async_yield_epoch",),
         owed=0.25, budget=0.19),
    Case("asynchronous calls", "async_yield_fuel", "yield after a unit of fuel + resume", ("async_yield_fuel",), owed=0.25),
    Case("asynchronous calls", "async_yield_host", "host function asked in vain + resume", ("async_yield_host",), owed=0.25),
    accessor("caller_memory", "caller_export_get + memory_data", budget=0.09),
    accessor("export_get", "instance_export_get"),
    accessor("memory_data", "memory_data"),
    accessor("memory_data_size", "memory_data_size"),
    accessor("memory_size", "memory_size"),
    accessor("global_get", "global_get", budget=0.2),
    accessor("global_set", "global_set", budget=0.2),
    accessor("table_get", "table_get", budget=0.1),
    accessor("table_set", "table_set", budget=0.1),
    accessor("table_size", "table_size"),
    trap("unreachable", "unreachable", owed=0.1, budget=0.04),
    Case("traps", "trap_message", "unreachable, its message read", ("trap_message",)),
    trap("deep_unreachable", "unreachable, 50 frames deep"),
    trap("out_of_bounds", "memory out of bounds", budget=0.85),
    trap("division_by_zero", "division by zero"),
    trap("integer_overflow", "integer overflow"),
    trap("table_out_of_bounds", "table out of bounds"),
    trap("call_null", "call_indirect of null"),
    trap("bad_signature", "call_indirect with a bad signature"),
    trap("stack_overflow", "stack overflow", budget=0.01),
    trap("host_message", "host function fails with a message"),
    trap("host_code", "host function fails with a code"),
    Case("traps", "trap_fuel", "out of fuel", ("trap_fuel",)),
    Case("traps", "trap_epoch", "epoch reached", ("trap_epoch",)),
    Case("stores and instances", "store", "store new + delete", ("store",), budget=0.4),
    instance("trivial", "trivial instance", "instance_trivial.wat", "PLAIN", owed=0.4, budget=0.24),
    instance("pre", "trivial instance by instance_pre", "instance_trivial.wat", "PRE"),
    instance("memory", "instance with a memory", "instance_memory.wat", "PLAIN", owed=0.25, budget=0.12),
    instance("data", "instance with 1 MiB of data", "{data}", "PLAIN"),
    instance("touch", "instance that touches 16 pages", "instance_memory.wat", "TOUCH"),
    instance("tables", "instance with 100 tables of 10,000,000", "{tables}", "PLAIN", owed=1.0),
    Case("stores and instances", "instance_two_threads", "instance with a memory, 2 threads at once",
         ("instance_two_threads", "instance_memory.wat", "PLAIN"), owed=0.4),
    pooled("trivial", "trivial instance", "instance_trivial.wat", "PLAIN"),
    pooled("memory", "instance with a memory", "instance_memory.wat", "PLAIN", owed=0.5, budget=0.35),
    pooled("pre", "instance with a memory by instance_pre", "instance_memory.wat", "PRE", owed=0.5, budget=0.35),
    pooled("touch", "instance that touches 16 pages", "instance_memory.wat", "TOUCH", owed=0.5),
    Case("pooled instances", "pooled_threads", "instance with a memory, 4 threads at once",
         ("pooled_threads", "instance_memory.wat", "PLAIN"), owed=0.5),
    Case("stores and instances", "snapshot_reset", "reset of a guest that touched 16 pages (peer: made anew)",
         ("snapshot_reset", "touch_16"), owed=0.1),
    Case("stores and instances", "snapshot_thaw", "thawed guest that touches 1 MiB (peer: made anew, without its state)",
         ("snapshot_thaw", "touch_all"), owed=1.0),
    module_new("python", "CPython", owed=0.03, budget=0.02),
    module_new("graphviz", "Graphviz"),
    module_new("resvg", "resvg"),
    Case("modules", "start_segments", "module_new + instance, 53,000 data segments", ("start", "{segments}"), kind=MODULE,
         figure="median_ns", owed=1.0),
    Case("modules", "deserialize_python", "deserialize_file, CPython", ("deserialize", "{python}"), kind=MODULE, owed=1.0,
         guest="python"),
    Case("modules", "deserialize_graphviz", "deserialize_file, Graphviz", ("deserialize", "{graphviz}"), kind=MODULE,
         guest="graphviz"),
    *start("python", "CPython's print(1)", "python", "{python}", "print(1)", guest="python", owed=0.5, budget=0.07),
    *start("quickjs", "QuickJS's console.log(1)", "quickjs", "{qjs}", "console.log(1)", guest="qjs", budget=0.25),
    *start("graphviz", "Graphviz's first drawing", "graphviz", "{graphviz}", "{dot}", guest="graphviz", budget=0.15),
    *start("resvg", "resvg's first picture", "resvg", "{resvg}", "{svg}", guest="resvg", budget=0.25),
    Case("cold starts", "start_loop", "one loop of a second, over code compiled ahead (bound on ours)",
         ("loop_over", "500000000"), kind=MODULE, figure="over", budget=1.03, owed_of="ours"),
    program("python", "CPython counts words", "{python}", PYTHON_WORDS),
    program("quickjs", "QuickJS counts words", "{qjs}", JAVASCRIPT_WORDS),
    program("graphviz", "Graphviz draws a graph of 80 nodes", "{graphviz}", "{graph}"),
    program("resvg", "resvg renders 300 shapes", "{resvg}", "{picture}"),
    footprint("trivial", "trivial instance", "instance_trivial.wat", "PLAIN", budget=0.33),
    footprint("memory", "instance with a memory", "instance_memory.wat", "PLAIN"),
    footprint("touch", "instance that touched 16 pages", "instance_memory.wat", "TOUCH"),
    Case("memory per live instance", "async_suspended", "10,000 stores with a suspended guest", ("async_suspended",),
         figure="bytes"),
    file_call("fd_read", "fd_read of 4 KiB", owed=0.05, budget=0.03),
    file_call("fd_write", "fd_write of 4 KiB", budget=0.03),
    file_call("path_open", "path_open + fd_close", budget=0.11),
    file_call("path_filestat", "path_filestat_get", budget=0.05),
    file_call("fd_filestat", "fd_filestat_get"),
    wasi("fd_seek", "fd_seek", owed=0.7),
    wasi("clock", "clock_time_get"),
    wasi("random", "random_get of 16 bytes", owed=0.5),
    component("add", "host→component (u32,u32)→u32", "component_add", owed=0.2),
    component("string", "32-byte string, there and back", "component_same", "string", owed=0.35),
    component("record", "record of 4 numbers, there and back", "component_same", "record", owed=0.3),
    component("plan_string", "32-byte string, by a plan", "component_plan", "string"),
    component("plan_record", "record of 4 numbers, by a plan", "component_plan", "record"),
    component("plan_bytes", "list<u8> of 4096, by a plan", "component_plan", "bytes"),
    component("bytes", "list<u8> of 4096, there and back", "component_same", "bytes", owed=0.02),
    component("words", "list<u32> of 4096, there and back", "component_same", "words", owed=0.05),
    component("records", "list of 4096 records, there and back", "component_same", "records", owed=0.2),
    component("host", "component→host with a 32-byte string", "component_calls", "call-host", owed=0.3),
    component("component", "component→component (u32,u32)→u32", "component_calls", "call-component", owed=0.7),
    component("async", "host→component async (u32,u32)→u32, ready at once", "component_async_add", owed=0.3,
              needs="wasmtime_component_func_call_async"),
    component("instance", "small instance", "component_instance", "component_small.wat", owed=0.3),
    component("hello", "instance that imports a dozen interfaces of WASI", "component_instance", "component_hello.wat",
              owed=0.3),
    component("new", "component_new, CPython", "component_new", "{python_command}", kind=ONCE, figure="median_ns",
              guest="python_command", owed=0.05),
    component("new_bytes", "memory of that component", "component_new_bytes", "{python_command}", kind=ONCE, figure="bytes",
              guest="python_command"),
    component("file", "descriptor.read of 4 KiB", "component_file", "read", figure="median_ns", typical=True, owed=0.05),
    bulk("copy_16", "memory.copy of 16 bytes", "copy", 16, budget=0.11),
    bulk("copy_64", "memory.copy of 64 bytes", "copy", 64),
    bulk("copy_known", "memory.copy of a constant 16 bytes", "copy_16", 0),
    bulk("copy_4096", "memory.copy of 4 KiB", "copy", 4096),
    bulk("fill_16", "memory.fill of 16 bytes", "fill", 16, budget=0.13),
    bulk("fill_64", "memory.fill of 64 bytes", "fill", 64),
    bulk("grow_0", "memory.grow of 0 pages", "grow", 0),
    collected("struct_new", "struct.new of 2 fields that escapes", "struct_new", 1000, 3996, owed=0.05),
    collected("array_new", "array.new_default of 64 bytes", "array_new", 1000, 64, owed=0.1),
    collected("local", "sum of complex numbers that don't escape", "local", 1000, 500500),
    collected("iterator", "iterator over 10 numbers that doesn't escape", "iterator", 1000, 631771740),
    collected("ref_test", "ref.test of an open type", "ref_test", 1000, 750, owed=0.1),
    collected("ref_cast", "ref.cast to an open type", "ref_cast", 999, 181152, owed=0.1),
    collected("binary_trees", "binary tree of 511 nodes, built, summed up, dropped", "binary_trees", 10, 1308160, owed=0.15),
    collected("walk", "walk over 4095 nodes beside a million live ones", "walk", 10, 83865600, after=("plant", 19), owed=0.5),
    collected("splay", "splay tree of 8000 nodes, one in and one out", "splay", 1000, 1739292787, after=("plant_splay", 8000),
              owed=0.5),
    collected("field_swap", "two fields of old objects swapped", "field_store", 1000, 50003, after=("plant", 3), owed=0.3),
    collected("field_store", "reference stored in a field of an old object", "field_store_local", 1000, 30002,
              after=("plant", 3), owed=0.3),
    Case("garbage collection", "gc_externref", "externref made and dropped by the host", ("externref",), owed=0.2),
    exception("one_function", "throw and catch in one function", "one_function", owed=0.05),
    exception("one_frame", "throw and catch one frame away", "one_frame", owed=0.5),
    exception("twenty_frames", "throw and catch 20 frames away", "twenty_frames", owed=0.5),
    Case("exceptions", "exn_quiet", "try_table around a call, over the call alone (bound on ours)",
         ("collected_over", "exceptions.wat", "quiet", "bare", "1000", "32380382"), figure="over", owed=1.02, owed_of="ours"),
]

# What kernels take from their bytes to their result, geometric mean.
COLD_KERNELS_BUDGET = 0.5

# Whose compilation is measured, as files of the guests' folder.
COMPILED = {"python": "CPython", "graphviz": "Graphviz", "resvg": "resvg", "qjs": "QuickJS"}
# What of the optimizing compiler's time the baseline compiler may take.
BASELINE_BUDGET = 0.05

KERNELS_OWED = 0.84
KERNELS_V8_OWED = 0.97

# Time in the baseline compiler's code over that in the optimizing compiler's, geometric mean over the kernels.
BASELINE_CODE_OWED = 2.2

# Metered over unmetered time, likewise.
METERINGS = {
    "fuel": ("fuel", 1.10, 1.06),
    "epoch": ("epochs", 1.09, 1.05),
    "both": ("fuel and epochs", None, 1.10),
}
