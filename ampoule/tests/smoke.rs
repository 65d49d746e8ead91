//! The engine from end to end, in small: what must work before anything else can.

use ampoule::{
    Config, Engine, Extern, ExternRef, Func, FuncType, Instance, Module, Store, Strategy, TrapCode, Val, ValType,
};
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::{Tiers, Tunables};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn call(wat: &str, args: &[Val]) -> Result<Vec<Val>, ampoule::Error> {
    call_in(&Engine::default(), wat, args)
}

fn call_in(engine: &Engine, wat: &str, args: &[Val]) -> Result<Vec<Val>, ampoule::Error> {
    let module = Module::new(engine, wat.as_bytes())?;
    let mut store = Store::new(engine);
    let instance = Instance::new(&mut store, &module, &[])?;
    let func = instance.get_func(&store, "f").expect("an export named f");
    let mut results = vec![Val::I32(0); func.ty(&store)?.results().len()];
    func.call(&mut store, args, &mut results)?;
    Ok(results)
}

fn trap_of(wat: &str, args: &[Val]) -> Option<TrapCode> {
    call(wat, args).expect_err("it traps").trap_code()
}

#[test]
fn a_function_adds() {
    let wat = "(module (func (export \"f\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))";
    assert_eq!(call(wat, &[Val::I32(40), Val::I32(2)]).unwrap(), [Val::I32(42)]);
}

#[test]
fn functions_call_each_other_lazily_and_eagerly() {
    let wat = "(module (func $fac (export \"f\") (param i64) (result i64)
        (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
            (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1))))))))";
    assert_eq!(call(wat, &[Val::I64(10)]).unwrap(), [Val::I64(3_628_800)]);
    let mut config = Config::new();
    config.strategy(Strategy::Eager);
    let engine = Engine::new(&config).unwrap();
    assert_eq!(call_in(&engine, wat, &[Val::I64(10)]).unwrap(), [Val::I64(3_628_800)]);
}

#[test]
fn code_that_tells_of_every_operator_is_the_same_code() {
    let wat = "(module (memory 1) (func (export \"f\") (param i32) (result i32)
        (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (i32.xor (local.get 0) (i32.const 5))))))";
    for tiers in [Tiers::Baseline, Tiers::Optimizing] {
        let compiled = |debug_positions| {
            let tunables = Tunables { tiers, debug_positions, ..Tunables::default() };
            let engine = Engine::new(&Config { tunables, ..Config::default() }).unwrap();
            Module::new(&engine, wat.as_bytes()).unwrap().compile_function(DefinedFuncIndex(0)).unwrap()
        };
        let (usual, listed) = (compiled(false), compiled(true));
        assert_eq!(usual.code, listed.code, "{tiers:?}");
        assert_eq!(usual.info.traps, listed.info.traps);
        // What backtraces tell is among it.
        let trap = usual.info.traps[0].0;
        assert_eq!(usual.info.positions_at(trap).next(), listed.info.positions_at(trap).next());
        assert!(listed.info.positions.len() >= 4, "{tiers:?}: {:?}", listed.info.positions);
    }
}

#[test]
fn a_module_without_bodies_has_no_code_to_list() {
    let engine = Engine::default();
    let artifact = Module::new(&engine, b"(module (func))").unwrap().serialize().unwrap();
    // SAFETY: it was just serialized.
    let loaded = unsafe { Module::deserialize(&engine, &artifact) }.unwrap();
    let eager = Engine::new(Config::new().strategy(Strategy::Eager)).unwrap();
    let compiled = Module::new(&eager, b"(module (func))").unwrap();
    for module in [loaded, compiled] {
        let error = module.compile_function(DefinedFuncIndex(0)).expect_err("there is no body");
        assert!(error.to_string().contains("the bodies of its functions are gone"), "{error}");
        // What else there is to know is still there.
        assert!(!module.serialize().unwrap().is_empty());
    }
}

#[test]
fn traps_come_out_with_their_codes() {
    assert_eq!(trap_of("(module (func (export \"f\") unreachable))", &[]), Some(TrapCode::Unreachable));
    let div = "(module (func (export \"f\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_u))";
    assert_eq!(trap_of(div, &[Val::I32(1), Val::I32(0)]), Some(TrapCode::IntegerDivisionByZero));
    let div = "(module (func (export \"f\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s))";
    assert_eq!(trap_of(div, &[Val::I32(i32::MIN), Val::I32(-1)]), Some(TrapCode::IntegerOverflow));
    let load = "(module (memory 1) (func (export \"f\") (param i32) (result i32) local.get 0 i32.load))";
    assert_eq!(trap_of(load, &[Val::I32(65536)]), Some(TrapCode::MemoryOutOfBounds));
    assert_eq!(trap_of(load, &[Val::I32(-1)]), Some(TrapCode::MemoryOutOfBounds));
    let call = "(module (table 2 funcref) (type $t (func)) (func $g (param i32)) (elem (i32.const 1) $g)
        (func (export \"f\") (param i32) local.get 0 call_indirect (type $t)))";
    assert_eq!(trap_of(call, &[Val::I32(0)]), Some(TrapCode::IndirectCallToNull));
    assert_eq!(trap_of(call, &[Val::I32(1)]), Some(TrapCode::BadSignature));
    assert_eq!(trap_of(call, &[Val::I32(2)]), Some(TrapCode::TableOutOfBounds));
    assert_eq!(trap_of("(module (func $f (export \"f\") call $f))", &[]), Some(TrapCode::StackOverflow));
}

#[test]
fn a_backtrace_names_the_functions() {
    let wat = "(module $m (func $inner unreachable) (func $outer (export \"f\") call $inner))";
    let error = call(wat, &[]).unwrap_err();
    let frames = error.backtrace().expect("a backtrace").frames();
    let names: Vec<_> = frames.iter().map(|frame| frame.func_name().unwrap().to_string()).collect();
    assert_eq!(names, ["inner", "outer"]);
    assert_eq!(frames[0].func_offset(), Some(1));
}

#[test]
fn a_backtrace_tells_file_and_line_where_there_is_dwarf() {
    let text = "(module (func $inner\n  unreachable)\n (func $outer (export \"f\")\n  call $inner\n  nop))";
    let bytes = wat::Parser::new()
        .generate_dwarf(wat::GenerateDwarf::Full)
        .parse_str(Some(std::path::Path::new("/src/two.wat")), text)
        .unwrap();
    let engine = Engine::new(Config::new().backtrace_details(true)).unwrap();
    let module = Module::new(&engine, &bytes).unwrap();
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let error = instance.get_func(&store, "f").unwrap().call(&mut store, &[], &mut []).unwrap_err();
    let lines: Vec<_> = error.backtrace().unwrap().frames().iter().map(|frame| frame.sources()[0].line).collect();
    assert_eq!(lines, [Some(2), Some(4)]);
    assert!(format!("{error:?}").contains("/src/two.wat:2"), "{error:?}");
}

/// The second function is too large to be inlined, the first is inlined into it, and the third into nothing.
#[test]
fn inlined_functions_have_frames_and_count_their_fuel() {
    let filler = "i32.const 1 drop ".repeat(60);
    let wat = format!(
        "(module (func $small (param i32) (result i32) (if (i32.eqz (local.get 0)) (then (return (i32.const 5))))
            (i32.div_u (i32.const 10) (i32.sub (local.get 0) (i32.const 3))))
        (func $middle (param i32) (result i32) (call $small (local.get 0)))
        (func $large (export \"f\") (param i32) (result i32) {filler} (i32.add (call $middle (local.get 0)) (i32.const 1))))"
    );
    assert_eq!(call(&wat, &[Val::I32(0)]).unwrap(), [Val::I32(6)]);
    assert_eq!(call(&wat, &[Val::I32(5)]).unwrap(), [Val::I32(6)]);
    let error = call(&wat, &[Val::I32(3)]).unwrap_err();
    assert_eq!(error.trap_code(), Some(TrapCode::IntegerDivisionByZero));
    let names: Vec<_> = error.backtrace().unwrap().frames().iter().map(|frame| frame.func_name().unwrap()).collect();
    assert_eq!(names, ["small", "middle", "large"]);

    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    store.set_fuel(1000).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let func = instance.get_func(&store, "f").unwrap();
    func.call(&mut store, &[Val::I32(0)], &mut [Val::I32(0)]).unwrap();
    // Entries 3; large: 60 constants, get, call, constant, add; middle: get, call; small: get, eqz, if, constant.
    assert_eq!(1000 - store.fuel().unwrap(), 3 + 64 + 2 + 4);
}

#[test]
fn host_functions_are_called_and_call_back() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    let host = Func::new(&mut store, &ty, |mut caller, args, results| {
        let Val::I32(n) = args[0] else { unreachable!("an i32 parameter") };
        if n == 0 {
            return Err(ampoule::Error::message("zero"));
        }
        let f = caller.export("g").and_then(Extern::into_func).expect("the caller exports g");
        f.call(caller.store(), &[Val::I32(n)], results)
    })
    .unwrap();
    let module = Module::new(
        &engine,
        br#"(module (import "" "h" (func $h (param i32) (result i32)))
        (func (export "f") (param i32) (result i32) local.get 0 call $h)
        (func (export "g") (param i32) (result i32) local.get 0 i32.const 1 i32.add))"#,
    )
    .unwrap();
    let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
    let f = instance.get_func(&store, "f").unwrap();
    let mut results = [Val::I32(0)];
    f.call(&mut store, &[Val::I32(41)], &mut results).unwrap();
    assert_eq!(results, [Val::I32(42)]);
    let error = f.call(&mut store, &[Val::I32(0)], &mut results).unwrap_err();
    assert_eq!(error.to_string(), "zero");
    f.call(&mut store, &[Val::I32(1)], &mut results).unwrap();
    assert_eq!(results, [Val::I32(2)], "the store is as good as before");
}

#[test]
fn memory_grows_and_keeps_its_data() {
    let wat = r#"(module (memory (export "m") 1 3) (data (i32.const 10) "abc")
        (func (export "f") (result i32 i32 i32) (memory.grow (i32.const 2)) (memory.grow (i32.const 1)) (i32.load8_u (i32.const 11))))"#;
    assert_eq!(call(wat, &[]).unwrap(), [Val::I32(1), Val::I32(-1), Val::I32(98)]);
}

fn fuel_of(body: &str) -> u64 {
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, format!("(module (func $e) (func (export \"f\") {body}))").as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    store.set_fuel(1000).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    instance.get_func(&store, "f").unwrap().call(&mut store, &[], &mut []).unwrap();
    1000 - store.fuel().unwrap()
}

#[test]
fn fuel_is_exact() {
    assert_eq!(fuel_of(""), 1);
    assert_eq!(fuel_of("(local i32) local.get 0 drop"), 2);
    assert_eq!(fuel_of("call $e call $e"), 5);
    assert_eq!(
        fuel_of(
            "(local i32) i32.const 10 local.set 0
            (loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0)"
        ),
        53
    );
}

/// Branches to the last operators of a loop are translated by a copy of these; a `nop` among them, which costs nothing, prevents it.
#[test]
fn the_end_of_a_turn_does_the_same_where_it_is_copied() {
    let body = |nop: &str| {
        format!(
            "(local $n i32) (local $sum i32) (local.set $n (i32.const 10))
            (loop
              (block
                (block
                  (block (br_table 0 1 2 (i32.rem_u (local.get $n) (i32.const 4))))
                  (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
                  (br 1))
                (i32.const 7)
                (local.set $sum (i32.mul (local.get $sum) (local.get $n)))
                (br 0))
              {nop}
              (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
        )
    };
    let result_of = |nop| {
        call(&format!("(module (func (export \"f\") (result i32) {} (local.get $sum)))", body(nop)), &[]).unwrap()
    };
    // Turns that divide by four add one at 8 and 4; those with the remainder one multiply by 9, 5 and 1.
    assert_eq!(result_of(""), [Val::I32(6)]);
    assert_eq!(result_of("nop"), [Val::I32(6)]);
    assert_eq!(fuel_of(&body("")), fuel_of(&body("nop")));

    // What is on the stack around the branch is there for the other arm.
    let around =
        "(module (func (export \"f\") (result i32) (local $n i32) (local $sum i32) (local.set $n (i32.const 10))
        (loop
          local.get $n
          (block
            i32.const 3
            (if (i32.and (local.get $n) (i32.const 1)) (then br 1))
            local.get $sum
            i32.add
            local.set $sum)
          i32.const 1
          i32.sub
          local.tee $n
          br_if 0)
        (local.get $sum)))";
    assert_eq!(call(around, &[]).unwrap(), [Val::I32(15)]);
}

#[test]
fn products_made_of_four_products_are_right() {
    let wat = "(module (func (export \"f\") (param $a i64) (param $b i64) (param $more i64) (result i64 i64)
        (local $low i64) (local $first i64) (local $second i64) (local $al i64) (local $ah i64) (local $bl i64) (local $bh i64)
        (local.set $al (i64.and (local.get $a) (i64.const 0xffffffff)))
        (local.set $ah (i64.shr_u (local.get $a) (i64.const 32)))
        (local.set $bl (i64.and (local.get $b) (i64.const 0xffffffff)))
        (local.set $bh (i64.shr_u (local.get $b) (i64.const 32)))
        (local.set $low (i64.mul (local.get $bl) (local.get $al)))
        (local.set $first (i64.add (i64.shr_u (local.get $low) (i64.const 32)) (i64.mul (local.get $bl) (local.get $ah))))
        (local.set $second
          (i64.add (i64.and (local.get $first) (i64.const 0xffffffff)) (i64.mul (local.get $bh) (local.get $al))))
        (i64.or (i64.shl (local.get $second) (i64.const 32)) (i64.and (local.get $low) (i64.const 0xffffffff)))
        (i64.add
          (i64.add (i64.add (local.get $more) (i64.mul (local.get $bh) (local.get $ah)))
            (i64.shr_u (local.get $first) (i64.const 32)))
          (i64.shr_u (local.get $second) (i64.const 32)))))";
    let numbers = [0, 1, 2, 0xffff_ffff, 1 << 32, 1 << 63, u64::MAX, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
    for a in numbers {
        for b in numbers {
            let product = (u128::from(a) * u128::from(b)).wrapping_add(5 << 64);
            let halves = [Val::I64(product as i64), Val::I64((product >> 64) as i64)];
            assert_eq!(
                call(wat, &[Val::I64(a as i64), Val::I64(b as i64), Val::I64(5)]).unwrap(),
                halves,
                "{a:#x} {b:#x}"
            );
        }
    }
}

#[test]
fn out_of_fuel_and_past_the_deadline_guests_stop() {
    let spin = b"(module (func (export \"f\") (loop br 0)))";
    let mut config = Config::new();
    config.consume_fuel(true).epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, spin).unwrap();
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let f = instance.get_func(&store, "f").unwrap();
    store.set_fuel(10_000).unwrap();
    store.set_epoch_deadline(1);
    assert_eq!(f.call(&mut store, &[], &mut []).unwrap_err().trap_code(), Some(TrapCode::OutOfFuel));
    assert_eq!(store.fuel().unwrap(), 0);
    store.set_fuel(u64::MAX).unwrap();
    let ticker = engine.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        ticker.increment_epoch();
    });
    assert_eq!(f.call(&mut store, &[], &mut []).unwrap_err().trap_code(), Some(TrapCode::Interrupt));
    thread.join().unwrap();
}

struct CountsDrops(Arc<AtomicUsize>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn externrefs_live_as_long_as_something_refers_to_them() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module
        (import "" "gc" (func $gc)) (global $g (mut externref) (ref.null extern)) (table $t 1 externref)
        (func (export "global") (param externref) local.get 0 global.set $g)
        (func (export "table") (param externref) i32.const 0 local.get 0 table.set $t)
        (func (export "frame") (param externref) (result externref) call $gc local.get 0))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine);
    let gc = Func::new(&mut store, &FuncType::new([], []), |mut caller, _, _| {
        caller.store().gc();
        Ok(())
    })
    .unwrap();
    let instance = Instance::new(&mut store, &module, &[Extern::Func(gc)]).unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let new = |store: &mut Store| ExternRef::new(store, Box::new(CountsDrops(drops.clone()))).unwrap();

    for holder in ["global", "table"] {
        let before = drops.load(Ordering::Relaxed);
        let func = instance.get_func(&store, holder).unwrap();
        let value = Val::ExternRef(Some(new(&mut store)));
        func.call(&mut store, std::slice::from_ref(&value), &mut []).unwrap();
        drop(value);
        store.gc();
        assert_eq!(drops.load(Ordering::Relaxed), before, "the {holder} keeps it");
        func.call(&mut store, &[Val::ExternRef(None)], &mut []).unwrap();
        store.gc();
        assert_eq!(drops.load(Ordering::Relaxed), before + 1);
    }

    let frame = instance.get_func(&store, "frame").unwrap();
    let value = new(&mut store);
    let mut results = [Val::ExternRef(None)];
    frame.call(&mut store, &[Val::ExternRef(Some(value.clone()))], &mut results).unwrap();
    assert_eq!(results[0], Val::ExternRef(Some(value)));
    drop(results);
    store.gc();
    assert_eq!(drops.load(Ordering::Relaxed), 3);
    drop(new(&mut store));
    drop(store);
    assert_eq!(drops.load(Ordering::Relaxed), 4);
}
