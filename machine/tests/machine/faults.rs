//! Hardware faults: those of guest code end the guest, those of others reach whoever waited for them.

use crate::builtins::Stop;
use crate::guest::{World, machine_code};
use ampoule_machine::os::mmap::Mapping;
use libc::{c_int, c_void, siginfo_t};
use std::mem::MaybeUninit;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Divides by its argument.
fn divide() -> &'static [u8] {
    machine_code!("push rbp", "mov rbp, rsp", "mov eax, 7", "xor edx, edx", "div rsi", "pop rbp", "ret",)
}

/// Reads from the address it is given, with registers that the host wants kept spoiled and the stack odd.
fn load() -> &'static [u8] {
    machine_code!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "mov ebx, 1",
        "mov r12d, 2",
        "mov r13d, 3",
        "mov rax, [rsi]",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

#[test]
fn dividing_by_zero_stops_the_guest_where_it_divides() {
    let mut world = World::new();
    let divide = world.place_apart(divide());
    assert_eq!(world.call(divide, 2), Some(3));
    for _ in 0..100 {
        assert_eq!(world.call(divide, 0), None);
    }
    let pc = divide.addr() + 11;
    assert_eq!(world.log().stops[..], vec![Stop::Fault { pc, address: pc, signal: libc::SIGFPE }; 100]);
    let frames = &world.log().frames[0];
    assert_eq!(frames.len(), 2);
    assert!(!frames[0].is_return_address && frames[1].is_return_address);
}

#[test]
fn a_bad_address_stops_the_guest_and_is_told() {
    let mut world = World::new();
    let load = world.place_apart(load());
    let forbidden = Mapping::reserve(4096).unwrap();
    let value = 42u64;
    assert_eq!(world.call(load, (&raw const value).addr() as u64), Some(42));
    let address = forbidden.base().addr() + 8;
    assert_eq!(world.call(load, address as u64), None);
    assert!(matches!(world.log().stops[..], [Stop::Fault { address: at, signal: libc::SIGSEGV, .. }] if at == address));
    assert_eq!(world.call(load, (&raw const value).addr() as u64), Some(42));
}

#[test]
fn an_illegal_instruction_stops_the_guest() {
    let mut world = World::new();
    let illegal = world.place_apart(machine_code!("push rbp", "mov rbp, rsp", "ud2"));
    assert_eq!(world.call(illegal, 0), None);
    let pc = illegal.addr() + 4;
    assert_eq!(world.log().stops, [Stop::Fault { pc, address: pc, signal: libc::SIGILL }]);
}

#[test]
fn faults_leave_the_signal_mask_alone() {
    let mask = || {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: asks for the mask only.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
            let mask = mask.assume_init();
            (1..32).map(|signal| libc::sigismember(&mask, signal)).collect::<Vec<_>>()
        }
    };
    let mut world = World::new();
    let divide = world.place_apart(divide());
    let before = mask();
    assert_eq!(world.call(divide, 0), None);
    assert_eq!(mask(), before);
}

/// Many threads, each with its own store, faulting all the time; half of them without an alternate stack and on small stacks.
#[test]
fn threads_fault_independently() {
    let without_alternate_stack = || {
        let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: no handler runs on the stack that is taken away.
        assert_eq!(unsafe { libc::sigaltstack(&none, std::ptr::null_mut()) }, 0);
    };
    let run = move |number: u64| {
        if number % 2 == 1 {
            without_alternate_stack();
        }
        let mut world = World::new();
        let divide = world.place_apart(divide());
        for round in 0..200 {
            assert_eq!(world.call(divide, round % 2), if round % 2 == 0 { None } else { Some(7) });
        }
        assert_eq!(world.log().stops.len(), 100);
    };
    let threads: Vec<_> = (0..8)
        .map(|number| std::thread::Builder::new().stack_size(64 << 10).spawn(move || run(number)).unwrap())
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

static HOST_FAULTS: AtomicUsize = AtomicUsize::new(0);

/// A handler of somebody else's, who skips over a two-byte instruction.
unsafe extern "C" fn host_handler(_signal: c_int, _info: *mut siginfo_t, context: *mut c_void) {
    HOST_FAULTS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel passes it to handlers with SA_SIGINFO.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] += 2 };
}

static PASS_ON_TO: AtomicUsize = AtomicUsize::new(0);

/// A handler that somebody installs after us, who passes on what isn't theirs.
unsafe extern "C" fn later_handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let previous = PASS_ON_TO.load(Ordering::Relaxed);
    // SAFETY: what was there before was installed with SA_SIGINFO.
    let previous: unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { std::mem::transmute(previous) };
    // SAFETY: passed on as it came.
    unsafe { previous(signal, info, context) }
}

fn install(signal: c_int, handler: usize, flags: c_int) -> usize {
    // SAFETY: all zeros is a valid action; the handler is a function of the type the flags ask for.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        let mut old = MaybeUninit::uninit();
        assert_eq!(libc::sigaction(signal, &action, old.as_mut_ptr()), 0);
        old.assume_init().sa_sigaction
    }
}

/// `ud2` in the host.
fn host_faults() {
    // SAFETY: the handler that was installed skips the instruction.
    unsafe { std::arch::asm!("ud2") };
}

/// These change the whole process, so each runs in one of its own: this test program, asked for one scenario.
fn in_process_of_its_own(scenario: &str) -> std::process::Output {
    let test = format!("faults::scenario_{scenario}");
    let program = std::env::current_exe().unwrap();
    Command::new(program).args([&test, "--exact", "--ignored", "--nocapture"]).output().unwrap()
}

#[test]
fn handlers_before_and_after_ours_keep_working() {
    for scenario in ["earlier_handler", "plain_earlier_handler", "later_handler"] {
        let output = in_process_of_its_own(scenario);
        let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
        assert!(output.status.success() && ran, "{scenario}: {output:?}");
    }
}

#[test]
fn faults_that_nobody_waits_for_kill_as_ever() {
    use std::os::unix::process::ExitStatusExt;
    for (scenario, signal) in [("default", libc::SIGILL), ("ignored", libc::SIGILL), ("sent", libc::SIGFPE)] {
        let output = in_process_of_its_own(scenario);
        assert_eq!(output.status.signal(), Some(signal), "{scenario}: {output:?}");
    }
}

#[test]
#[ignore = "run by `handlers_before_and_after_ours_keep_working`"]
fn scenario_earlier_handler() {
    install(libc::SIGILL, host_handler as *const () as usize, libc::SA_SIGINFO);
    an_illegal_instruction_stops_the_guest();
    host_faults();
    host_faults();
    assert_eq!(HOST_FAULTS.load(Ordering::Relaxed), 2);
    an_illegal_instruction_stops_the_guest();
}

unsafe extern "C" fn plain_handler(_signal: c_int) {
    HOST_FAULTS.fetch_add(1, Ordering::Relaxed);
}

#[test]
#[ignore = "run by `handlers_before_and_after_ours_keep_working`"]
fn scenario_plain_earlier_handler() {
    install(libc::SIGFPE, plain_handler as *const () as usize, 0);
    dividing_by_zero_stops_the_guest_where_it_divides();
    // Sent, not raised by an instruction: it would happen for ever.
    // SAFETY: there is a handler.
    unsafe { libc::raise(libc::SIGFPE) };
    assert_eq!(HOST_FAULTS.load(Ordering::Relaxed), 1);
}

#[test]
#[ignore = "run by `handlers_before_and_after_ours_keep_working`"]
fn scenario_later_handler() {
    drop(World::new());
    let ours = install(libc::SIGFPE, later_handler as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
    PASS_ON_TO.store(ours, Ordering::Relaxed);
    dividing_by_zero_stops_the_guest_where_it_divides();
}

#[test]
#[ignore = "run by `faults_that_nobody_waits_for_kill_as_ever`"]
fn scenario_default() {
    install(libc::SIGILL, libc::SIG_DFL, 0);
    an_illegal_instruction_stops_the_guest();
    host_faults();
}

#[test]
#[ignore = "run by `faults_that_nobody_waits_for_kill_as_ever`"]
fn scenario_ignored() {
    install(libc::SIGILL, libc::SIG_IGN, 0);
    an_illegal_instruction_stops_the_guest();
    // Sent by somebody, it is ignored.
    // SAFETY: it is.
    unsafe { libc::raise(libc::SIGILL) };
    host_faults();
}

#[test]
#[ignore = "run by `faults_that_nobody_waits_for_kill_as_ever`"]
fn scenario_sent() {
    install(libc::SIGFPE, libc::SIG_DFL, 0);
    dividing_by_zero_stops_the_guest_where_it_divides();
    // SAFETY: ends the process.
    unsafe { libc::raise(libc::SIGFPE) };
}
