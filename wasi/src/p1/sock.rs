//! `sock_*`: calls on sockets, of which a guest has none. Flags are checked all the same.

use super::abi::Args;
use super::memory::GuestMemory;
use super::types::{Errno, Error, FdFlags, RiFlags, SdFlags};
use crate::ctx::WasiCtx;
use crate::sockets::refusal;

/// `sock_accept(fd, flags) -> fd`
pub fn sock_accept(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    FdFlags::from_bits(args.u32(1).into()).ok_or(Errno::Inval)?;
    Err(refusal(&ctx.table, args.u32(0)).into())
}

/// `sock_recv(fd, ri_data, ri_data_len, ri_flags) -> (size, roflags)`
pub fn sock_recv(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    RiFlags::from_bits(args.u32(3).into()).ok_or(Errno::Inval)?;
    Err(refusal(&ctx.table, args.u32(0)).into())
}

/// `sock_send(fd, si_data, si_data_len, si_flags) -> size`
pub fn sock_send(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    Err(refusal(&ctx.table, args.u32(0)).into())
}

/// `sock_shutdown(fd, how)`
pub fn sock_shutdown(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    SdFlags::from_bits(args.u32(1).into()).ok_or(Errno::Inval)?;
    Err(refusal(&ctx.table, args.u32(0)).into())
}
