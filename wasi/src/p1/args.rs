//! `args_*` and `environ_*`: the strings a guest starts with.

use super::abi::Args;
use super::memory::GuestMemory;
use super::types::{Errno, Error};
use crate::ctx::{Strings, WasiCtx};

/// `args_get(argv, argv_buf)`
pub fn args_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    get(&ctx.args, memory, args.u32(0), args.u32(1))
}

/// `args_sizes_get() -> (count, size)`
pub fn args_sizes_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    sizes(&ctx.args, memory, args.u32(0), args.u32(1))
}

/// `environ_get(environ, environ_buf)`
pub fn environ_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    get(&ctx.env, memory, args.u32(0), args.u32(1))
}

/// `environ_sizes_get() -> (count, size)`
pub fn environ_sizes_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    sizes(&ctx.env, memory, args.u32(0), args.u32(1))
}

fn get(strings: &Strings, memory: GuestMemory<'_>, pointers: u32, buffer: u32) -> Result<(), Error> {
    memory.check(pointers, strings.starts().len() * 4)?;
    memory.write(buffer, strings.bytes())?;
    for (index, start) in strings.starts().iter().enumerate() {
        // In bounds, so none of these overflow: the pointers were checked, and the buffer has been written.
        memory.write_u32(pointers + (index * 4) as u32, buffer.checked_add(*start).ok_or(Errno::Fault)?)?;
    }
    Ok(())
}

fn sizes(strings: &Strings, memory: GuestMemory<'_>, count: u32, size: u32) -> Result<(), Error> {
    memory.check(size, 4)?;
    // Both fit: `Strings` was made so.
    memory.write_u32(count, strings.starts().len() as u32)?;
    memory.write_u32(size, strings.bytes().len() as u32)?;
    Ok(())
}
