//! Forked processes have code of their own.

use crate::guest::{World, machine_code};
use ampoule_machine::code::space::Region;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Runs `child` in a forked process, which tells by a byte when it is done; then runs `parent`, and lets the child run `after`.
/// All must answer true.
fn forked(child: impl FnOnce() -> bool, parent: impl FnOnce() -> bool, after: impl FnOnce() -> bool) {
    let (mut here, mut there) = UnixStream::pair().unwrap();
    // SAFETY: the child runs a few lines of this test, in its only thread, and ends without returning.
    match unsafe { libc::fork() } {
        0 => {
            // Anything wrong ends the child before it tells.
            drop(here);
            let mut good = child();
            let _ = there.write_all(&[u8::from(good)]);
            let _ = there.read_exact(&mut [0]);
            good &= after();
            // SAFETY: ends the process without running the parent's exit code.
            unsafe { libc::_exit(if good { 0 } else { 1 }) }
        }
        pid => {
            drop(there);
            let mut told = [0];
            here.read_exact(&mut told).unwrap();
            let good = parent();
            here.write_all(&[1]).unwrap();
            let mut status = 0;
            // SAFETY: waits for the child made above.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert!(told[0] == 1 && good && status == 0, "child {told:?}, parent {good}, status {status}");
        }
    }
}

#[test]
fn a_child_runs_its_code_whatever_its_parent_does_to_theirs() {
    let mut world = World::new();
    let add_one = world.place_apart(machine_code!("lea rax, [rsi + 1]", "ret"));
    let region = Region::new(4096).unwrap();
    region.write(0, b"both").unwrap();
    // The parent frees the child's copy too, as far as Rust knows; each process drops its own.
    let world = std::cell::RefCell::new(world);
    // SAFETY: nobody else writes to the region.
    let content = || unsafe { region.bytes(0..4) }.to_vec();
    forked(
        || {
            let same = world.borrow_mut().call(add_one, 41) == Some(42) && content() == b"both";
            region.write(0, b"kids").unwrap();
            same
        },
        || {
            let untouched = content() == b"both";
            region.write(0, b"here").unwrap();
            let fresh = world.borrow_mut().place_apart(machine_code!("lea rax, [rsi + 2]", "ret"));
            untouched && world.borrow_mut().call(fresh, 1) == Some(3)
        },
        || {
            let fresh = world.borrow_mut().place_apart(machine_code!("lea rax, [rsi + 3]", "ret"));
            content() == b"kids"
                && world.borrow_mut().call(fresh, 1) == Some(4)
                && world.borrow_mut().call(add_one, 1) == Some(2)
        },
    );
    assert_eq!(content(), b"here");
}
