//! Modules whose functions are compiled when they are first called.

use crate::builtins::Stop;
use crate::guest::{World, function, machine_code};
use crate::memory;
use ampoule::engine::optimizer::{Optimizer, TierUp};
use ampoule::module::code_table::{By, ModuleCode, Wanted, compile_all};
use ampoule_core::artifact::{CompiledFunction, RelocationTarget};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::tunables::Tier;
use ampoule_machine::code::link::Text;
use ampoule_machine::code::registry;
use ampoule_machine::os::sleeper::Sleeper;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, RwLock};
use std::thread;
use std::time::Duration;

fn func(index: u32) -> RelocationTarget {
    RelocationTarget::Func(FuncIndex(index))
}

/// Fills every register that may carry an argument, and two stack slots, and calls target 0, which takes the slots off the stack.
fn call_with_everything() -> &'static [u8] {
    machine_code!(
        "push rbp",
        "mov rbp, rsp",
        ".set value, 0x1001",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7",
        "mov rax, value",
        "movq xmm\\n, rax",
        "pshufd xmm\\n, xmm\\n, 0x11",
        ".set value, value + 0x1001",
        ".endr",
        ".irp r, rcx, rdx, rsi, r8, r9",
        "mov \\r, value",
        ".set value, value + 0x1001",
        ".endr",
        "push 0x7777",
        "push 0x6666",
        "call_target 0",
        "pop rbp",
        "ret",
    )
}

/// Answers 1 if everything arrived.
fn check_everything() -> &'static [u8] {
    machine_code!(
        "push rbp",
        "mov rbp, rsp",
        "cmp qword ptr [rbp + 16], 0x6666",
        "jne 2f",
        "cmp qword ptr [rbp + 24], 0x7777",
        "jne 2f",
        "mov rax, [rdi]",
        "cmp rdi, [rdi + 16]",
        "jne 2f",
        ".set value, 0x1001 * 9",
        ".irp r, rcx, rdx, rsi, r8, r9",
        "cmp \\r, value",
        "jne 2f",
        ".set value, value + 0x1001",
        ".endr",
        ".set value, 0x1001",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7",
        "mov rcx, value",
        "shl rcx, 32",
        "movq rax, xmm\\n",
        "cmp rax, rcx",
        "jne 2f",
        "psrldq xmm\\n, 8",
        "movq rax, xmm\\n",
        "cmp rax, rcx",
        "jne 2f",
        ".set value, value + 0x1001",
        ".endr",
        "mov eax, 1",
        "pop rbp",
        "ret 16",
        "2:",
        "xor eax, eax",
        "pop rbp",
        "ret 16",
    )
}

/// Calls target 0 with its own arguments, and adds one.
fn call_and_add() -> &'static [u8] {
    machine_code!("push rbp", "mov rbp, rsp", "call_target 0", "inc rax", "pop rbp", "ret")
}

fn identity() -> &'static [u8] {
    machine_code!("mov rax, rsi", "ret")
}

#[test]
fn a_first_call_keeps_every_argument() {
    let mut world = World::new();
    // SAFETY: the guest reads this word back through its context.
    unsafe { (*world.vmctx).instance = world.vmctx.cast() };
    let code = ModuleCode::lazy(
        &memory(),
        2,
        0,
        1 << 16,
        Vec::new(),
        None,
        Box::new(|index: DefinedFuncIndex, _: Wanted<'_>| {
            Ok(match index.0 {
                0 => function(call_with_everything(), &[func(1)]),
                _ => function(check_everything(), &[]),
            })
        }),
    )
    .unwrap();
    for _ in 0..2 {
        assert_eq!(world.call(code.entry(DefinedFuncIndex(0)), 0), Some(1));
    }
}

#[test]
fn functions_are_compiled_when_called_and_found_from_then_on() {
    let mut world = World::new();
    let compiled = Arc::new(AtomicUsize::new(0));
    let counter = compiled.clone();
    // Two imports come first: defined function 0 is function 2.
    let code = ModuleCode::lazy(
        &memory(),
        3,
        2,
        1 << 16,
        Vec::new(),
        None,
        Box::new(move |index: DefinedFuncIndex, _: Wanted<'_>| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(match index.0 {
                0 => function(call_and_add(), &[func(3)]),
                1 => function(call_and_add(), &[func(4)]),
                _ => function(identity(), &[]),
            })
        }),
    )
    .unwrap();
    let stub = code.entry(DefinedFuncIndex(0));
    assert!(code.find(stub.addr()).is_none());
    assert_eq!(world.call(stub, 5), Some(7));
    assert_eq!(world.call(stub, 6), Some(8));
    assert_eq!(compiled.load(Ordering::Relaxed), 3);
    for index in (0..3).map(DefinedFuncIndex) {
        let body = code.entry(index).addr();
        assert_ne!(body, stub.addr());
        assert_eq!(place(&code, body + 1), Some((index, 1)));
        assert!(Arc::ptr_eq(&registry::lookup::<ModuleCode>(body).unwrap(), &code));
        assert!(code.contains(body));
    }
    let range = code.range();
    drop(code);
    assert!(registry::lookup::<ModuleCode>(range.start).is_none());
}

#[test]
fn a_function_that_cannot_be_compiled_stops_the_guest() {
    let mut world = World::new();
    let tries = AtomicUsize::new(0);
    let code = ModuleCode::lazy(
        &memory(),
        2,
        0,
        1 << 16,
        Vec::new(),
        None,
        Box::new(move |index: DefinedFuncIndex, _: Wanted<'_>| {
            match (index.0, tries.fetch_add(1, Ordering::Relaxed)) {
                (0, _) => Ok(function(call_and_add(), &[func(1)])),
                (_, 1) => Err("too hard".to_string()),
                (_, 2) => panic!("much too hard"),
                _ => Ok(function(identity(), &[])),
            }
        }),
    )
    .unwrap();
    let entry = code.entry(DefinedFuncIndex(0));
    assert_eq!((world.call(entry, 1), world.call(entry, 1)), (None, None));
    assert_eq!(
        world.log().stops,
        [
            Stop::CompileFailed("too hard".to_string()),
            Stop::CompileFailed("the compiler panicked: much too hard".to_string())
        ]
    );
    assert_eq!(world.call(entry, 1), Some(2), "a later call tries again");
}

/// A compiler takes more stack than a guest leaves.
#[test]
fn compilers_have_room_where_guests_have_little() {
    fn deep(levels: usize) -> usize {
        let block = std::hint::black_box([levels as u8; 1024]);
        if levels == 0 { 0 } else { deep(levels - 1) + usize::from(block[0] == levels as u8) }
    }
    let run = || {
        let mut world = World::new();
        let compile = |_: DefinedFuncIndex, _: Wanted<'_>| {
            assert_eq!(deep(255), 255);
            Ok(function(identity(), &[]))
        };
        let code = ModuleCode::lazy(&memory(), 1, 0, 1 << 16, Vec::new(), None, Box::new(compile)).unwrap();
        assert_eq!(world.call(code.entry(DefinedFuncIndex(0)), 3), Some(3));
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn threads_that_call_one_function_compile_it_once() {
    const FUNCTIONS: u32 = 64;
    let compiled: Arc<[AtomicUsize; FUNCTIONS as usize]> =
        Arc::new([const { AtomicUsize::new(0) }; FUNCTIONS as usize]);
    let counters = compiled.clone();
    let code = ModuleCode::lazy(
        &memory(),
        FUNCTIONS as usize,
        0,
        1 << 16,
        Vec::new(),
        None,
        Box::new(move |index: DefinedFuncIndex, _: Wanted<'_>| {
            counters[index.index()].fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_micros(300));
            Ok(if index.0 + 1 == FUNCTIONS {
                function(identity(), &[])
            } else {
                function(call_and_add(), &[func(index.0 + 1)])
            })
        }),
    )
    .unwrap();
    let together = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (code, together) = (code.clone(), together.clone());
            std::thread::spawn(move || {
                let mut world = World::new();
                together.wait();
                // Half of them begin in the middle.
                let start = (number % 2) * FUNCTIONS / 2;
                let expected = u64::from(FUNCTIONS - 1 - start) + 100;
                assert_eq!(world.call(code.entry(DefinedFuncIndex(start)), 100), Some(expected));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(compiled.iter().all(|count| count.load(Ordering::Relaxed) == 1));
}

#[test]
fn a_full_region_gets_another() {
    let mut world = World::new();
    let compile = |index: DefinedFuncIndex, _: Wanted<'_>| {
        let mut compiled =
            if index.0 == 0 { function(identity(), &[]) } else { function(call_and_add(), &[func(index.0 - 1)]) };
        // Constants behind the code.
        compiled.code.resize(3000, 0);
        Ok(compiled)
    };
    let code = ModuleCode::lazy(&memory(), 100, 0, 4096, Vec::new(), None, Box::new(compile)).unwrap();
    let last = code.entry(DefinedFuncIndex(99));
    assert_eq!(world.call(last, 0), Some(99));
    assert_eq!(world.call(last, 1), Some(100));
    let elsewhere = (0..100).map(|index| code.entry(DefinedFuncIndex(index)).addr());
    let elsewhere: Vec<_> = elsewhere.filter(|pc| !code.range().contains(pc)).collect();
    assert!(elsewhere.len() > 50);
    for &pc in &elsewhere {
        assert!(Arc::ptr_eq(&registry::lookup::<ModuleCode>(pc).unwrap(), &code) && code.contains(pc));
    }
    drop(code);
    assert!(elsewhere.iter().all(|&pc| registry::lookup::<ModuleCode>(pc).is_none()));
}

/// Three functions: the last calls the second calls the first, which asks builtin `memory_grow`.
pub fn three(index: DefinedFuncIndex, _: Wanted<'_>) -> Result<CompiledFunction, String> {
    Ok(match index.0 {
        0 => function(
            machine_code!("push rbp", "mov rbp, rsp", "mov rdx, rsi", "mov esi, 3", "call_target 0", "pop rbp", "ret"),
            &[RelocationTarget::Builtin(Builtin::MemoryGrow)],
        ),
        index => function(call_and_add(), &[func(index - 1)]),
    })
}

#[test]
fn what_was_compiled_at_once_runs_without_stubs() {
    let mut world = World::new();
    world.log().grow = |_, memory, delta| u64::from(memory) * delta;
    for parallel in [false, true] {
        let functions = compile_all(3, parallel, &three).unwrap();
        let code = ModuleCode::linked(&memory(), Text::link(functions, 0).unwrap(), 0).unwrap();
        assert_eq!(world.call(code.entry(DefinedFuncIndex(2)), 10), Some(32));
        let entry = code.entry(DefinedFuncIndex(1)).addr();
        assert_eq!(place(&code, entry + 2), Some((DefinedFuncIndex(1), 2)));
        assert_eq!(place(&code, code.range().start), None);
        // And again from what an artifact would keep.
        let again = ModuleCode::linked(&memory(), code.text(false).unwrap(), 0).unwrap();
        assert_eq!(world.call(again.entry(DefinedFuncIndex(2)), 10), Some(32));
    }
    assert!(compile_all(3, true, &|_, _| Err("no".to_string())).is_err());
}

/// Guests whose time is over again and again leave no more than that behind.
#[test]
fn at_most_two_compilations_go_on_that_nobody_waits_for() {
    let begun = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(RwLock::new(()));
    let closed = gate.write().unwrap();
    let (counter, entrance) = (begun.clone(), gate.clone());
    let compile = move |_: DefinedFuncIndex, _: Wanted<'_>| {
        counter.fetch_add(1, Ordering::SeqCst);
        drop(entrance.read().unwrap());
        Ok(function(identity(), &[]))
    };
    let code = ModuleCode::lazy(&memory(), 5, 0, 1 << 16, Vec::new(), None, Box::new(compile)).unwrap();
    for index in 0..5 {
        let left = code.compile_or_leave(DefinedFuncIndex(index), By::Another, &mut |_: &Sleeper, _| false);
        assert_eq!(left.unwrap(), None);
    }
    while begun.load(Ordering::SeqCst) < 2 {
        thread::yield_now();
    }
    // Time for a third to begin, if there were one.
    thread::sleep(Duration::from_millis(50));
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    drop(closed);
    for index in 0..5 {
        let mut to_the_end = |sleeper: &Sleeper, timeout| {
            sleeper.sleep(timeout);
            true
        };
        assert!(code.compile_or_leave(DefinedFuncIndex(index), By::Another, &mut to_the_end).unwrap().is_some());
    }
    assert_eq!(begun.load(Ordering::SeqCst), 5);
}

/// The function whose code lies there, and the offset in that.
fn place(code: &ModuleCode, pc: usize) -> Option<(DefinedFuncIndex, u32)> {
    code.find(pc).map(|found| (found.func, found.offset))
}

/// Answers its argument and one more.
fn successor() -> &'static [u8] {
    machine_code!("lea rax, [rsi + 1]", "ret")
}

/// The first function calls the second, whose first code is an identity, and its better code isn't. The third has but one.
#[test]
fn better_code_replaces_the_first_for_those_who_call_it() {
    let mut world = World::new();
    let compile = |func: DefinedFuncIndex, wanted: Wanted<'_>| {
        let first = matches!(wanted, Wanted::AtFirst(Some(_)));
        let compiled = match func.0 {
            0 => function(call_and_add(), &[RelocationTarget::Func(FuncIndex(1))]),
            1 if first => function(identity(), &[]),
            _ => function(successor(), &[]),
        };
        let tier = if first && func.0 < 2 { Tier::Baseline } else { Tier::Optimizing };
        Ok(CompiledFunction { tier, ..compiled })
    };
    let up = TierUp { after: 1000, optimizer: Optimizer::new(0, &memory()) };
    let code = ModuleCode::lazy(&memory(), 3, 0, 1 << 16, Vec::new(), Some(&up), Box::new(compile)).unwrap();
    let [caller, callee, other] = [0, 1, 2].map(DefinedFuncIndex);
    let stubs = [0, 1, 2].map(|func| code.entry(DefinedFuncIndex(func)));
    assert_eq!(
        (world.call(stubs[0], 5), world.call(stubs[1], 5), world.call(stubs[2], 5)),
        (Some(6), Some(5), Some(6))
    );
    // Only code that is kept is given out.
    assert_eq!((code.entry(caller), code.entry(callee)), (stubs[0], stubs[1]));
    assert_ne!(code.entry(other), stubs[2]);
    let first = code.compile(callee).unwrap();
    assert_eq!(place(&code, first), Some((callee, 0)));
    assert!(code.become_hot(callee, None).is_none());
    assert_eq!((world.call(stubs[0], 5), world.call(stubs[1], 5)), (Some(7), Some(6)));
    assert!(code.become_hot(caller, None).is_none());
    assert_eq!(world.call(code.entry(caller), 5), Some(7));
    // Who is still in the first code is found there.
    assert_eq!(place(&code, first), Some((callee, 0)));
    let kept = code.entry(callee);
    assert!(kept != stubs[1] && place(&code, kept.addr()) == Some((callee, 0)));
    code.become_hot(callee, None);
    assert_eq!(code.entry(callee), kept);
}

#[test]
fn what_can_not_be_optimized_stays_as_it_is() {
    let mut world = World::new();
    let tried = Arc::new(AtomicUsize::new(0));
    let counter = tried.clone();
    let compile = move |_: DefinedFuncIndex, wanted: Wanted<'_>| {
        if let Wanted::Better(_) = wanted {
            counter.fetch_add(1, Ordering::SeqCst);
            return Err("too large".to_string());
        }
        Ok(CompiledFunction { tier: Tier::Baseline, ..function(identity(), &[]) })
    };
    let up = TierUp { after: 1000, optimizer: Optimizer::new(0, &memory()) };
    let code = ModuleCode::lazy(&memory(), 1, 0, 1 << 16, Vec::new(), Some(&up), Box::new(compile)).unwrap();
    let func = DefinedFuncIndex(0);
    for _ in 0..3 {
        assert_eq!(world.call(code.entry(func), 5), Some(5));
        code.become_hot(func, None);
    }
    assert_eq!(tried.load(Ordering::SeqCst), 1);
}

/// The second function is referred to.
#[test]
fn references_lead_to_the_code_that_a_function_keeps_and_never_to_what_is_replaced() {
    let mut world = World::new();
    let compile = |_: DefinedFuncIndex, wanted: Wanted<'_>| {
        let is_first = matches!(wanted, Wanted::AtFirst(Some(_)));
        let (code, tier) = if is_first { (identity(), Tier::Baseline) } else { (successor(), Tier::Optimizing) };
        Ok(CompiledFunction { tier, ..function(code, &[]) })
    };
    let up = TierUp { after: 1000, optimizer: Optimizer::new(0, &memory()) };
    let [other, func] = [0, 1].map(DefinedFuncIndex);
    let code = ModuleCode::lazy(&memory(), 2, 0, 1 << 16, vec![func], Some(&up), Box::new(compile)).unwrap();
    let stub = code.referred(func);
    assert_eq!((code.func_of_stub(stub.addr()), code.func_of_stub(code.entry(func).addr())), (Some(func), Some(func)));
    assert_ne!(stub, code.entry(func));
    assert_eq!((code.func_of_stub(stub.addr() + 8), code.referred(other)), (None, code.entry(other)));
    assert_eq!(world.call(stub, 5), Some(5));
    assert_eq!((code.referred(func), code.kept(func)), (stub, None));
    code.become_hot(func, None);
    let kept = code.kept(func).unwrap();
    assert_eq!((code.referred(func), code.entry(func)), (kept, kept));
    // By the builtin, which here writes no reference, and without it.
    assert_eq!(world.call(stub, 5), Some(6));
    code.pass_on(func);
    assert_eq!(world.call(stub, 5), Some(6));
}
