//! `wasi:clocks`: the time that always goes on.

use super::cx::Cx;
use super::error::Error;
use crate::host::clocks::Clock;

/// `monotonic-clock.now`
pub fn monotonic_now(cx: &mut Cx<'_>) -> Result<u64, Error> {
    Ok(cx.host().clocks.now(Clock::Monotonic))
}

/// `monotonic-clock.resolution`, `monotonic-clock.get-resolution`
pub fn monotonic_resolution(cx: &mut Cx<'_>) -> Result<u64, Error> {
    Ok(cx.host().clocks.resolution(Clock::Monotonic))
}
