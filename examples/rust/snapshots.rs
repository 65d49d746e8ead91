//! A guest of WASI that is started once. Each request is answered by an instance that goes on from there, and nothing of it stays; a guest that
//! has trapped is put back, too, and one that is tried with many inputs begins each time with the same memory.
//!
//! ```text
//! started with "greeting"
//! "Ann" -> greeting, Ann; before that the guest knew of nobody
//! "Bob" -> greeting, Bob; before that the guest knew of nobody
//! trapped, and then: greeting, Cy; before that the guest knew of nobody
//! 1000 inputs, 10 of them crash; each began with the same memory
//! thawed on another thread: greeting, Dee; before that the guest knew of nobody
//! ```

use ampoule::{Engine, Error, Instance, Linker, Module, Snapshot, Store};
use ampoule_wasi::{WasiConfig, WasiCtx, WasiState, p1};

/// `start` reads its first argument, and is slow in real life. `answer` reads a request behind the last ones, traps where it begins with `!`, and
/// returns how many bytes of earlier requests there were.
const GUEST: &[u8] = br#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (global $seen (mut i32) (i32.const 0))
    (func (export "start")
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $args (i32.const 16) (i32.const 1024))))
    (func (export "answer") (result i32)
        (local $before i32)
        (local.set $before (global.get $seen))
        (i32.store (i32.const 0) (i32.add (i32.const 4096) (local.get $before)))
        (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (global.set $seen (i32.add (local.get $before) (i32.load (i32.const 8))))
        (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 33)) (then unreachable))
        (local.get $before)))"#;

/// Where its first argument is, with a NUL behind it.
const GREETING: usize = 1024;

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(&engine, GUEST)?;
    let mut linker = Linker::new(&engine);
    p1::add_to_linker(&mut linker)?;

    // Once: everything that takes long.
    let mut store = Store::new(&engine);
    let mut config = WasiConfig::new();
    config.set_args(["greeting".to_string()]).map_err(message)?;
    store.slots_mut().insert(config.build());
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&store, "start")?.call(&mut store, ())?;
    println!("started with {:?}", greeting(&store, &instance)?);
    let mut snapshot = Snapshot::take(&store, &[instance], &mut ())?;
    let wasi = store.slots().get::<WasiCtx>().expect("it was given above");
    WasiState::of(wasi).map_err(message)?.attach_to(&mut snapshot);

    // A store for each request: no byte of one is seen by the next.
    for name in ["Ann", "Bob"] {
        let (mut store, instance) = thaw(&snapshot, &linker)?;
        println!("{name:?} -> {}", answer(&snapshot, &mut store, &instance, name)?);
    }

    // Or the same instance, put back: also after a trap.
    let (mut store, instance) = thaw(&snapshot, &linker)?;
    assert!(answer(&snapshot, &mut store, &instance, "!boom").is_err());
    snapshot.reset(&mut store, &[instance], &mut ())?;
    println!("trapped, and then: {}", answer(&snapshot, &mut store, &instance, "Cy")?);

    // What a fuzzer does. Only pages that an input has written are put back.
    let mut crashes = 0;
    for number in 0..1000_u32 {
        snapshot.reset(&mut store, &[instance], &mut ())?;
        let input = if number % 100 == 7 { format!("!{number}") } else { number.to_string() };
        crashes += u32::from(answer(&snapshot, &mut store, &instance, &input).is_err());
    }
    println!("1000 inputs, {crashes} of them crash; each began with the same memory");

    // Elsewhere: `Snapshot::save` and `Snapshot::load_file` do the same for another process.
    let said = std::thread::spawn(move || {
        let (mut store, instance) = thaw(&snapshot, &linker)?;
        answer(&snapshot, &mut store, &instance, "Dee")
    });
    println!("thawed on another thread: {}", said.join().expect("it doesn't panic")?);
    Ok(())
}

/// An instance as it was in the snapshot, in a store of its own.
fn thaw(snapshot: &Snapshot, linker: &Linker) -> Result<(Box<Store>, Instance), Error> {
    let mut store = Store::new(snapshot.engine());
    let instance = snapshot.instantiate(&mut store, linker, &mut ())?[0];
    Ok((store, instance))
}

/// Has a guest answer a request, which it reads from its standard input.
fn answer(snapshot: &Snapshot, store: &mut Store, instance: &Instance, request: &str) -> Result<String, Error> {
    // What it had of WASI, and nothing that isn't granted here: directories that it had open would have to be preopened under the same names.
    let mut config = WasiConfig::new();
    config.stdin_bytes(request.as_bytes().to_vec());
    let state = WasiState::of_snapshot(snapshot).map_err(message)?.expect("it was attached");
    store.slots_mut().insert(config.build_from(&state).map_err(message)?);

    let before = instance.get_typed_func::<(), i32>(store, "answer")?.call(store, ())?;
    let knew = if before == 0 { "nobody".to_string() } else { format!("{before} bytes") };
    Ok(format!("{}, {request}; before that the guest knew of {knew}", greeting(store, instance)?))
}

fn greeting(store: &Store, instance: &Instance) -> Result<String, Error> {
    let memory = instance.get_memory(store, "memory").expect("exported");
    Ok(String::from_utf8_lossy(&memory.bytes(store)?[GREETING..][..8]).into_owned())
}

fn message(error: impl std::fmt::Display) -> Error {
    Error::message(error.to_string())
}
