//! Every function against arguments chosen to hurt: none may panic, hang, touch what lies around the memory, or leave
//! the directory.

mod support;

use ampoule_wasi::p1::{Args, Ctx, Error, FUNCTIONS, GuestMemory, ValType};
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig, WasiCtx};
use std::time::{Duration, Instant};

/// How many bytes the guest's memory has; around it lie as many that must not change.
const LEN: usize = 1 << 12;
const CANARY: u8 = 0xc5;

struct Arena {
    bytes: Vec<u8>,
}

impl Arena {
    fn new() -> Self {
        let mut bytes = vec![CANARY; 3 * LEN];
        bytes[LEN..2 * LEN].fill(0);
        Self { bytes }
    }

    fn inside(&mut self) -> &mut [u8] {
        &mut self.bytes[LEN..2 * LEN]
    }

    fn check(&self, name: &str) {
        for outside in [&self.bytes[..LEN], &self.bytes[2 * LEN..]] {
            assert!(outside == [CANARY; LEN], "{name} wrote around the memory");
        }
    }
}

/// A small generator of numbers; the seed makes a failure repeatable.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }
}

fn context(dir: &std::path::Path) -> WasiCtx {
    let mut config = WasiConfig::new();
    config.preopen_dir(dir, "/", DirPerms::ALL, FilePerms::ALL).expect("opened");
    config.stdin_bytes(vec![7; 100]);
    config.stdout_callback(Box::new(|bytes| bytes.len() as isize));
    config.set_args(["prog".to_owned(), "arg".to_owned()]).expect("no NUL");
    config.set_env([("N".to_owned(), "v".to_owned())]).expect("no NUL");
    config.max_fds(20);
    // Guests that ask to sleep for ever don't.
    let start = Instant::now();
    config.interrupt_check(Box::new(move || start.elapsed() > Duration::from_millis(5)));
    config.build()
}

fn call(ctx: &mut WasiCtx, arena: &mut Arena, index: usize, args: &[u64]) -> Result<(), Error> {
    let function = FUNCTIONS[index];
    assert_eq!(args.len(), function.params.len());
    let slots: Vec<[u64; 2]> = args.iter().map(|arg| [*arg, u64::MAX]).collect();
    let memory = arena.inside();
    // SAFETY: both live to the end of the call, and nothing else uses them meanwhile.
    let (memory, args) =
        unsafe { (GuestMemory::new(memory.as_mut_ptr(), memory.len()), Args::new(slots.as_ptr().cast(), slots.len())) };
    let answer = (function.call)(&mut Ctx::of(ctx), memory, args);
    arena.check(function.name);
    answer
}

const EDGES_32: [u64; 22] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    64,
    256,
    LEN as u64 - 64,
    LEN as u64 - 8,
    LEN as u64 - 4,
    LEN as u64 - 1,
    LEN as u64,
    LEN as u64 + 1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_f000,
    0xffff_fff8,
    0xffff_fffc,
    0xffff_ffff,
];
const EDGES_64: [u64; 12] =
    [0, 1, 2, 4096, 1 << 20, 0x7fff_ffff, 0xffff_ffff, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];

#[test]
fn every_argument_at_every_edge_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (index, function) in FUNCTIONS.iter().enumerate() {
        for hurt in 0..function.params.len() {
            let edges: &[u64] = if function.params[hurt] == ValType::I32 { &EDGES_32 } else { &EDGES_64 };
            for base in [0, 3, 64, LEN as u64] {
                for edge in edges {
                    let mut args = vec![base; function.params.len()];
                    args[hurt] = *edge;
                    let mut arena = Arena::new();
                    // The answer may be anything; that there is one, is the claim.
                    let _ = call(&mut context(dir.path()), &mut arena, index, &args);
                }
            }
        }
    }
}

#[test]
fn random_calls_in_random_order_over_random_memory() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let dir = root.path().join("inside");
    std::fs::create_dir(&dir).expect("created");
    std::fs::write(root.path().join("outside"), "untouched").expect("written");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60 {
        let mut ctx = context(&dir);
        let mut arena = Arena::new();
        for _ in 0..500 {
            // Memory with some sense in it: small numbers make pointers, tags and lengths that work.
            for word in arena.inside().chunks_exact_mut(4) {
                if random.next().is_multiple_of(8) {
                    let value = if random.next().is_multiple_of(3) { random.next() } else { random.pick(&EDGES_32) };
                    word.copy_from_slice(&(value as u32).to_le_bytes());
                }
            }
            for (address, path) in [(256, &b"../outside"[..]), (512, b"f"), (768, b"d/../f"), (1024, b"d")] {
                arena.inside()[address..][..path.len()].copy_from_slice(path);
            }
            let index = (random.next() % FUNCTIONS.len() as u64) as usize;
            let args: Vec<u64> = FUNCTIONS[index]
                .params
                .iter()
                .map(|param| match (param, random.next() % 4) {
                    (_, 0) => random.pick(&[256, 512, 768, 1024, 10]),
                    (_, 1) => random.next() % 8,
                    (ValType::I32, _) => random.pick(&EDGES_32),
                    (ValType::I64, 2) => random.pick(&EDGES_64),
                    (ValType::I64, _) => (1 << 30) - 1,
                })
                .collect();
            // Allocating what a file system can hold is no bug, only slow to test.
            if FUNCTIONS[index].name != "fd_allocate" {
                let _ = call(&mut ctx, &mut arena, index, &args);
            }
        }
    }
    assert_eq!(std::fs::read(root.path().join("outside")).expect("there"), b"untouched");
    assert_eq!(std::fs::read_dir(root.path()).expect("readable").count(), 2);
}

#[test]
fn every_function_survives_a_guest_without_memory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (index, function) in FUNCTIONS.iter().enumerate() {
        for value in [0, 1, 3, 0xffff_ffff] {
            let slots: Vec<[u64; 2]> = function.params.iter().map(|_| [value, 0]).collect();
            // SAFETY: with length zero the base may be anything; the slots live to the end of the call.
            let (memory, args) =
                unsafe { (GuestMemory::new(std::ptr::null_mut(), 0), Args::new(slots.as_ptr().cast(), slots.len())) };
            let _ = (FUNCTIONS[index].call)(&mut Ctx::of(&mut context(dir.path())), memory, args);
        }
    }
}
