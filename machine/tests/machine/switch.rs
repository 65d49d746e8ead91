//! Fibers, and guests that pause on them.

use crate::builtins::{Stop, clobber_registers};
use crate::entry::keep_all_registers;
use crate::guest::World;
use ampoule_core::artifact::RelocationTarget;
use ampoule_core::builtins::Builtin;
use ampoule_machine::arch::switch::{Left, Link, Wake};
use ampoule_machine::fiber::{Fiber, FiberStack, MIN_STACK};

fn fiber() -> Box<Fiber> {
    Fiber::new(FiberStack::new(MIN_STACK).unwrap())
}

/// Runs the fiber until it leaves, with other things in the registers every time.
fn resume(link: *const Link, wake: Wake) -> Left {
    clobber_registers();
    // SAFETY: tests resume fibers that have work.
    let left = unsafe { Link::resume(link, wake) };
    clobber_registers();
    left
}

/// Gives the fiber work.
fn begin<F: FnMut()>(fiber: &Fiber, work: &mut F) {
    unsafe fn run<F: FnMut()>(work: *mut ()) {
        // SAFETY: it is what `begin` was given, and tests keep it until the work is done.
        unsafe { (*work.cast::<F>())() }
    }
    // SAFETY: tests begin idle fibers.
    unsafe { (*fiber.link()).begin(run::<F>, std::ptr::from_mut(work).cast()) }
}

#[test]
fn a_fiber_does_one_piece_of_work_after_another() {
    let fiber = fiber();
    let link = fiber.link();
    for round in 0..3 {
        let mut wakes = Vec::new();
        let mut work = || {
            for _ in 0..round {
                // SAFETY: this runs on the fiber.
                wakes.push(unsafe { Link::leave(link, Left::Suspended) });
            }
        };
        begin(&fiber, &mut work);
        for _ in 0..round {
            assert_eq!(resume(link, Wake::Continue), Left::Suspended);
        }
        assert_eq!(resume(link, Wake::GiveUp), Left::Finished);
        let mut expected = vec![Wake::Continue; round];
        expected.pop().into_iter().for_each(|_| expected.push(Wake::GiveUp));
        assert_eq!(wakes, expected);
    }
    let range = fiber.bounds().range();
    assert_eq!(fiber.end().range(), range);
}

#[test]
fn fibers_nest_and_move_between_threads() {
    let (outer, inner) = (fiber(), fiber());
    let links = (outer.link().addr(), inner.link().addr());
    let (mut steps, mut outer_steps) = (0, 0);
    let mut inner_work = || {
        for _ in 0..4 {
            steps += 1;
            // SAFETY: this runs on the inner fiber.
            unsafe { Link::leave(links.1 as *const Link, Left::Suspended) };
        }
    };
    begin(&inner, &mut inner_work);
    let mut outer_work = || {
        while resume(links.1 as *const Link, Wake::Continue) == Left::Suspended {
            outer_steps += 1;
            // SAFETY: this runs on the outer fiber.
            unsafe { Link::leave(links.0 as *const Link, Left::Suspended) };
        }
    };
    begin(&outer, &mut outer_work);
    for _ in 0..4 {
        let left = std::thread::spawn(move || resume(links.0 as *const Link, Wake::Continue)).join().unwrap();
        assert_eq!(left, Left::Suspended);
    }
    assert_eq!(resume(links.0 as *const Link, Wake::Continue), Left::Finished);
    assert_eq!((steps, outer_steps), (4, 4));
}

#[test]
fn a_guest_that_pauses_keeps_every_register() {
    let fiber = fiber();
    let mut world = World::new();
    for (builtin, note, ticks) in [(Builtin::EpochReached, 0xe90c4, 0x71c5), (Builtin::FuelExhausted, 0xf0e1, 0xf0e1)] {
        let code = world.place(keep_all_registers(), &[RelocationTarget::Builtin(builtin)]);
        world.log().pauses_on = fiber.link();
        let mut answer = None;
        let mut work = || answer = world.call(code, 0);
        begin(&fiber, &mut work);
        assert_eq!(resume(fiber.link(), Wake::Continue), Left::Suspended);
        assert_eq!(resume(fiber.link(), Wake::Continue), Left::Finished);
        assert_eq!(answer, Some(1), "{builtin:?}");
        assert_eq!(std::mem::take(&mut world.log().notes), [note, Wake::Continue as u64, ticks]);
    }
}

#[test]
fn a_guest_that_pauses_can_be_unwound_when_it_goes_on() {
    let fiber = fiber();
    let mut world = World::new();
    let code = world.place(keep_all_registers(), &[RelocationTarget::Builtin(Builtin::EpochReached)]);
    world.log().pauses_on = fiber.link();
    let mut answer = Some(7);
    let mut work = || answer = world.call(code, 0);
    begin(&fiber, &mut work);
    assert_eq!(resume(fiber.link(), Wake::Continue), Left::Suspended);
    assert_eq!(resume(fiber.link(), Wake::GiveUp), Left::Finished);
    assert_eq!(answer, None);
    assert_eq!(world.log().stops, [Stop::Epoch]);
}

/// The functions that a native unwinder finds on the stack.
#[inline(never)]
fn native_frames() -> String {
    std::backtrace::Backtrace::force_capture().to_string()
}

#[test]
fn unwinders_cross_the_switch_before_and_after_a_pause() {
    let fiber = fiber();
    let link = fiber.link();
    let mut seen = Vec::new();
    let mut work = || {
        seen.push(native_frames());
        // SAFETY: this runs on the fiber.
        unsafe { Link::leave(link, Left::Suspended) };
        seen.push(native_frames());
    };
    begin(&fiber, &mut work);
    assert_eq!(resume(link, Wake::Continue), Left::Suspended);
    assert_eq!(resume(link, Wake::Continue), Left::Finished);
    for frames in seen {
        assert!(frames.contains("native_frames"), "{frames}");
        let root = frames.find("switch::root").unwrap_or_else(|| panic!("the fiber's outermost frame: {frames}"));
        assert!(frames[root..].contains("unwinders_cross_the_switch"), "who resumes is outside: {frames}");
    }
}
