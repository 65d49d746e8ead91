//! Two streams, or two futures, that become one (Canonical ABI, "`canon {stream,future}.forward`").
//!
//! A guest has the readable end of one, the source, and the writable end of another, the sink. It gives both up; whoever writes to the source
//! and whoever reads from the sink are the two ends of one stream from then on, and what they had lent goes on there.
//!
//! Of the two records one goes, and the end that was there moves to the other. So a chain of any length is one record, and each forward takes
//! the same time. A guest's end is told the new number. The host knows its ends by the numbers of their records: a record in which the
//! host has an end is the one that stays. Where it has both, the reader moves, and if a value holds that, its record stays behind and says where it
//! went ([`Stream::forwarded_to`]) until the value is dropped or given away. That record is never itself where another leads to: for that,
//! a guest would have to have the writable end, and no guest gets one from the host.

use super::copy::meet;
use super::host::serve;
use super::{Holder, Outcome, Payload, Side, StreamKind};
use crate::concurrency::Concurrency;
use crate::state::ComponentState;
use ampoule::{Error, Store};

/// `{stream,future}.forward`: the handles are those of the source's readable end and the sink's writable one.
///
/// # Errors
/// Where these are no such ends, or are in use; what `{stream,future}.{read,write}` say, where both other ends have lent their buffers; and
/// what the host's producer or consumer says.
pub(super) fn forward(
    store: &mut Store,
    instance: u32,
    kind: StreamKind,
    payload: &Payload,
    [source, sink]: [u32; 2],
) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let source = state.give_up_end(instance, source, (kind, Side::Readable), payload)?;
    let sink = state.give_up_end(instance, sink, (kind, Side::Writable), payload)?;
    let is_over = source == sink || state.is_alone(source, Side::Readable) || state.is_alone(sink, Side::Writable);
    if is_over {
        state.check_future_end(sink, Side::Writable)?;
        state.leave_stream(source, Side::Readable);
        state.leave_stream(sink, Side::Writable);
        return Ok(());
    }
    let lent = [(source, Side::Writable), (sink, Side::Readable)].map(|(stream, side)| state.take_lent(stream, side));
    let (stream, has_host) = state.merge(source, sink)?;
    let found = &mut state.concurrency.streams[stream];
    match lent {
        [Some((writer, given)), Some((reader, wanted))] => {
            // The one that is done with comes to the one that may go on.
            let (first, second) = if wanted > given { (Side::Readable, writer) } else { (Side::Writable, reader) };
            found.pending = Some(first);
            return meet(store, second);
        }
        [Some(_), None] => found.pending = Some(Side::Writable),
        [None, Some(_)] => found.pending = Some(Side::Readable),
        [None, None] => {}
    }
    if !has_host {
        return Ok(());
    }
    state.connect_hosts(instance, stream, payload)?;
    serve(store, stream)
}

impl ComponentState {
    /// Takes an end away from an instance for good: its record.
    ///
    /// # Errors
    /// Where there is none of this type, or it is in use.
    fn give_up_end(
        &mut self,
        instance: u32,
        index: u32,
        which: (StreamKind, Side),
        payload: &Payload,
    ) -> Result<u32, Error> {
        let id = self.end_at(instance, index, which, payload)?;
        self.check_free(id, ["forward", "forward"])?;
        let stream = self.end(id).stream;
        self.remove_waitable(instance, index, id)?;
        Ok(stream)
    }

    /// Takes note of the buffer that a guest has lent at a side: its end, and how many elements are left. A buffer with none left is its
    /// owner's again, who knows or will be told.
    fn take_lent(&mut self, stream: u32, side: Side) -> Option<(u32, u32)> {
        let found = &mut self.concurrency.streams[stream];
        found.pending.take_if(|pending| *pending == side)?;
        let &mut Holder::Guest(id) = found.holder(side) else { return None };
        let end = self.end(id);
        let (left, len) = (end.buffer.remaining(), end.buffer.len);
        if left == 0 && len > 0 {
            end.event = end.event.map(|event| Outcome { is_lent: false, ..event });
            return None;
        }
        Some((id, left))
    }

    /// Makes one record of two, neither of whose other ends has gone: which, and whether the host has an end of it.
    ///
    /// # Errors
    /// Where the end that would have to move is being polled.
    fn merge(&mut self, source: u32, sink: u32) -> Result<(u32, bool), Error> {
        let streams = &mut self.concurrency.streams;
        let writes = matches!(streams[source].holder(Side::Writable), Holder::Host(_));
        let reads = matches!(streams[sink].holder(Side::Readable), Holder::Host(_));
        let (kept, left, side) =
            if reads && !writes { (sink, source, Side::Writable) } else { (source, sink, Side::Readable) };
        if let Holder::Host(host) = streams[left].holder(side)
            && host.is_busy()
        {
            return Err(Error::message("cannot forward while the host's end is being polled"));
        }
        let end = std::mem::replace(streams[left].holder(side), Holder::Dropped);
        *streams[left].holder(side.other()) = Holder::Dropped;
        match &end {
            Holder::Host(host) if host.is_held() => streams[left].forwarded_to = Some(kept),
            _ => _ = streams.remove(left),
        }
        if let Holder::Guest(id) = end {
            self.end(id).stream = kept;
        }
        let found = &mut self.concurrency.streams[kept];
        *found.holder(side) = end;
        Ok((kept, reads || writes))
    }
}

impl Concurrency {
    /// The record that holds an end that the host knows by this number.
    pub(super) fn stream_of_host(&mut self, stream: u32) -> u32 {
        self.streams.get(stream).and_then(|found| found.forwarded_to).unwrap_or(stream)
    }

    /// The same, for the last time: nobody knows the end by this number any more.
    pub(super) fn take_stream_of_host(&mut self, stream: u32) -> u32 {
        let to = self.stream_of_host(stream);
        if to != stream {
            self.streams.remove(stream);
        }
        to
    }
}
