//! `proc_*` and `sched_yield`: the guest as a process.

use super::call::{Args, Ctx};
use super::errno::{Errno, Error};
use super::memory::GuestMemory;

/// `proc_exit(status)`. Statuses from 126 on are refused: shells give them meanings of their own.
pub fn proc_exit(_: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    match args.u32(0) {
        status @ 0..126 => Err(Error::Exit(status)),
        _ => Err(Error::InvalidExitStatus),
    }
}

/// `proc_raise(signal)`. There are no signals.
pub fn proc_raise(_: &mut Ctx<'_>, _: GuestMemory<'_>, _: Args<'_>) -> Result<(), Error> {
    Err(Errno::Notsup.into())
}

/// `sched_yield()`. Also the moment to see whether the guest is to end.
pub fn sched_yield(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, _: Args<'_>) -> Result<(), Error> {
    ctx.host.waiter.check()?;
    std::thread::yield_now();
    Ok(())
}
