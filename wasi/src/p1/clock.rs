//! `clock_*`: the time.

use super::call::{Args, Ctx};
use super::errno::{Errno, Error};
use super::memory::GuestMemory;
use crate::host::clocks::Clock;

/// `clock_res_get(id) -> timestamp`
pub fn clock_res_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let clock = clock(args.u32(0))?;
    memory.write_u64(args.u32(1), ctx.host.clocks.resolution(clock))?;
    Ok(())
}

/// `clock_time_get(id, precision) -> timestamp`. The precision is always the best there is.
pub fn clock_time_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let clock = clock(args.u32(0))?;
    memory.write_u64(args.u32(2), ctx.host.clocks.now(clock))?;
    Ok(())
}

fn clock(id: u32) -> Result<Clock, Errno> {
    match id {
        0 => Ok(Clock::Realtime),
        1 => Ok(Clock::Monotonic),
        // The two CPU-time clocks, which aren't offered. The witx text says `inval` of unsupported clocks; Wasmtime,
        // and the programs written against it, know `badf`.
        2 | 3 => Err(Errno::Badf),
        _ => Err(Errno::Inval),
    }
}
