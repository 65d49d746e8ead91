//! `request-options`.

use crate::component::resources::entries;
use crate::component::{Cx, Error, Fail, Handle, IntoVal, Own};
use crate::host::http::client::{DEFAULT_TIMEOUT, Timeouts};
use ampoule_component::Val;
use std::time::Duration;

entries! {
    RequestOptions = 32 "request-options",
}

/// How long a request may take: nanoseconds, as the guest says them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    connect: Option<u64>,
    first_byte: Option<u64>,
    between_bytes: Option<u64>,
}

impl From<Times> for Timeouts {
    fn from(times: Times) -> Self {
        let time = |time: Option<u64>| time.map_or(DEFAULT_TIMEOUT, Duration::from_nanos);
        Self {
            connect: time(times.connect),
            first_byte: time(times.first_byte),
            between_bytes: time(times.between_bytes),
        }
    }
}

/// Times, and whether the guest may change them. Those of a request are the request's.
#[derive(Debug)]
pub struct RequestOptions {
    times: Times,
    is_mutable: bool,
}

impl RequestOptions {
    /// Those of a request: they can be looked at.
    pub fn of_request(times: Times) -> Self {
        Self { times, is_mutable: false }
    }

    /// For a request.
    pub fn times(self) -> Times {
        self.times
    }
}

/// `request-options-error`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsError {
    /// They are a request's.
    Immutable,
}

impl IntoVal for OptionsError {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let Self::Immutable = self;
        Ok(Some(Val::variant("immutable", None)))
    }
}

type This = Handle<RequestOptions>;

/// `request-options.constructor`
pub fn new(_: &mut Cx<'_>) -> Result<Own<RequestOptions>, Error> {
    Ok(Own::new(RequestOptions { times: Times::default(), is_mutable: true }))
}

fn of_guest<'a>(cx: &'a mut Cx<'_>, this: This) -> Result<&'a mut Times, Fail<OptionsError>> {
    let options = cx.entry(this)?.1;
    if options.is_mutable { Ok(&mut options.times) } else { Err(Fail::Err(OptionsError::Immutable)) }
}

/// `request-options.get-connect-timeout`
pub fn get_connect(cx: &mut Cx<'_>, this: This) -> Result<Option<u64>, Error> {
    Ok(cx.entry(this)?.1.times.connect)
}

/// `request-options.set-connect-timeout`
pub fn set_connect(cx: &mut Cx<'_>, this: This, time: Option<u64>) -> Result<(), Fail<OptionsError>> {
    of_guest(cx, this)?.connect = time;
    Ok(())
}

/// `request-options.get-first-byte-timeout`
pub fn get_first_byte(cx: &mut Cx<'_>, this: This) -> Result<Option<u64>, Error> {
    Ok(cx.entry(this)?.1.times.first_byte)
}

/// `request-options.set-first-byte-timeout`
pub fn set_first_byte(cx: &mut Cx<'_>, this: This, time: Option<u64>) -> Result<(), Fail<OptionsError>> {
    of_guest(cx, this)?.first_byte = time;
    Ok(())
}

/// `request-options.get-between-bytes-timeout`
pub fn get_between_bytes(cx: &mut Cx<'_>, this: This) -> Result<Option<u64>, Error> {
    Ok(cx.entry(this)?.1.times.between_bytes)
}

/// `request-options.set-between-bytes-timeout`
pub fn set_between_bytes(cx: &mut Cx<'_>, this: This, time: Option<u64>) -> Result<(), Fail<OptionsError>> {
    of_guest(cx, this)?.between_bytes = time;
    Ok(())
}

/// `request-options.clone`
pub fn clone(cx: &mut Cx<'_>, this: This) -> Result<Own<RequestOptions>, Error> {
    let times = cx.entry(this)?.1.times;
    Ok(Own::new(RequestOptions { times, is_mutable: true }))
}
