//! Streams and futures between guests and the host.

use ampoule::{Engine, Error, Store};
use ampoule_component::streams::{
    Consumer, Destination, Flow, FutureReader, FutureWriter, Producer, Source, StreamReader, StreamWriter, future,
    stream,
};
use ampoule_component::types::ValType;
use ampoule_component::{Component, Func, Instance, Linker, Val, ValRef};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A guest that copies `stream<u8>`: what it reads it writes, in pieces of up to 16 bytes, until the source ends or the sink is dropped.
/// `copy` takes a source and a sink's name: it gets the source as an argument and gives the host a stream of its own.
const COPIES: &str = r#"(component
    (import "source" (func $source (result (stream u8))))
    (import "sink" (func $sink (param "from" (stream u8))))
    (import "answer" (func $answer (result (future u32))))
    (import "take" (func $take (param "from" (future u32))))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $memory))
    (type $bytes (stream u8))
    (type $number (future u32))
    (core func $new (canon stream.new $bytes))
    (core func $read (canon stream.read $bytes (memory $memory)))
    (core func $write (canon stream.write $bytes (memory $memory)))
    (core func $read-async (canon stream.read $bytes async (memory $memory)))
    (core func $cancel-read (canon stream.cancel-read $bytes))
    (core func $drop-readable (canon stream.drop-readable $bytes))
    (core func $drop-writable (canon stream.drop-writable $bytes))
    (core func $fnew (canon future.new $number))
    (core func $fread (canon future.read $number (memory $memory)))
    (core func $fwrite (canon future.write $number (memory $memory)))
    (core func $fdrop-readable (canon future.drop-readable $number))
    (core func $fdrop-writable (canon future.drop-writable $number))
    (core func $source' (canon lower (func $source)))
    (core func $sink' (canon lower (func $sink)))
    (core func $answer' (canon lower (func $answer)))
    (core func $take' (canon lower (func $take)))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "new" (func $new (result i64)))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (import "" "write" (func $write (param i32 i32 i32) (result i32)))
        (import "" "read-async" (func $read-async (param i32 i32 i32) (result i32)))
        (import "" "cancel-read" (func $cancel-read (param i32) (result i32)))
        (import "" "drop-readable" (func $drop-readable (param i32)))
        (import "" "drop-writable" (func $drop-writable (param i32)))
        (import "" "fnew" (func $fnew (result i64)))
        (import "" "fread" (func $fread (param i32 i32) (result i32)))
        (import "" "fwrite" (func $fwrite (param i32 i32) (result i32)))
        (import "" "fdrop-readable" (func $fdrop-readable (param i32)))
        (import "" "fdrop-writable" (func $fdrop-writable (param i32)))
        (import "" "source" (func $source (result i32)))
        (import "" "sink" (func $sink (param i32)))
        (import "" "answer" (func $answer (result i32)))
        (import "" "take" (func $take (param i32)))
        ;; Copies: gives how many bytes.
        (func $copy (param $in i32) (param $out i32) (result i32)
            (local $got i32) (local $put i32) (local $at i32) (local $sum i32)
            (block $end
                (loop $more
                    (local.set $got (call $read (local.get $in) (i32.const 16) (i32.const 16)))
                    (local.set $at (i32.const 16))
                    (block $written
                        (loop $write
                            (br_if $written (i32.eqz (i32.shr_u (local.get $got) (i32.const 4))))
                            (local.set $put (call $write
                                (local.get $out) (local.get $at) (i32.shr_u (local.get $got) (i32.const 4))))
                            (local.set $sum (i32.add (local.get $sum) (i32.shr_u (local.get $put) (i32.const 4))))
                            (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $put) (i32.const 4))))
                            (local.set $got (i32.sub (local.get $got) (i32.and (local.get $put) (i32.const -16))))
                            (br_if $end (i32.and (local.get $put) (i32.const 15)))
                            (br $write)))
                    (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15))))))
            (call $drop-readable (local.get $in))
            (call $drop-writable (local.get $out))
            (local.get $sum))
        (func (export "copy") (result i32)
            (local $pair i64)
            (local.set $pair (call $new))
            (call $sink (i32.wrap_i64 (local.get $pair)))
            (call $copy (call $source) (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32)))))
        ;; Passes the host's source to the host's sink.
        (func (export "pass") (call $sink (call $source)))
        ;; Reads without waiting, and cancels.
        (func (export "try") (result i32)
            (local $in i32) (local $got i32)
            (local.set $in (call $source))
            (local.set $got (call $read-async (local.get $in) (i32.const 16) (i32.const 16)))
            (if (i32.eq (local.get $got) (i32.const -1)) (then (local.set $got (call $cancel-read (local.get $in)))))
            (call $drop-readable (local.get $in))
            (local.get $got))
        ;; Awaits the host's future, and gives the host twice that.
        (func (export "double") (result i32)
            (local $in i32) (local $pair i64) (local $got i32)
            (local.set $in (call $answer))
            (if (i32.ne (call $fread (local.get $in) (i32.const 8)) (i32.const 0)) (then unreachable))
            (call $fdrop-readable (local.get $in))
            (i32.store (i32.const 12) (i32.mul (i32.load (i32.const 8)) (i32.const 2)))
            (local.set $pair (call $fnew))
            (call $take (i32.wrap_i64 (local.get $pair)))
            (local.set $got (call $fwrite (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))) (i32.const 12)))
            (call $fdrop-writable (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
            (local.get $got)))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $memory))
        (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
        (export "read-async" (func $read-async)) (export "cancel-read" (func $cancel-read))
        (export "drop-readable" (func $drop-readable)) (export "drop-writable" (func $drop-writable))
        (export "fnew" (func $fnew)) (export "fread" (func $fread)) (export "fwrite" (func $fwrite))
        (export "fdrop-readable" (func $fdrop-readable)) (export "fdrop-writable" (func $fdrop-writable))
        (export "source" (func $source')) (export "sink" (func $sink'))
        (export "answer" (func $answer')) (export "take" (func $take'))))))
    (func (export "copy") async (result u32) (canon lift (core func $i "copy")))
    (func (export "pass") async (canon lift (core func $i "pass")))
    (func (export "try") async (result u32) (canon lift (core func $i "try")))
    (func (export "double") async (result u32) (canon lift (core func $i "double"))))"#;

/// What came to a sink, and whether it was closed.
#[derive(Default)]
struct Sunk {
    bytes: Vec<u8>,
    closed: bool,
    dropped: bool,
}

type Shared = Arc<Mutex<Sunk>>;

/// Takes up to so many bytes at a time, at most so many in all; each time only at the second attempt, if it is slow.
struct Sink {
    sunk: Shared,
    at_once: usize,
    most: usize,
    slow: bool,
    asked: bool,
}

impl Consumer for Sink {
    fn poll_consume(&mut self, cx: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, Error>> {
        self.asked = !self.asked;
        if self.slow && self.asked {
            wake_later(cx.waker());
            return Poll::Pending;
        }
        let mut sunk = self.sunk.lock().unwrap();
        let bytes = from.bytes().expect("bytes");
        let count = bytes.len().min(self.at_once).min(self.most - sunk.bytes.len());
        sunk.bytes.extend(&bytes[..count]);
        from.advance(count);
        Poll::Ready(Ok(if sunk.bytes.len() == self.most { Flow::End } else { Flow::More }))
    }

    fn closed(&mut self) {
        self.sunk.lock().unwrap().closed = true;
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.sunk.lock().unwrap().dropped = true;
    }
}

/// Another thread wakes it.
fn wake_later(waker: &Waker) {
    let waker = waker.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(2));
        waker.wake();
    });
}

/// Gives numbered bytes, in pieces of these lengths; before a piece of length zero it waits.
struct Pieces {
    lens: VecDeque<usize>,
    next: u8,
    sunk: Shared,
}

impl Producer for Pieces {
    fn poll_produce(&mut self, cx: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
        match self.lens.front_mut() {
            None => return Poll::Ready(Ok(Flow::End)),
            Some(0) => {
                self.lens.pop_front();
                wake_later(cx.waker());
                return Poll::Pending;
            }
            Some(len) => {
                let bytes = into.bytes().expect("bytes");
                let count = bytes.len().min(*len);
                for byte in &mut bytes[..count] {
                    *byte = self.next;
                    self.next = self.next.wrapping_add(1);
                }
                into.advance(count);
                *len -= count;
                if *len == 0 {
                    self.lens.pop_front();
                }
            }
        }
        Poll::Ready(Ok(Flow::More))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.sunk.lock().unwrap().dropped = true;
    }
}

type Source1 = Box<dyn Fn(&mut Store) -> Result<Val, Error> + Send + Sync>;
type Sink1 = Box<dyn Fn(&mut Store, &mut Val) -> Result<(), Error> + Send + Sync>;

struct Host {
    store: Box<Store>,
    instance: Instance,
}

impl Host {
    fn new(source: Source1, sink: Sink1, answer: Source1, take: Sink1) -> Host {
        let features = ampoule::Features { component_model_more_async_builtins: true, ..Default::default() };
        let engine = Engine::new(&ampoule::Config { features, ..Default::default() }).unwrap();
        let component = Component::new(&engine, COPIES.as_bytes()).unwrap();
        let mut linker = Linker::new(&engine);
        let mut root = linker.root();
        root.func("source", move |store, _, _, results| source(store).map(|val| results[0] = val)).unwrap();
        root.func("sink", move |store, _, args, _| sink(store, &mut args[0])).unwrap();
        root.func("answer", move |store, _, _, results| answer(store).map(|val| results[0] = val)).unwrap();
        root.func("take", move |store, _, args, _| take(store, &mut args[0])).unwrap();
        let mut store = Store::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Host { store, instance }
    }

    fn of_streams(source: Source1, sink: Sink1) -> Host {
        Host::new(source, sink, Box::new(|_| unreachable!()), Box::new(|_, _| unreachable!()))
    }

    fn call(&mut self, name: &str) -> Result<Option<Val>, Error> {
        let func: Func = self.instance.get_func(&mut self.store, &[name])?.expect("it exports it");
        let mut results = vec![Val::default(); usize::from(func.ty(&mut self.store)?.result().is_some())];
        func.call(&mut self.store, &[], &mut results)?;
        Ok(results.pop())
    }
}

fn pieces(lens: &'static [usize]) -> (Source1, Shared) {
    let sunk = Shared::default();
    let shared = sunk.clone();
    let source = move |store: &mut Store| {
        let producer = Pieces { lens: lens.iter().copied().collect(), next: 0, sunk: shared.clone() };
        Ok(StreamReader::new(store, Some(ValType::U8), producer)?.into())
    };
    (Box::new(source), sunk)
}

fn sink(at_once: usize, most: usize, slow: bool) -> (Sink1, Shared) {
    let sunk = Shared::default();
    let shared = sunk.clone();
    let sink = move |store: &mut Store, val: &mut Val| {
        let consumer = Sink { sunk: shared.clone(), at_once, most, slow, asked: false };
        StreamReader::from_val(val)?.consume(store, consumer)
    };
    (Box::new(sink), sunk)
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| at as u8).collect()
}

#[test]
fn bytes_go_from_a_producer_through_a_guest_to_a_consumer() {
    for (lens, at_once, slow) in
        [(&[40, 3][..], 100, false), (&[40, 3], 7, false), (&[0, 5, 0, 38], 7, true), (&[0, 43, 0, 0], 1, true)]
    {
        let (source, produced) = pieces(lens);
        let (sink, sunk) = sink(at_once, usize::MAX, slow);
        let mut host = Host::of_streams(source, sink);
        assert_eq!(host.call("copy").unwrap(), Some(Val::from(43u32)));
        let sunk = sunk.lock().unwrap();
        assert_eq!(sunk.bytes, numbered(43));
        assert!(sunk.closed && sunk.dropped, "the consumer learns of the end");
        assert!(produced.lock().unwrap().dropped);
    }
}

#[test]
fn a_consumer_that_wants_no_more_ends_the_copy() {
    let (source, produced) = pieces(&[1 << 20]);
    let (sink, sunk) = sink(5, 21, false);
    let mut host = Host::of_streams(source, sink);
    assert_eq!(host.call("copy").unwrap(), Some(Val::from(21u32)));
    let sunk = sunk.lock().unwrap();
    assert_eq!(sunk.bytes, numbered(21));
    assert!(!sunk.closed && sunk.dropped);
    assert!(produced.lock().unwrap().dropped, "the guest has dropped the source");
}

#[test]
fn reads_are_ready_at_once_or_cancelled() {
    for (lens, expected) in [(&[4][..], 4u32 << 4), (&[0, 4], 2), (&[], 1)] {
        let (source, produced) = pieces(lens);
        let mut host = Host::of_streams(source, sink(1, 1, false).0);
        assert_eq!(host.call("try").unwrap(), Some(Val::from(expected)));
        assert!(produced.lock().unwrap().dropped);
    }
}

#[test]
fn what_a_guest_passes_from_host_to_host_goes_there() {
    let (source, _) = pieces(&[100_000, 0, 100_000]);
    let (sink, sunk) = sink(30_000, usize::MAX, true);
    let mut host = Host::of_streams(source, sink);
    host.call("pass").unwrap();
    // The loop runs as long as a call does.
    for _ in 0..100 {
        if sunk.lock().unwrap().closed {
            break;
        }
        std::thread::sleep(Duration::from_millis(3));
        host.call("try").unwrap();
    }
    let sunk = sunk.lock().unwrap();
    assert_eq!(sunk.bytes.len(), 200_000);
    assert!(sunk.bytes == numbered(200_000) && sunk.closed && sunk.dropped);
}

#[test]
fn futures_go_both_ways() {
    struct Take(Arc<Mutex<Option<Val>>>);
    impl Consumer for Take {
        fn poll_consume(&mut self, _: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, Error>> {
            *self.0.lock().unwrap() = from.pop()?;
            Poll::Ready(Ok(Flow::End))
        }
    }
    for late in [false, true] {
        let taken = Arc::new(Mutex::new(None));
        let shared = taken.clone();
        let answer = move |store: &mut Store| {
            let mut waits = late;
            let value = std::future::poll_fn(move |cx| {
                if std::mem::take(&mut waits) {
                    wake_later(cx.waker());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Some(Val::from(21u32))))
            });
            Ok(FutureReader::new(store, Some(ValType::U32), value)?.into())
        };
        let take =
            move |store: &mut Store, val: &mut Val| FutureReader::from_val(val)?.consume(store, Take(shared.clone()));
        let (source, sink) = (pieces(&[]).0, sink(1, 1, false).0);
        let mut host = Host::new(source, sink, Box::new(answer), Box::new(take));
        assert_eq!(host.call("double").unwrap(), Some(Val::from(0u32)), "completed");
        assert_eq!(taken.lock().unwrap().take(), Some(Val::from(42u32)));
    }
}

#[test]
fn an_error_of_a_producer_stops_the_guest() {
    struct Fails;
    impl Producer for Fails {
        fn poll_produce(&mut self, _: &mut Context<'_>, _: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
            Poll::Ready(Err(Error::message("the disk is on fire")))
        }
    }
    let source = |store: &mut Store| Ok(StreamReader::new(store, Some(ValType::U8), Fails)?.into());
    let mut host = Host::of_streams(Box::new(source), sink(1, 1, false).0);
    let error = host.call("copy").unwrap_err();
    assert!(format!("{error:#}").contains("the disk is on fire"), "{error:#}");
    assert!(host.call("copy").unwrap_err().to_string().contains("cannot enter"), "no instance may be entered any more");
}

#[test]
fn a_value_holds_one_end_and_is_of_one_type() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    let (writer, reader) = stream(&mut store, Some(ValType::U8)).unwrap();
    assert_eq!(writer.payload(), Some(&ValType::U8));
    let mut val = Val::from(reader);
    assert!(matches!(val.clone().get(), ValRef::Stream(None)), "a copy has none");
    assert_eq!(
        FutureReader::from_val(&mut val).unwrap_err().to_string(),
        "type mismatch: expected future, found stream"
    );
    let reader = StreamReader::from_val(&mut val).unwrap();
    assert_eq!(StreamReader::from_val(&mut val).unwrap_err().to_string(), "the stream was given away");
    let mut other = Store::new(&engine);
    assert_eq!(
        reader
            .consume(&mut other, Sink { sunk: Shared::default(), at_once: 1, most: 1, slow: false, asked: false })
            .unwrap_err()
            .to_string(),
        "stream used with the wrong store"
    );

    // A stream of other elements is refused, and the guest's read of a dropped one ends.
    let wrong = |store: &mut Store| {
        Ok(StreamReader::new(store, Some(ValType::U16), Pieces { lens: [].into(), next: 0, sunk: Shared::default() })?
            .into())
    };
    let mut host = Host::of_streams(Box::new(wrong), sink(1, 1, false).0);
    assert_eq!(format!("{:#}", host.call("try").unwrap_err()), "mismatched types of streams");
    let dropped = |store: &mut Store| stream(store, Some(ValType::U8)).map(|(_, reader)| reader.into());
    let mut host = Host::of_streams(Box::new(dropped), sink(1, 1, false).0);
    assert_eq!(host.call("copy").unwrap(), Some(Val::from(0u32)));
}

#[test]
fn a_future_that_the_host_drops_stops_the_guest() {
    let answer =
        |store: &mut Store| future(store, Some(ValType::U32)).map(|(_, reader): (FutureWriter, _)| reader.into());
    let (source, sink) = (pieces(&[]).0, sink(1, 1, false).0);
    let mut host = Host::new(source, sink, Box::new(answer), Box::new(|_, _| Ok(())));
    let error = host.call("double").unwrap_err();
    assert!(format!("{error:#}").contains("the writable end of a future was dropped without a value"), "{error:#}");
}

/// Ends that the host asks itself: without a guest at the other end, with one, and with a producer or consumer there.
#[test]
fn ends_are_asked_from_outside() {
    let mut store = Store::new(&Engine::default());
    let mut cx = Context::from_waker(Waker::noop());
    let sunk = Shared::default();
    let producer = Pieces { lens: [3, 2].into(), next: 0, sunk: sunk.clone() };
    let mut reader = StreamReader::new(&mut store, Some(ValType::U8), producer).unwrap();
    let mut bytes = [0; 2];
    let mut read = Vec::<u8>::new();
    loop {
        match reader.poll_read_bytes(&mut store, &mut cx, &mut bytes) {
            Poll::Ready(Ok(Some(count))) => read.extend(&bytes[..count]),
            Poll::Ready(Ok(None)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, numbered(5));

    let (mut writer, reader) = stream(&mut store, Some(ValType::U8)).unwrap();
    assert!(writer.poll_write_bytes(&mut store, &mut cx, b"abc").is_pending(), "nobody reads");
    let sunk = Shared::default();
    reader.consume(&mut store, Sink { sunk: sunk.clone(), at_once: 2, most: 5, slow: false, asked: false }).unwrap();
    let mut rest = &b"abcdefgh"[..];
    while let Poll::Ready(Ok(Some(count))) = writer.poll_write_bytes(&mut store, &mut cx, rest) {
        rest = &rest[count..];
    }
    assert_eq!(sunk.lock().unwrap().bytes, b"abcde");

    let (mut writer, mut reader) = stream(&mut store, Some(ValType::String)).unwrap();
    assert!(reader.poll_read(&mut store, &mut cx, 1).is_pending());
    drop(reader);
    let _: &StreamWriter = &writer;
    let mut vals = vec![Val::from("x")];
    let _ = writer.poll_write(&mut store, &mut cx, &mut vals);
}

#[test]
fn what_was_given_before_the_writer_was_dropped_arrives() {
    let engine = Engine::default();
    let store = &mut Store::new(&engine);
    let cx = &mut Context::from_waker(Waker::noop());
    // Attached to a consumer that takes its time.
    let (mut writer, reader) = stream(store, Some(ValType::U8)).unwrap();
    let sunk = Shared::default();
    reader.consume(store, Sink { sunk: sunk.clone(), at_once: 2, most: 100, slow: true, asked: false }).unwrap();
    assert!(matches!(writer.poll_write_bytes(store, cx, b"12345"), Poll::Ready(Ok(Some(5)))));
    drop(writer);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !sunk.lock().unwrap().closed {
        let _ = ampoule_component::run_tasks(store).unwrap();
        assert!(std::time::Instant::now() < deadline, "it isn't closed");
    }
    assert_eq!(sunk.lock().unwrap().bytes, b"12345");
    assert!(sunk.lock().unwrap().dropped);
}

#[test]
fn a_producer_that_panics_is_an_error() {
    struct Panics;
    impl Producer for Panics {
        fn poll_produce(&mut self, _: &mut Context<'_>, _: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
            panic!("on purpose")
        }
    }
    let source = |store: &mut Store| Ok(StreamReader::new(store, Some(ValType::U8), Panics)?.into());
    let mut host = Host::of_streams(Box::new(source), sink(1, 1, false).0);
    let error = host.call("copy").unwrap_err();
    assert!(format!("{error:#}").contains("a host function panicked"), "{error:#}");
}

#[test]
fn buffers_between_ends_of_the_host_are_bounded_in_number() {
    struct Never;
    impl Producer for Never {
        fn poll_produce(&mut self, _: &mut Context<'_>, _: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
            Poll::Pending
        }
    }
    let mut store = Store::new(&Engine::default());
    let connect = |store: &mut Store| {
        let sink = Sink { sunk: Shared::default(), at_once: 1, most: 1, slow: false, asked: false };
        StreamReader::new(store, Some(ValType::U8), Never)?.consume(store, sink)
    };
    for _ in 0..1024 {
        connect(&mut store).unwrap();
    }
    let error = connect(&mut store).unwrap_err().to_string();
    assert_eq!(error, "too many streams of one store have both ends at the host: at most 1024 may");
}
