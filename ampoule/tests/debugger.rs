//! What gdb makes of a stack with guest frames. Skipped where there is no gdb, or where it may not trace.

#![cfg(feature = "compiler")]

use ampoule::{Engine, Extern, Func, FuncType, Instance, Module, Store};
use std::env;
use std::io::Write;
use std::process::Command;

#[test]
fn gdb_walks_through_guest_frames() {
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "run", "-ex", "bt", "--args"]);
    gdb.arg(env::current_exe().unwrap());
    gdb.args(["--exact", "a_host_function_stops", "--nocapture", "--ignored", "--test-threads=1"]);
    let Ok(output) = gdb.output() else { return skipped("no gdb can be started") };
    let said = String::from_utf8_lossy(&output.stdout);
    if !said.contains("SIGTRAP") {
        // A container without the right to trace, for instance; what it can't start it can't walk.
        assert!(!said.contains("a_host_function_stops"), "{said}");
        return skipped("gdb may not trace here");
    }
    let frames: Vec<_> = said.lines().filter(|line| line.starts_with('#')).collect();
    let first = frames.iter().position(|line| line.contains("ampoule_guest_code")).expect("there are guest frames");
    let guests = frames[first..].iter().take_while(|line| line.contains("ampoule_guest_code")).count();
    // Two thunks, and up to three calls of the guest: some may have been inlined.
    assert!((3..=5).contains(&guests), "{said}");
    assert!(frames[first + guests].contains("enter"), "{said}");
    assert!(frames[first + guests..].iter().any(|line| line.contains("a_host_function_stops")), "{said}");
}

/// Notes that nothing was tested, in the file whose tests `cargo xtask test` lists as skipped.
fn skipped(reason: &str) {
    let line = format!("gdb_walks_through_guest_frames: {reason}\n");
    print!("skipped: {line}");
    if let Some(list) = env::var_os("AMPOULE_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).open(list);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests is there");
    }
}

#[test]
#[ignore = "it stops for the debugger, which the other test starts"]
fn a_host_function_stops() {
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
