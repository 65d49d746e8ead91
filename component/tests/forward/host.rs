//! Streams and futures of which the host has an end, or both.

use super::guest::{BLOCKED, COMPLETED, DROPPED, Guest, World};
use ampoule::{Error, Store};
use ampoule_component::Val;
use ampoule_component::streams::{
    Consumer, Destination, Flow, FutureReader, Producer, Source, StreamReader, StreamWriter, future, stream,
};
use ampoule_component::types::ValType;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// What a consumer got.
#[derive(Default)]
struct Got {
    bytes: Vec<u8>,
    closed: bool,
    dropped: bool,
}

struct Takes(Arc<Mutex<Got>>);

impl Consumer for Takes {
    fn poll_consume(&mut self, _: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, Error>> {
        let bytes = from.bytes().expect("bytes");
        let count = bytes.len();
        self.0.lock().unwrap().bytes.extend(bytes);
        from.advance(count);
        Poll::Ready(Ok(Flow::More))
    }

    fn closed(&mut self) {
        self.0.lock().unwrap().closed = true;
    }
}

impl Drop for Takes {
    fn drop(&mut self) {
        self.0.lock().unwrap().dropped = true;
    }
}

/// Gives numbered bytes, and then the end.
struct Gives(std::ops::Range<u8>, Arc<Mutex<Got>>);

impl Producer for Gives {
    fn poll_produce(&mut self, _: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
        while into.remaining() > 0
            && let Some(byte) = self.0.next()
        {
            into.push(Val::from(byte))?;
        }
        Poll::Ready(Ok(if self.0.is_empty() { Flow::End } else { Flow::More }))
    }
}

impl Drop for Gives {
    fn drop(&mut self) {
        self.1.lock().unwrap().dropped = true;
    }
}

fn gives(guest: &mut Guest, bytes: std::ops::Range<u8>) -> (StreamReader, Arc<Mutex<Got>>) {
    let watched = Arc::<Mutex<Got>>::default();
    let producer = Gives(bytes, watched.clone());
    (StreamReader::new(&mut guest.store, Some(ValType::U8), producer).unwrap(), watched)
}

/// A guest between a producer and a consumer, which joins them before or after the consumer is there.
#[test]
fn a_producer_and_a_consumer_of_the_host_are_joined() {
    let world = World::new();
    for consumes_before in [true, false] {
        for times in [1, 5] {
            let mut guest = world.begin();
            let (source, given) = gives(&mut guest, 0..200);
            guest.give(source);
            let from = guest.call("source", &[]) as u32;
            let from = guest.call("lengthen-readable", &[from, times]) as u32;
            let [readable, writable] = guest.new_pair("");
            guest.call("sink", &[readable]);
            let got = Arc::<Mutex<Got>>::default();
            let sink = guest.take_reader();
            if consumes_before {
                sink.consume(&mut guest.store, Takes(got.clone())).unwrap();
                guest.call("forward", &[from, writable]);
            } else {
                guest.call("forward", &[from, writable]);
                sink.consume(&mut guest.store, Takes(got.clone())).unwrap();
            }
            let got = got.lock().unwrap();
            assert_eq!(got.bytes, (0..200).collect::<Vec<u8>>());
            assert!(got.closed && got.dropped && given.lock().unwrap().dropped);
        }
    }
}

#[test]
fn a_producer_serves_whoever_reads_from_the_sink() {
    let world = World::new();
    let mut guest = world.begin();
    // A read that waits, and one afterwards.
    let (source, given) = gives(&mut guest, 50..57);
    guest.give(source);
    let from = guest.call("source", &[]) as u32;
    let [readable, writable] = guest.new_pair("");
    assert_eq!(guest.call("read", &[readable, 0, 4]), BLOCKED);
    assert_eq!(guest.call("write", &[writable, 90, 1]), 1 << 4);
    guest.call("forward", &[from, writable]);
    assert_eq!(guest.call("event", &[readable]), 4 << 4);
    assert_eq!(guest.memory()[..5], [90, 50, 51, 52, 4]);
    assert_eq!(guest.call("read", &[readable, 0, 9]), 4 << 4 | DROPPED);
    assert!(given.lock().unwrap().dropped);
    // The reader has gone before, or goes afterwards.
    for before in [true, false] {
        let (source, given) = gives(&mut guest, 50..57);
        guest.give(source);
        let from = guest.call("source", &[]) as u32;
        let [readable, writable] = guest.new_pair("");
        if before {
            guest.call("drop-readable", &[readable]);
            guest.call("forward", &[from, writable]);
        } else {
            guest.call("forward", &[from, writable]);
            assert!(!given.lock().unwrap().dropped);
            guest.call("drop-readable", &[readable]);
        }
        assert!(given.lock().unwrap().dropped);
    }
}

#[test]
fn a_consumer_takes_from_whoever_writes_to_the_source() {
    let mut guest = World::new().begin();
    let got = Arc::<Mutex<Got>>::default();
    let [from, source_writable] = guest.new_pair("");
    let [readable, writable] = guest.new_pair("");
    guest.call("sink", &[readable]);
    guest.take_reader().consume(&mut guest.store, Takes(got.clone())).unwrap();
    assert_eq!(guest.call("write", &[writable, 1, 2]), 2 << 4);
    assert_eq!(guest.call("write", &[source_writable, 10, 3]), BLOCKED);
    guest.call("forward", &[from, writable]);
    assert_eq!(guest.call("event", &[source_writable]), 3 << 4);
    assert_eq!(guest.call("write", &[source_writable, 20, 2]), 2 << 4);
    let end = guest.call("lengthen-writable", &[source_writable, 3]) as u32;
    assert_eq!(guest.call("write", &[end, 30, 1]), 1 << 4);
    guest.call("drop-writable", &[end]);
    let got = got.lock().unwrap();
    assert_eq!(got.bytes, [1, 2, 10, 11, 12, 20, 21, 30]);
    assert!(got.closed && got.dropped);
}

/// A reader that a value of the host's holds finds what it is joined to, is lowered again, and is joined again.
#[test]
fn a_reader_in_the_hosts_hands_stays_the_reader() {
    let mut guest = World::new().begin();
    let (mut source, given) = gives(&mut guest, 0..100);
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = [0; 3];
    for round in 0..5 {
        guest.give(source);
        let from = guest.call("source", &[]) as u32;
        if round == 2 {
            assert_eq!(guest.call("read", &[from, 0, 0]), COMPLETED);
        }
        let [readable, writable] = guest.new_pair("");
        guest.call("sink", &[readable]);
        source = guest.take_reader();
        assert!(source.poll_read_bytes(&mut guest.store, &mut cx, &mut bytes).is_pending());
        guest.call("forward", &[from, writable]);
        let read = source.poll_read_bytes(&mut guest.store, &mut cx, &mut bytes);
        assert!(matches!(read, Poll::Ready(Ok(Some(3)))), "{read:?}");
        assert_eq!(bytes, [0, 1, 2].map(|at| round * 3 + at));
    }
    assert!(!given.lock().unwrap().dropped);
    drop(source);
    // The loop hears of it.
    guest.call("new", &[]);
    assert!(given.lock().unwrap().dropped);
}

#[test]
fn a_writer_in_the_hosts_hands_stays_the_writer() {
    let mut guest = World::new().begin();
    let mut cx = Context::from_waker(Waker::noop());
    let (mut writer, reader): (StreamWriter, _) = stream(&mut guest.store, Some(ValType::U8)).unwrap();
    guest.give(reader);
    let from = guest.call("source", &[]) as u32;
    let [readable, writable] = guest.new_pair("");
    assert_eq!(guest.call("read", &[readable, 0, 4]), BLOCKED);
    assert!(writer.poll_write_bytes(&mut guest.store, &mut cx, b"abc").is_pending());
    guest.call("forward", &[from, writable]);
    assert!(matches!(writer.poll_write_bytes(&mut guest.store, &mut cx, b"abc"), Poll::Ready(Ok(Some(3)))));
    assert_eq!(guest.call("event", &[readable]), 3 << 4);
    assert_eq!(guest.memory()[..4], *b"abc\x03");
    // From a value of the host's to another.
    let [end, writable] = guest.new_pair("");
    guest.call("sink", &[end]);
    let mut reader = guest.take_reader();
    guest.call("forward", &[readable, writable]);
    assert!(reader.poll_read_bytes(&mut guest.store, &mut cx, &mut [0]).is_pending());
    drop(reader);
    guest.call("new", &[]);
    assert!(matches!(writer.poll_write_bytes(&mut guest.store, &mut cx, b"d"), Poll::Ready(Ok(None))));
}

#[test]
fn a_future_of_the_hosts_is_forwarded() {
    let world = World::new();
    for reads_before in [true, false] {
        let mut guest = world.begin();
        let value = std::future::ready(Ok(Some(Val::from(7u8))));
        let reader = FutureReader::new(&mut guest.store, Some(ValType::U8), value).unwrap();
        guest.give(reader);
        let from = guest.call("answer", &[]) as u32;
        let [readable, to] = guest.new_pair("f-");
        let told = if reads_before {
            assert_eq!(guest.call("f-read", &[readable, 0, 0]), BLOCKED);
            guest.call("f-forward", &[from, to]);
            guest.call("event", &[readable])
        } else {
            guest.call("f-forward", &[from, to]);
            guest.call("f-read", &[readable, 0, 0])
        };
        assert_eq!((told, guest.memory()[0]), (COMPLETED, 7));
    }
    // The host breaks its promise.
    for reads_before in [true, false] {
        let mut guest = world.begin();
        let (writer, reader) = future(&mut guest.store, Some(ValType::U8)).unwrap();
        guest.give(reader);
        let from = guest.call("answer", &[]) as u32;
        let [readable, to] = guest.new_pair("f-");
        drop(writer);
        let refusal = if reads_before {
            assert_eq!(guest.call("f-read", &[readable, 0, 0]), BLOCKED);
            guest.refusal("f-forward", &[from, to])
        } else {
            guest.call("f-forward", &[from, to]);
            guest.refusal("f-read", &[readable, 0, 0])
        };
        assert!(refusal.contains("the writable end of a future was dropped without a value"), "{refusal}");
    }
}

/// The first poll waits; the second does what it is told with the guest, which has what is being filled; then come bytes and the end.
struct Reenters<F>(Arc<Mutex<Option<Waker>>>, Option<F>, bool);

impl<F: FnOnce(&mut Store) -> Flow + Send + 'static> Producer for Reenters<F> {
    fn poll_produce(&mut self, cx: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
        if !std::mem::replace(&mut self.2, true) {
            *self.0.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(reenter) = self.1.take() {
            let flow = reenter(into.store());
            assert_eq!(into.remaining(), 0, "what was to be filled has gone");
            into.advance(0);
            return Poll::Ready(Ok(flow));
        }
        into.push(Val::from(42u8))?;
        Poll::Ready(Ok(Flow::End))
    }
}

/// While a producer is polled, the guest gives up the end that it is polled for: it drops it, or forwards it to another reader.
#[test]
fn an_end_may_go_while_the_other_is_polled() {
    for forwards in [true, false] {
        let mut guest = World::new().begin();
        let instance = guest.instance;
        let call = move |store: &mut Store, name: &str, args: &[u32]| {
            let func = instance.get_func(store, &[name]).unwrap().unwrap();
            let args: Vec<_> = args.iter().map(|&arg| Val::from(arg)).collect();
            let mut results = vec![Val::default(); usize::from(name.starts_with("cancel"))];
            func.call(store, &args, &mut results).unwrap();
        };
        let [readable, writable] = guest.new_pair("");
        assert_eq!(guest.call("read", &[readable, 0, 4]), BLOCKED);
        let waker = Arc::<Mutex<Option<Waker>>>::default();
        let reenter = move |store: &mut Store| {
            call(store, "cancel-read", &[3]);
            if forwards {
                call(store, "forward", &[3, writable]);
                return Flow::More;
            }
            call(store, "drop-readable", &[3]);
            Flow::End
        };
        let producer = Reenters(waker.clone(), Some(reenter), false);
        let source = StreamReader::new(&mut guest.store, Some(ValType::U8), producer).unwrap();
        guest.give(source);
        assert_eq!(guest.call("source", &[]), 3);
        assert_eq!(guest.call("read", &[3, 16, 4]), BLOCKED);
        waker.lock().unwrap().take().unwrap().wake();
        for _ in 0..3 {
            let _ = ampoule_component::run_tasks(&mut guest.store).unwrap();
        }
        if forwards {
            assert_eq!(guest.call("event", &[readable]), 1 << 4 | DROPPED);
            assert_eq!(guest.memory()[0], 42);
        } else {
            assert_eq!(guest.new_pair("")[0], 3, "its handle is free");
        }
    }
}
