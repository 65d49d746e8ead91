//! `handler`: what the guest answers a request, as a host takes it.

use super::bodies;
use super::messages::Response;
use crate::component::values::Answered;
use crate::component::{Cx, Fail, FromVal, Taken};
use crate::host::http::ErrorCode;
use crate::host::http::error::Message;
use crate::host::http::outgoing::{Frames, OutgoingBody};
use ampoule_component::Val;

/// What the guest has answered: a response as a connection takes it, and its body, which says when it is over.
///
/// # Errors
/// The guest's error code; what ends it.
pub fn answered(cx: &mut Cx<'_>, val: &mut Val) -> Result<(hyper::Response<Frames>, OutgoingBody), Fail<ErrorCode>> {
    type Answer = Result<Answered<Taken<Response>>, Answered<ErrorCode>>;
    let Response { status, headers, body } = match Answer::from_val(cx, val)? {
        Ok(Answered(Taken(response))) => response,
        Err(Answered(code)) => return Err(Fail::Err(code)),
    };
    let (frames, body) = bodies::send(cx, Message::Response, &headers, body)?;
    let mut message = hyper::Response::new(frames);
    *message.status_mut() = status;
    *message.headers_mut() = headers.to_map();
    Ok((message, body))
}
