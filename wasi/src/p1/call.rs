//! What a function of preview 1 is, and what it is called with.
//!
//! A call costs one indirect call: arguments are read where the caller's thunk left them, and nothing is allocated on
//! the way.

use super::descriptor::FdTable;
use super::errno::Error;
use super::memory::GuestMemory;
use crate::host::{Host, WasiCtx};
use std::marker::PhantomData;

/// The types that parameters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names of core types.
pub enum ValType {
    I32,
    I64,
}
/// The code of a function. `Ok` stands for the error number 0.
pub type Call = fn(&mut Ctx<'_>, GuestMemory<'_>, Args<'_>) -> Result<(), Error>;

/// One function of preview 1.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name in the module that guests import from.
    pub name: &'static str,
    /// The types of its parameters. Results proper go to addresses that are among these.
    pub params: &'static [ValType],
    /// The types of its results: an error number, or nothing where the function doesn't return.
    pub results: &'static [ValType],
    /// Its code. The arguments must be as many as `params`.
    pub call: Call,
}

/// What a guest has: the host, and its descriptors.
pub struct Ctx<'a> {
    /// The host's part.
    pub host: &'a mut Host,
    /// The descriptors, by number.
    pub fds: &'a mut FdTable,
}

impl<'a> Ctx<'a> {
    /// Preview 1's view of a context. At the first time it opens the standard streams and the preopened directories.
    #[inline]
    pub fn of(ctx: &'a mut WasiCtx) -> Self {
        let (host, fds) = ctx.with_state(FdTable::of);
        Self { host, fds }
    }
}

/// The arguments of one call, in the slots that the engine passes raw values in: 16 bytes each, the value in the first
/// four or eight.
///
/// 1. `slots` starts `count` slots, readable for `'a`, whose first four (i32) or eight (i64) bytes are initialised.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    slots: *const [u64; 2],
    count: usize,
    lifetime: PhantomData<&'a ()>,
}

impl<'a> Args<'a> {
    /// Views `count` slots at `slots`, which must be aligned to 8 bytes.
    ///
    /// # Safety
    /// The slots must stay readable until `'a` ends, and hold the values that the function's [`Function::params`] name.
    pub unsafe fn new(slots: *const u8, count: usize) -> Self {
        debug_assert!(slots.addr().is_multiple_of(8));
        Self { slots: slots.cast(), count, lifetime: PhantomData }
    }

    /// Argument `index`, an i32.
    pub fn u32(self, index: usize) -> u32 {
        assert!(index < self.count, "a function reads only its own parameters");
        // SAFETY: in bounds by the line above and (1), which also says that these four bytes are initialised.
        unsafe { self.slots.add(index).cast::<u32>().read() }
    }

    /// Argument `index`, an i64.
    pub fn u64(self, index: usize) -> u64 {
        assert!(index < self.count, "a function reads only its own parameters");
        // SAFETY: in bounds by the line above and (1), which also says that these eight bytes are initialised.
        unsafe { self.slots.add(index).cast::<u64>().read() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_from_their_slots() {
        let slots = [[0xffff_ffff_0000_0005_u64, 9], [u64::MAX - 1, 9]];
        // SAFETY: two initialised slots, alive to the end of the test.
        let args = unsafe { Args::new(slots.as_ptr().cast(), 2) };
        assert_eq!((args.u32(0), args.u64(1)), (5, u64::MAX - 1));
    }
}
