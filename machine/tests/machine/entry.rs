//! Entering, leaving, walking.

use crate::builtins::{Log, Stop};
use crate::guest::{World, call, machine_code};
use ampoule_core::artifact::RelocationTarget;
use ampoule_core::builtins::Builtin;
use ampoule_core::vm::VmContext;
use ampoule_machine::arch::divert::divert;
use ampoule_machine::arch::entry::{GuestFrames, all_frames};

const GROW: RelocationTarget = RelocationTarget::Builtin(Builtin::MemoryGrow);

/// `memory_grow(vmctx, 7, arg)`, after spoiling every register that the host wants kept.
fn grow() -> &'static [u8] {
    machine_code!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov rbx, 1",
        "mov r12, 2",
        "mov r13, 3",
        "mov r14, 4",
        "mov r15, 5",
        "mov rdx, rsi",
        "mov esi, 7",
        "call_target 0",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Calls the function at the address it is given; its argument is 10.
fn indirect() -> &'static [u8] {
    machine_code!("push rbp", "mov rbp, rsp", "mov rax, rsi", "mov esi, 10", "call rax", "inc rax", "pop rbp", "ret")
}

#[test]
fn a_call_goes_in_and_comes_back() {
    let mut world = World::new();
    let double = world.place_apart(machine_code!("lea rax, [rsi + rsi]", "ret"));
    assert_eq!(world.call(double, 21), Some(42));
}

#[test]
fn a_builtin_gets_its_arguments_and_its_caller_can_be_walked() {
    let mut world = World::new();
    let grow = world.place(grow(), &[GROW]);
    let outer = world.place(indirect(), &[]);
    world.log().grow = |vmctx, memory, delta| {
        // SAFETY: the guest that called waits.
        let store = unsafe { (*vmctx).store };
        // SAFETY: as above.
        let frames = unsafe { GuestFrames::below_exit((*store).exit_fp) };
        Log::of(store).frames.push(frames.clone().collect());
        assert_eq!(frames.entry().store(), store);
        // SAFETY: as above.
        assert_eq!(frames_entry_fp(store), unsafe { (*store).entry_fp() });
        u64::from(memory) + delta
    };
    assert_eq!(world.call(outer, grow.addr() as u64), Some(7 + 10 + 1));
    let frames = world.log().frames.pop().unwrap();
    assert_eq!(frames.len(), 3, "grow, outer, thunk: {frames:x?}");
    assert!((grow.addr()..grow.addr() + 100).contains(&frames[0].pc));
    assert!((outer.addr()..outer.addr() + 32).contains(&frames[1].pc));
    assert!(frames.iter().all(|frame| frame.is_return_address));
    assert!(frames.windows(2).all(|pair| pair[0].fp < pair[1].fp));
}

fn frames_entry_fp(store: *mut ampoule_core::vm::VmStoreContext) -> usize {
    // SAFETY: the guest that called waits.
    unsafe { GuestFrames::below_exit((*store).exit_fp) }.entry().fp()
}

#[test]
fn a_trap_unwinds_and_tells_where_it_was() {
    let mut world = World::new();
    let trap = world.place(
        machine_code!("push rbp", "mov rbp, rsp", "mov edi, 9", "call_target 0", "ud2"),
        &[RelocationTarget::Builtin(Builtin::Trap)],
    );
    let outer = world.place(indirect(), &[]);
    for _ in 0..3 {
        assert_eq!(world.call(outer, trap.addr() as u64), None);
    }
    assert_eq!(world.log().stops, vec![Stop::Trap { code: 9, pc: trap.addr() + 14 }; 3]);
    assert_eq!(world.log().frames[0].len(), 3);
}

#[test]
fn a_stack_overflow_unwinds() {
    let mut world = World::new();
    // Recurses until the limit is passed.
    let recurse = world.place(
        machine_code!(
            "771:",
            "push rbp",
            "mov rbp, rsp",
            "sub rsp, 64",
            "mov rax, [rdi]",
            "cmp rsp, [rax]",
            "jb 2f",
            "call 771b",
            "pop rbp",
            "ret",
            "2:",
            "call_target 0",
            "ud2",
        ),
        &[RelocationTarget::Builtin(Builtin::StackOverflow)],
    );
    assert_eq!(world.call(recurse, 0), None);
    assert!(matches!(world.log().stops[..], [Stop::StackOverflow { pc }] if pc > recurse.addr()));
}

/// The same, on the smallest stacks people use, where most of what is asked for doesn't exist.
#[test]
fn a_stack_overflow_unwinds_on_a_small_stack() {
    for size in [64 << 10, 128 << 10, 2 << 20] {
        std::thread::Builder::new().stack_size(size).spawn(a_stack_overflow_unwinds).unwrap().join().unwrap();
    }
}

/// Enters the guest again, `delta` levels deep, and notes all frames at the bottom, where it stops the guest if `memory` is zero.
fn nest(vmctx: *mut VmContext, _memory: u32, delta: u64) -> u64 {
    // SAFETY: the guest that called waits.
    let store = unsafe { (*vmctx).store };
    let log = Log::of(store);
    if delta == 0 {
        // SAFETY: as above.
        let frames = unsafe { all_frames(GuestFrames::below_exit((*store).exit_fp)) };
        log.frames.push(frames.collect());
        // SAFETY: as above.
        unsafe { (*store).unwinding = 1 };
        return 0;
    }
    let (code, thunk) = (log.notes[0] as *const u8, log.notes[1] as *const u8);
    // Only the innermost activation is unwound; each outer one gets this answer.
    call(store, vmctx, thunk, code, delta - 1).map_or(1, |levels| levels + 1)
}

#[test]
fn unwinding_ends_one_activation_and_walks_cross_all() {
    let mut world = World::new();
    let grow = world.place(grow(), &[GROW]);
    let thunk = world.thunk().addr() as u64;
    world.log().grow = nest;
    world.log().notes = vec![grow.addr() as u64, thunk];
    assert_eq!(world.call(grow, 5), Some(5));
    assert_eq!(world.log().frames[0].len(), 2 * 6, "a function and a thunk in each activation");
    assert_eq!(world.call(grow, 0), None);
    assert_eq!(world.log().frames[1].len(), 2);
}

/// As `nest`, but at the bottom the guest is given up. Each level answers as if nothing had happened.
fn give_up(vmctx: *mut VmContext, _memory: u32, delta: u64) -> u64 {
    // SAFETY: the guest that called waits.
    let store = unsafe { (*vmctx).store };
    let notes = &Log::of(store).notes;
    let (code, thunk) = (notes[0] as *const u8, notes[1] as *const u8);
    if delta == 0 {
        // SAFETY: as above.
        let outermost = unsafe { divert((*store).exit_fp) };
        assert_eq!(outermost.outer_exit_fp(), None);
    } else {
        assert_eq!(call(store, vmctx, thunk, code, delta - 1), None);
    }
    7
}

#[test]
fn a_guest_that_was_given_up_is_unwound_from_every_activation_whatever_the_host_answers() {
    let mut world = World::new();
    let grow = world.place(grow(), &[GROW]);
    let thunk = world.thunk().addr() as u64;
    world.log().grow = give_up;
    for levels in [0, 5] {
        world.log().notes = vec![grow.addr() as u64, thunk];
        assert_eq!(world.call(grow, levels), None);
        assert_eq!(world.log().notes[2..], vec![0x61fe; levels as usize + 1]);
    }
    world.log().grow = nest;
    world.log().notes = vec![grow.addr() as u64, thunk];
    assert_eq!(world.call(grow, 1), Some(1), "the store is as good as before");
}

#[test]
fn what_is_thrown_goes_on_in_a_handler_with_the_frame_as_it_was() {
    let mut world = World::new();
    let throw = world.place(
        machine_code!(
            "push rbp",
            "mov rbp, rsp",
            "sub rsp, 1024",
            "mov [rbp - 16], rbx",
            "mov [rbp - 8], r14",
            "mov ebx, 7",
            "mov r14, rbx",
            "mov esi, 5",
            "call_target 0",
            "ud2"
        ),
        &[RelocationTarget::Builtin(Builtin::Throw)],
    );
    let catch = machine_code!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 24",
        "mov ebx, 1",
        "mov r12d, 2",
        "mov r13d, 3",
        "mov r14d, 4",
        "mov r15d, 5",
        "call rsi",
        "mov eax, 1",
        "2:",
        "add rsp, 24",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        // The handler.
        "lea rcx, [rbp - 64]",
        "cmp rcx, rsp",
        "jne 9f",
        "cmp rbx, 1",
        "jne 9f",
        "cmp r12, 2",
        "jne 9f",
        "cmp r13, 3",
        "jne 9f",
        "cmp r14, 4",
        "jne 9f",
        "cmp r15, 5",
        "jne 9f",
        "jmp 2b",
        "9:",
        "ud2",
    );
    let after_call = catch.windows(2).position(|code| code == [0xff, 0xd6]).unwrap() + 2;
    let handler = catch.windows(4).position(|code| code == [0x48, 0x8d, 0x4d, 0xc0]).unwrap();
    let catch = world.place(catch, &[]);
    world.log().handler = Some((catch.addr() + after_call, catch.addr() + handler));
    for _ in 0..3 {
        assert_eq!(world.call(catch, throw.addr() as u64), Some(42));
    }
    assert_eq!(world.log().notes, [5, 5, 5]);
    // Without a handler, it ends the activation.
    world.log().handler = None;
    assert_eq!(world.call(catch, throw.addr() as u64), None);
}

#[test]
fn a_host_error_unwinds_from_a_thunk() {
    let mut world = World::new();
    let exit = world.place(
        machine_code!(
            "push rbp",
            "mov rbp, rsp",
            "mov rax, [rdi]",
            "mov rdi, rax",
            "mov esi, 77",
            "call_target 0",
            "ud2",
        ),
        &[RelocationTarget::Builtin(Builtin::HostError)],
    );
    assert_eq!(world.call(exit, 0), None);
    assert_eq!(world.log().stops, [Stop::HostError(77)]);
}

/// Fills every register, calls target 0, and answers 1 if all are as they were. `rdi` keeps the context.
pub fn keep_all_registers() -> &'static [u8] {
    machine_code!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        ".set value, 0x1001",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "mov rax, value",
        "movq xmm\\n, rax",
        "pshufd xmm\\n, xmm\\n, 0x11",
        ".set value, value + 0x1001",
        ".endr",
        ".irp r, rax, rcx, rdx, rsi, rbx, r8, r9, r10, r11, r12, r13, r14, r15",
        "mov \\r, value",
        ".set value, value + 0x1001",
        ".endr",
        "call_target 0",
        "push rax",
        "mov rax, [rsp + 8]",
        "cmp rax, rdi",
        "jne 2f",
        "pop rax",
        ".set value, 0x1001 * 17",
        ".irp r, rax, rcx, rdx, rsi, rbx, r8, r9, r10, r11, r12, r13, r14, r15",
        "cmp \\r, value",
        "jne 2f",
        ".set value, value + 0x1001",
        ".endr",
        ".set value, 0x1001",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "movq rax, xmm\\n",
        "mov rcx, value",
        "shl rcx, 32",
        "cmp rax, rcx",
        "jne 2f",
        "psrldq xmm\\n, 8",
        "movq rax, xmm\\n",
        "cmp rax, rcx",
        "jne 2f",
        ".set value, value + 0x1001",
        ".endr",
        "mov eax, 1",
        "jmp 3f",
        "2:",
        "xor eax, eax",
        "3:",
        "lea rsp, [rbp - 40]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

#[test]
fn interrupts_keep_every_register() {
    let mut world = World::new();
    for (builtin, note) in [(Builtin::EpochReached, 0xe90c4), (Builtin::FuelExhausted, 0xf0e1)] {
        let code = world.place(keep_all_registers(), &[RelocationTarget::Builtin(builtin)]);
        assert_eq!(world.call(code, 0), Some(1), "{builtin:?}");
        assert_eq!(world.log().notes.pop(), Some(note));
    }
    // Its answer is in a register, which this guest finds as it was.
    let code = world.place(keep_all_registers(), &[RelocationTarget::Builtin(Builtin::BecomeHot)]);
    assert_eq!(world.call(code, 0), Some(1));
    assert_eq!(world.log().notes.pop(), Some(0x1001 * (17 + 8)));
    let code = world.place(keep_all_registers(), &[RelocationTarget::Builtin(Builtin::EpochReached)]);
    world.log().epoch_unwinds = true;
    assert_eq!(world.call(code, 0), None);
    assert_eq!(world.log().stops, [Stop::Epoch]);
}

#[test]
fn every_builtin_of_six_words_gets_them_all() {
    let six = machine_code!(
        "push rbp",
        "mov rbp, rsp",
        "mov esi, 11",
        "mov edx, 12",
        "mov ecx, 13",
        "mov r8d, 14",
        "mov r9d, 15",
        "call_target 0",
        "pop rbp",
        "ret",
    );
    let mut world = World::new();
    for &builtin in &[
        Builtin::MemoryFill,
        Builtin::MemoryCopy,
        Builtin::MemoryInit,
        Builtin::DataDrop,
        Builtin::MemoryAtomicNotify,
        Builtin::MemoryAtomicWait32,
        Builtin::MemoryAtomicWait64,
        Builtin::TableGrow,
        Builtin::TableFill,
        Builtin::TableCopy,
        Builtin::TableInit,
        Builtin::ElemDrop,
        Builtin::TableGetFuncRef,
        Builtin::TableGetCallee,
        Builtin::RefFunc,
    ] {
        let code = world.place(six, &[RelocationTarget::Builtin(builtin)]);
        assert_eq!(world.call(code, 0), Some(11), "{builtin:?}");
        assert_eq!(std::mem::take(&mut world.log().notes), [11, 12, 13, 14, 15], "{builtin:?}");
    }
}

#[test]
fn roundings_are_plain_calls() {
    let mut world = World::new();
    let code = world.place(
        machine_code!(
            "push rbp",
            "mov rbp, rsp",
            "movq xmm0, rsi",
            "call_target 0",
            "movq rax, xmm0",
            "pop rbp",
            "ret",
        ),
        &[RelocationTarget::Builtin(Builtin::NearestF64)],
    );
    assert_eq!(world.call(code, 2.5f64.to_bits()), Some(2f64.to_bits()));
}
