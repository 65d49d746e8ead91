//! `sock_*`: calls on sockets, of which a guest has none. Flags are checked all the same.
//!
//! Preview 1 can accept, send and receive on sockets, but not make one; they would have to be preopened, and the C API
//! has no way to say so. The calls therefore answer as for any descriptor that isn't a socket.

use super::call::{Args, Ctx};
use super::descriptor::FdTable;
use super::errno::{Errno, Error};
use super::memory::GuestMemory;
use super::types::{FdFlags, RiFlags, SdFlags};

/// `sock_accept(fd, flags) -> fd`
pub fn sock_accept(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    FdFlags::from_bits(args.u32(1).into()).ok_or(Errno::Inval)?;
    Err(refusal(ctx.fds, args.u32(0)))
}

/// `sock_recv(fd, ri_data, ri_data_len, ri_flags) -> (size, roflags)`
pub fn sock_recv(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    RiFlags::from_bits(args.u32(3).into()).ok_or(Errno::Inval)?;
    Err(refusal(ctx.fds, args.u32(0)))
}

/// `sock_send(fd, si_data, si_data_len, si_flags) -> size`
pub fn sock_send(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    Err(refusal(ctx.fds, args.u32(0)))
}

/// `sock_shutdown(fd, how)`
pub fn sock_shutdown(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    SdFlags::from_bits(args.u32(1).into()).ok_or(Errno::Inval)?;
    Err(refusal(ctx.fds, args.u32(0)))
}

/// Why `fd` can't be used as a socket: `notsock` when it is open, else `badf`.
fn refusal(fds: &FdTable, fd: u32) -> Error {
    match fds.get(fd) {
        Ok(_) => Errno::Notsock.into(),
        Err(error) => error,
    }
}
