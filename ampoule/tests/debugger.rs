//! What gdb makes of a stack with guest frames. Passes without a claim where there is no gdb, or where it may not trace.

#![cfg(feature = "compiler")]

use ampoule::{Engine, Extern, Func, FuncType, Instance, Module, Store};
use std::env;
use std::process::Command;

const STOPS: &str = "AMPOULE_TEST_STOPS";

#[test]
fn gdb_walks_through_guest_frames() {
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "run", "-ex", "bt", "--args"]);
    gdb.arg(env::current_exe().unwrap());
    gdb.args(["--exact", "a_host_function_stops", "--nocapture", "--test-threads=1"]).env(STOPS, "1");
    let Ok(output) = gdb.output() else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    if !said.contains("SIGTRAP") {
        // A container without the right to trace, for instance; what it can't start it can't walk.
        return assert!(!said.contains("a_host_function_stops"), "{said}");
    }
    let frames: Vec<_> = said.lines().filter(|line| line.starts_with('#')).collect();
    let first = frames.iter().position(|line| line.contains("ampoule_guest_code")).expect("there are guest frames");
    let guests = frames[first..].iter().take_while(|line| line.contains("ampoule_guest_code")).count();
    // Two thunks, and up to three calls of the guest: some may have been inlined.
    assert!((3..=5).contains(&guests), "{said}");
    assert!(frames[first + guests].contains("enter"), "{said}");
    assert!(frames[first + guests..].iter().any(|line| line.contains("a_host_function_stops")), "{said}");
}

/// What the debugger runs; otherwise nothing.
#[test]
fn a_host_function_stops() {
    if env::var_os(STOPS).is_none() {
        return;
    }
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module (import "" "stop" (func $stop))
            (func $a (param i32) (if (local.get 0) (then (call $a (i32.sub (local.get 0) (i32.const 1)))) (else (call $stop))))
            (func (export "run") (call $a (i32.const 1))))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine);
    let stop = Func::new(&mut store, &FuncType::new([], []), |_, _, _| {
        // SAFETY: the debugger takes the signal.
        unsafe { libc::raise(libc::SIGTRAP) };
        Ok(())
    })
    .unwrap();
    let instance = Instance::new(&mut store, &module, &[Extern::Func(stop)]).unwrap();
    let run = instance.get_func(&store, "run").unwrap();
    run.call(&mut store, &[], &mut []).unwrap();
}
