//! `random_get`: randomness.

use super::call::{Args, Ctx};
use super::errno::Error;
use super::memory::GuestMemory;
use crate::host::random::CHUNK;

/// How many bytes are drawn between two looks at what ends a call.
const UNCHECKED_BYTES: u64 = 1 << 20;

/// `random_get(buf, buf_len)`
pub fn random_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (start, len) = (args.u32(0), args.u32(1));
    memory.check(start, len as usize)?;
    // Both in 64 bits: the last chunk may end where the address space does.
    let (mut address, end) = (u64::from(start), u64::from(start) + u64::from(len));
    let mut chunk = [0; CHUNK];
    while address < end {
        let bytes = &mut chunk[..CHUNK.min((end - address) as usize)];
        ctx.host.random.fill(bytes)?;
        // Fits: below `end`, whose last byte has a 32-bit address.
        memory.write(address as u32, bytes)?;
        address += bytes.len() as u64;
        if (address - u64::from(start)) % UNCHECKED_BYTES == 0 {
            ctx.host.waiter.check()?;
        }
    }
    Ok(())
}
