//! `wasi:clocks`.

use super::io::Pollable;
use crate::component::clocks::monotonic_now;
use crate::component::values::wrong_type;
use crate::component::{Cx, Error, FromVal, IntoVal, Own};
use crate::host::clocks::Clock;
use ampoule_component::{Val, ValRef};

/// `datetime`: a time, or a length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The WIT text documents each.
pub struct Datetime {
    pub seconds: u64,
    pub nanoseconds: u32,
}

/// How many nanoseconds a second has.
const SECOND: u64 = 1_000_000_000;

impl Datetime {
    /// So many nanoseconds.
    pub fn of_nanoseconds(nanoseconds: u64) -> Self {
        // Fits: less than a second.
        Self { seconds: nanoseconds / SECOND, nanoseconds: (nanoseconds % SECOND) as u32 }
    }

    /// How many nanoseconds it is; `None` where those are too many.
    pub fn nanoseconds(self) -> Option<u64> {
        self.seconds.checked_mul(SECOND)?.checked_add(u64::from(self.nanoseconds))
    }
}

impl FromVal for Datetime {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        if let ValRef::Record([seconds, nanoseconds]) = val.get()
            && let (ValRef::U64(seconds), ValRef::U32(nanoseconds)) = (seconds.val.get(), nanoseconds.val.get())
        {
            return Ok(Self { seconds, nanoseconds });
        }
        Err(wrong_type("datetime"))
    }
}

impl IntoVal for Datetime {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let fields = [("seconds", Val::from(self.seconds)), ("nanoseconds", Val::from(self.nanoseconds))];
        Ok(Some(Val::record(fields)))
    }
}

/// `monotonic-clock.subscribe-instant`
pub fn subscribe_instant(_: &mut Cx<'_>, when: u64) -> Result<Own<Pollable>, Error> {
    Ok(Own::new(Pollable::Time(when)))
}

/// `monotonic-clock.subscribe-duration`
pub fn subscribe_duration(cx: &mut Cx<'_>, duration: u64) -> Result<Own<Pollable>, Error> {
    let now = monotonic_now(cx)?;
    Ok(Own::new(Pollable::Time(now.saturating_add(duration))))
}

/// `wall-clock.now`
pub fn wall_now(cx: &mut Cx<'_>) -> Result<Datetime, Error> {
    Ok(Datetime::of_nanoseconds(cx.host().clocks.now(Clock::Realtime)))
}

/// `wall-clock.resolution`
pub fn wall_resolution(cx: &mut Cx<'_>) -> Result<Datetime, Error> {
    Ok(Datetime::of_nanoseconds(cx.host().clocks.resolution(Clock::Realtime)))
}
