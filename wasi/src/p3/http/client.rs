//! `client`: requests that the guest sends.

use super::bodies::{self, Body, Received};
use super::messages::{Request, Response};
use crate::component::later::Call;
use crate::component::{Cx, Fail, Own, Taken};
use crate::host::http::ErrorCode;
use crate::host::http::client::{self, Outgoing, PendingResponse, Timeouts};
use crate::host::http::error::Message;
use crate::host::http::fields::Fields;
use crate::host::http::incoming::IncomingBody;
use crate::host::http::signal::Signal;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// `client.send`; and `handler.handle`, where a component imports that: what is upstream of it is the network.
pub async fn send(call: Call, Taken(request): Taken<Request>) -> Result<Own<Response>, Fail<ErrorCode>> {
    let signal = Arc::<Signal>::default();
    let mut pending = call.with(|cx| begin(cx, request, &signal))?;
    let received = poll_fn(|context| {
        // Before the look, so that nothing is missed.
        signal.set_waker(Some(context.waker().clone()));
        pending.take().map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    let client::Received { head, frames, charge } = received.map_err(Fail::Err)?;
    call.with(|cx| {
        let headers = Fields::received(head.headers(), &cx.http()?.budget);
        let headers = headers.map_err(|_| Fail::Err(Message::Response.header_section_size()))?;
        let signal = Arc::<Signal>::default();
        let body = IncomingBody::new(Message::Response, frames, signal.clone(), charge);
        let body = Body::Received(Received::new(body, signal));
        Ok(Own::new(Response { status: head.status(), headers: Arc::new(headers), body }))
    })
}

fn begin(cx: &mut Cx<'_>, request: Request, signal: &Arc<Signal>) -> Result<PendingResponse, Fail<ErrorCode>> {
    let http = cx.http()?;
    let descriptor = cx.parts().1.descriptor().ok_or(Fail::Err(ErrorCode::ConnectionLimitReached))?;
    let Request { method, path, scheme, authority, headers, times, body } = request;
    let (frames, _) = bodies::send(cx, Message::Request, &headers, body)?;
    let outgoing = Outgoing {
        method,
        scheme,
        authority,
        path,
        headers: headers.to_map(),
        body: frames,
        timeouts: times.map_or_else(Timeouts::default, Timeouts::from),
        // Who opens the network for some hosts only means requests, too.
        filter: cx.host().network.filter_of_some(),
    };
    client::send(&http, signal, outgoing, Box::new(descriptor)).map_err(Fail::Err)
}
