//! Standard input, clocks and randomness of C's.

use super::error::{ampoule_wasi_error_t, check};
use super::{Table, availability, need};
use crate::foreign::{Finalizer, Foreign};
use ampoule::Error;
use ampoule_wasi::host;
use ampoule_wasi::host::available::Availability;
use ampoule_wasi::host::clocks::Clock;
use ampoule_wasi::{ClockSource, Input, RandomSource};
use std::ffi::{c_int, c_void};

type Read = extern "C" fn(env: *mut c_void, buffer: *mut u8, len: usize, count: &mut usize) -> ampoule_wasi_error_t;
type Ready = extern "C" fn(env: *mut c_void, fd: &mut c_int) -> u8;

/// Standard input.
#[repr(C)]
pub struct ampoule_wasi_stdin_t {
    size: usize,
    env: *mut c_void,
    finalizer: Finalizer,
    read: Option<Read>,
    ready: Option<Ready>,
}

// SAFETY: as the trait says; null functions and pointers are zero.
unsafe impl Table for ampoule_wasi_stdin_t {}

pub struct CInput {
    read: Read,
    ready: Option<Ready>,
    env: Foreign,
}

impl CInput {
    pub fn new(table: &ampoule_wasi_stdin_t, env: Foreign) -> Result<Self, Error> {
        Ok(Self { read: need(table.read, "ampoule_wasi_stdin_t", "read")?, ready: table.ready, env })
    }
}

impl Input for CInput {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, host::Error> {
        let mut count = 0;
        check((self.read)(self.env.data(), out.as_mut_ptr(), out.len(), &mut count))?;
        Ok(count)
    }

    fn available(&self) -> Option<Availability<'_>> {
        let mut fd = -1;
        self.ready.map(|ready| availability(ready(self.env.data(), &mut fd), fd))
    }
}

/// Clocks.
#[repr(C)]
pub struct ampoule_wasi_clocks_t {
    size: usize,
    env: *mut c_void,
    finalizer: Finalizer,
    realtime: Option<extern "C" fn(env: *mut c_void) -> u64>,
    monotonic: Option<extern "C" fn(env: *mut c_void) -> u64>,
    resolution: Option<extern "C" fn(env: *mut c_void, clock: u8) -> u64>,
    skip_to: Option<extern "C" fn(env: *mut c_void, clock: u8, deadline: u64) -> u8>,
}

// SAFETY: as above.
unsafe impl Table for ampoule_wasi_clocks_t {}

pub struct CClocks {
    table: ampoule_wasi_clocks_t,
    env: Foreign,
}

// SAFETY: the header says that the functions are called by whatever thread uses the store; the pointer is `env`'s.
unsafe impl Send for CClocks {}
// SAFETY: a store is used by one thread at a time, which is the one that calls.
unsafe impl Sync for CClocks {}

impl CClocks {
    pub fn new(table: ampoule_wasi_clocks_t, env: Foreign) -> Self {
        Self { table, env }
    }
}

fn number(clock: Clock) -> u8 {
    match clock {
        Clock::Realtime => 0,
        Clock::Monotonic => 1,
    }
}

impl ClockSource for CClocks {
    fn now(&self, clock: Clock) -> Option<u64> {
        let now = match clock {
            Clock::Realtime => self.table.realtime,
            Clock::Monotonic => self.table.monotonic,
        };
        now.map(|now| now(self.env.data()))
    }

    fn resolution(&self, clock: Clock) -> Option<u64> {
        self.table.resolution.map(|resolution| resolution(self.env.data(), number(clock)))
    }

    fn skip_to(&self, clock: Clock, deadline: u64) -> bool {
        self.table.skip_to.is_some_and(|skip_to| skip_to(self.env.data(), number(clock), deadline) != 0)
    }
}

/// Randomness.
#[repr(C)]
pub struct ampoule_wasi_random_t {
    size: usize,
    env: *mut c_void,
    finalizer: Finalizer,
    fill: Option<extern "C" fn(env: *mut c_void, buffer: *mut u8, len: usize) -> ampoule_wasi_error_t>,
}

// SAFETY: as above.
unsafe impl Table for ampoule_wasi_random_t {}

pub fn random_source(table: &ampoule_wasi_random_t, env: Foreign) -> Result<RandomSource, Error> {
    let fill = need(table.fill, "ampoule_wasi_random_t", "fill")?;
    Ok(Box::new(move |out| {
        out.fill(0);
        check(fill(env.data(), out.as_mut_ptr(), out.len()))
    }))
}
