"""What a language binding needs of the library: the Python package `wasmtime`, unchanged, on top of it.

Each function whose name begins with `claim_` is a claim; `cargo xtask test bindings` runs this file once for each version of
the package. It prints one line for each claim and exits with 1 if one failed.
"""

import os
import sys
import tempfile
import traceback
import wasmtime
from wasmtime import (
    Config, Engine, ExitTrap, Func, FuncType, Global, GlobalType, Instance, Limits, Linker, Memory, MemoryType, Module, Store,
    Table, TableType, Trap, TrapCode, Val, ValType, WasiConfig, WasmtimeError, wat2wasm,
)


def raises(kind, part, call):
    """Whether `call` raises this kind of exception with `part` in its text; returns the exception."""
    try:
        call()
    except kind as error:
        assert part in str(error), f"{part!r} is not in {str(error)!r}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def instance_of(store, text, imports=()):
    return Instance(store, Module(store.engine, text), list(imports))


def configured(**settings):
    config = Config()
    for name, value in settings.items():
        setattr(config, name, value)
    return Engine(config)


def claim_functions_take_and_give_values():
    store = Store()
    exports = instance_of(store, """(module
        (func (export "swap") (param i32 i64) (result i64 i32) local.get 1 local.get 0)
        (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
        (func (export "nothing")))""").exports(store)
    assert exports["swap"](store, 1, 2) == [2, 1]
    assert exports["half"](store, 5.0) == 2.5
    assert exports["nothing"](store) is None
    assert [str(ty) for ty in exports["swap"].type(store).results] == ["i64", "i32"]
    raises(WasmtimeError, "", lambda: exports["swap"](store, 1))
    raises(TypeError, "", lambda: exports["half"](store, "x"))


def claim_the_host_is_called_and_its_exceptions_come_back():
    store = Store()
    seen = []
    note = Func(store, FuncType([ValType.i32()], []), seen.append)
    fail = Func(store, FuncType([], []), lambda: 1 / 0)
    exports = instance_of(store, """(module
        (import "" "note" (func $note (param i32))) (import "" "fail" (func $fail))
        (func (export "run") (call $note (i32.const 7)) (call $fail)))""", [note, fail]).exports(store)
    raises(ZeroDivisionError, "division", lambda: exports["run"](store))
    assert seen == [7]


def claim_a_callback_sees_its_callers_memory():
    store = Store()
    linker = Linker(store.engine)
    said = []

    def say(caller, start, length):
        said.append(caller["memory"].read(caller, start, start + length).decode())

    linker.define_func("host", "say", FuncType([ValType.i32(), ValType.i32()], []), say, access_caller=True)
    module = Module(store.engine, """(module (import "host" "say" (func $say (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 8) "hello")
        (func (export "run") (call $say (i32.const 8) (i32.const 5))))""")
    linker.instantiate(store, module).exports(store)["run"](store)
    assert said == ["hello"]


def claim_linkers_report_what_is_missing_or_taken():
    store = Store()
    linker = Linker(store.engine)
    module = Module(store.engine, '(module (import "env" "log" (func)))')
    raises(WasmtimeError, "unknown import", lambda: linker.instantiate(store, module))
    linker.define_func("env", "log", FuncType([], []), lambda: None)
    raises(WasmtimeError, "defined twice", lambda: linker.define_func("env", "log", FuncType([], []), lambda: None))
    linker.allow_shadowing = True
    linker.define_func("env", "log", FuncType([], []), lambda: None)
    linker.instantiate(store, module)
    other = instance_of(store, '(module (func (export "log")))')
    linker.define_instance(store, "other", other)
    assert linker.get(store, "other", "log") is not None


def claim_memories_are_read_written_and_grown():
    store = Store()
    memory = Memory(store, MemoryType(Limits(1, 2)))
    assert memory.size(store) == 1 and memory.data_len(store) == 65536
    memory.write(store, b"abc", 10)
    assert bytes(memory.read(store, 9, 14)) == b"\0abc\0"
    assert memory.grow(store, 1) == 1 and memory.size(store) == 2
    raises(WasmtimeError, "grow", lambda: memory.grow(store, 1))
    assert memory.data_ptr(store)[11] == ord("b")


def claim_globals_and_tables_hold_values():
    store = Store()
    counter = Global(store, GlobalType(ValType.i64(), True), Val.i64(5))
    exports = instance_of(store, """(module (import "" "g" (global $g (mut i64)))
        (func (export "bump") (global.set $g (i64.add (global.get $g) (i64.const 1)))))""", [counter]).exports(store)
    exports["bump"](store)
    assert counter.value(store) == 6
    counter.set_value(store, Val.i64(-1))
    assert counter.value(store) == -1
    constant = Global(store, GlobalType(ValType.i32(), False), Val.i32(1))
    raises(WasmtimeError, "immutable", lambda: constant.set_value(store, Val.i32(2)))
    table = Table(store, TableType(ValType.funcref(), Limits(2, 3)), None)
    table.set(store, 1, Func(store, FuncType([], [ValType.i32()]), lambda: 42))
    assert table.get(store, 0).value is None and table.get(store, 1)(store) == 42
    assert table.grow(store, 1, None) == 2 and table.size(store) == 3
    raises(WasmtimeError, "grow", lambda: table.grow(store, 1, None))


def claim_objects_pass_through_as_externrefs():
    store = Store()
    exports = instance_of(store, """(module (table $t (export "t") 1 externref)
        (func (export "id") (param externref) (result externref) local.get 0)
        (func (export "put") (param externref) (table.set $t (i32.const 0) (local.get 0))))""").exports(store)
    thing = {"a": 1}
    assert exports["id"](store, thing) is thing
    assert exports["id"](store, None) is None
    exports["put"](store, "kept")
    store.gc()
    assert exports["t"].get(store, 0) == "kept"


def claim_traps_have_codes_and_frames():
    store = Store()
    exports = instance_of(store, """(module $m
        (func $inner (result i32) unreachable)
        (func (export "run") (result i32) call $inner)
        (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0))))""").exports(store)
    trap = raises(Trap, "unreachable", lambda: exports["run"](store))
    assert trap.trap_code == TrapCode.UNREACHABLE
    assert [frame.func_name for frame in trap.frames][0] == "inner" and trap.frames[0].module_name == "m"
    trap = raises(Trap, "divide by zero", lambda: exports["div"](store, 0))
    assert trap.trap_code == TrapCode.INTEGER_DIVISION_BY_ZERO


def claim_fuel_runs_out():
    engine = configured(consume_fuel=True)
    store = Store(engine)
    store.set_fuel(1000)
    exports = instance_of(store, '(module (func (export "spin") (loop br 0)) (func (export "one")))').exports(store)
    exports["one"](store)
    assert 0 < store.get_fuel() < 1000
    raises(Trap, "fuel", lambda: exports["spin"](store))
    raises(WasmtimeError, "fuel is not configured", lambda: Store().set_fuel(1))


def claim_an_epoch_ends_a_guest():
    engine = configured(epoch_interruption=True)
    store = Store(engine)
    store.set_epoch_deadline(1)
    exports = instance_of(store, '(module (func (export "spin") (loop br 0)))').exports(store)
    engine.increment_epoch()
    raises(Trap, "interrupt", lambda: exports["spin"](store))


def claim_limits_hold():
    store = Store()
    store.set_limits(memory_size=65536, instances=1)
    exports = instance_of(store, '(module (memory (export "m") 1))').exports(store)
    raises(WasmtimeError, "", lambda: exports["m"].grow(store, 1))
    raises(WasmtimeError, "instance", lambda: instance_of(store, "(module)"))


def claim_modules_are_described_and_serialized():
    engine = Engine()
    module = Module(engine, '(module (import "a" "b" (func (param f32))) (memory (export "m") 1 2))')
    (imported,), (exported,) = module.imports, module.exports
    assert (imported.module, imported.name) == ("a", "b") and isinstance(imported.type, FuncType)
    assert exported.name == "m" and exported.type.limits == Limits(1, 2)
    again = Module.deserialize(engine, module.serialize())
    assert [export.name for export in again.exports] == ["m"]
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(module.serialize())
    try:
        assert len(Module.deserialize_file(engine, file.name).imports) == 1
    finally:
        os.unlink(file.name)
    raises(WasmtimeError, "", lambda: Module(engine, b"\0asm\1\0\0\0\1"))
    raises(WasmtimeError, "expected", lambda: wat2wasm("(module"))
    Module.validate(engine, wat2wasm("(module)"))


HELLO = r"""(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 8) "hello\n")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 6))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
        (drop (call $args (i32.const 40) (i32.const 44)))
        (call $exit (i32.load (i32.const 40)))))"""


def claim_wasi_programs_write_and_exit():
    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    with tempfile.TemporaryDirectory() as folder:
        wasi = WasiConfig()
        wasi.argv = ["program", "one", "two"]
        wasi.env = [("A", "b")]
        wasi.stdout_file = os.path.join(folder, "out")
        store = Store(engine)
        store.set_wasi(wasi)
        start = linker.instantiate(store, Module(engine, HELLO)).exports(store)["_start"]
        exited = raises(ExitTrap, "", lambda: start(store))
        assert exited.code == 3
        del store, start
        with open(os.path.join(folder, "out")) as out:
            assert out.read() == "hello\n"


def claim_many_stores_come_and_go():
    engine = Engine()
    module = Module(engine, '(module (memory 1) (func (export "f") (param i32) (result i32) local.get 0))')
    for number in range(1, 500):
        store = Store(engine, data=number)
        assert Instance(store, module, []).exports(store)["f"](store, number) == number
        assert store.data() == number


def claim_tags_are_made_and_compared():
    if not hasattr(wasmtime, "Tag"):
        return  # of later versions than 44
    store = Store()
    ty = wasmtime.TagType(FuncType([ValType.i32()], []))
    a, b = wasmtime.Tag(store, ty), wasmtime.Tag(store, ty)
    assert a.eq(store, a) and not a.eq(store, b)


failed = 0
for name, claim in list(globals().items()):
    if name.startswith("claim_"):
        try:
            claim()
            print("ok", name.removeprefix("claim_"))
        except Exception:
            failed += 1
            print("FAIL", name.removeprefix("claim_"))
            traceback.print_exc(file=sys.stdout)
sys.exit(failed > 0)
