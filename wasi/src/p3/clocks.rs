//! `wasi:clocks`.

use crate::component::clocks::monotonic_now;
use crate::component::later::Call;
use crate::component::values::wrong_type;
use crate::component::{Cx, Error, FromVal, IntoVal};
use crate::host::clocks::Clock;
use crate::host::poll::Interest;
use ampoule_component::{Val, ValRef};

/// `instant`: a time since 1970, or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The WIT text documents each.
pub struct Instant {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// How many nanoseconds a second has.
const SECOND: u64 = 1_000_000_000;

impl Instant {
    /// So many nanoseconds after 1970.
    pub fn of_nanoseconds(nanoseconds: u64) -> Self {
        // Both fit: 2^64 ns are about 2^34 s.
        Self { seconds: (nanoseconds / SECOND) as i64, nanoseconds: (nanoseconds % SECOND) as u32 }
    }

    /// How many nanoseconds after 1970 it is; `None` where it is before, or those are too many.
    pub fn nanoseconds(self) -> Option<u64> {
        u64::try_from(self.seconds).ok()?.checked_mul(SECOND)?.checked_add(u64::from(self.nanoseconds))
    }
}

impl FromVal for Instant {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        if let ValRef::Record([seconds, nanoseconds]) = val.get()
            && let (ValRef::S64(seconds), ValRef::U32(nanoseconds)) = (seconds.val.get(), nanoseconds.val.get())
        {
            return Ok(Self { seconds, nanoseconds });
        }
        Err(wrong_type("instant"))
    }
}

impl IntoVal for Instant {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let fields = [("seconds", Val::from(self.seconds)), ("nanoseconds", Val::from(self.nanoseconds))];
        Ok(Some(Val::record(fields)))
    }
}

/// `monotonic-clock.wait-until`
pub async fn wait_until(call: Call, when: u64) -> Result<(), Error> {
    call.retry(|cx| Ok(cx.wait_for(Interest::Time { clock: Clock::Monotonic, deadline: when })?)).await
}

/// `monotonic-clock.wait-for`
pub async fn wait_for(call: Call, how_long: u64) -> Result<(), Error> {
    let now = call.with(monotonic_now)?;
    wait_until(call, now.saturating_add(how_long)).await
}

/// `system-clock.now`
pub fn system_now(cx: &mut Cx<'_>) -> Result<Instant, Error> {
    Ok(Instant::of_nanoseconds(cx.host().clocks.now(Clock::Realtime)))
}

/// `system-clock.get-resolution`
pub fn system_resolution(cx: &mut Cx<'_>) -> Result<u64, Error> {
    Ok(cx.host().clocks.resolution(Clock::Realtime))
}
