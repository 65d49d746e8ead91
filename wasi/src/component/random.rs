//! `wasi:random`. What may be insecure is as good as what must not.

use super::cx::Cx;
use super::error::Error;
use super::values::Bytes;
use crate::host::random::CHUNK;

/// The most bytes of one call.
const MAX_BYTES: u64 = 64 << 20;

/// How many bytes are drawn between two looks at what ends a call.
const UNCHECKED_BYTES: usize = 1 << 20;

/// `random.get-random-bytes`, `insecure.get-insecure-random-bytes`
pub fn get_bytes(cx: &mut Cx<'_>, len: u64) -> Result<Bytes, Error> {
    if len > MAX_BYTES {
        return Err(Error::message(format!("{len} random bytes at once: at most {MAX_BYTES} are allowed")));
    }
    let host = cx.host();
    // Fits: it is no more than `MAX_BYTES`.
    let mut bytes = vec![0; len as usize];
    for part in bytes.chunks_mut(UNCHECKED_BYTES) {
        host.waiter.check()?;
        for chunk in part.chunks_mut(CHUNK) {
            host.random.fill(chunk)?;
        }
    }
    Ok(Bytes(bytes))
}

/// `random.get-random-bytes`, `insecure.get-insecure-random-bytes`, where fewer may be given than are asked for.
pub fn get_some_bytes(cx: &mut Cx<'_>, max_len: u64) -> Result<Bytes, Error> {
    get_bytes(cx, max_len.min(MAX_BYTES))
}

/// `random.get-random-u64`, `insecure.get-insecure-random-u64`
pub fn get_u64(cx: &mut Cx<'_>) -> Result<u64, Error> {
    let mut bytes = [0; 8];
    cx.host().random.fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// `insecure-seed.insecure-seed`, `get-insecure-seed`
pub fn get_seed(cx: &mut Cx<'_>) -> Result<(u64, u64), Error> {
    Ok((get_u64(cx)?, get_u64(cx)?))
}
