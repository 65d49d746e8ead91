//! Streams of values of random types, in random portions: between two guests, from the host and to it. Whoever comes first waits, and the other
//! one takes or brings what both have room for; every element arrives as the specification says that it lies in memory.

use crate::copies::{BLOCKED, Kind};
use crate::guest::{Guest, IMAGE, IMAGE_END, MEMORY, Realloc, ends_text};
use crate::model::{Encoding, Flat, Lift, Lower, alignment, elem_size};
use crate::types::{Random, Ty};
use crate::{BUDGET, assert_same, for_seeds};
use ampoule::{Config, Engine, Error, Features, Store};
use ampoule_component::streams::{StreamReader, StreamWriter, stream};
use ampoule_component::types::ValType;
use ampoule_component::{Component, Instance, Linker, Val};
use std::cell::Cell;
use std::task::{Context, Poll, Waker};

const SEEDS: u64 = 120;

/// Where the reader has its elements.
pub const READ: u64 = 0x8000;

/// Which end is a guest's, and which the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Between,
    ToHost,
    FromHost,
}

#[test]
fn elements_of_streams_are_what_the_specification_says_in_whatever_portions() {
    let mut copied = [0; 3];
    if for_seeds(SEEDS, |seed| check(seed, &mut copied)) {
        assert!(copied.iter().all(|count| *count > 100), "{copied:?}");
    }
}

struct Case {
    random: Random,
    ty: Ty,
    encodings: [Encoding; 2],
}

fn check(seed: u64, copied: &mut [usize; 3]) {
    let mut random = Random(seed ^ 0x5eed);
    let ty = loop {
        let ty = Ty::random(&mut random, 3);
        // No stream is of characters.
        if elem_size(&ty) < 200 && !matches!(ty, Ty::Char) {
            break ty;
        }
    };
    let encodings = [0; 2].map(|_| random.pick(&[Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16]));
    let features =
        Features { component_model_fixed_length_lists: true, component_model_map: true, ..Features::default() };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    let text = ends_text(Kind::Stream, Some(&ty), encodings, "");
    let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut store = Store::new(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let mut case = Case { random, ty, encodings };
    for way in [Way::Between, Way::ToHost, Way::FromHost] {
        copied[way as usize] += case.run(&mut store, &instance, way);
    }
}

/// A copy of a guest's: where, and how many elements. Its answer.
///
/// # Errors
/// The trap.
pub fn copy(store: &mut Store, guest: Guest<'_>, at: u64, count: usize) -> Result<i32, Error> {
    let copy = guest.func(store, "copy").typed::<(u32, u32), (i32,)>(store)?;
    Ok(copy.call(store, (at as u32, count as u32))?.0)
}

/// What has come of the copy that waits, or [`crate::copies::NO_EVENT`].
///
/// # Errors
/// The trap.
pub fn event(store: &mut Store, guest: Guest<'_>) -> Result<i32, Error> {
    Ok(guest.func(store, "poll").typed::<(), (i32,)>(store)?.call(store, ())?.0)
}

/// What a copy answers that is complete.
fn completed(count: usize) -> i32 {
    (count << 4) as i32
}

fn ready<T, E: std::fmt::Debug>(poll: Poll<Result<T, E>>) -> T {
    match poll {
        Poll::Ready(copied) => copied.unwrap(),
        Poll::Pending => panic!("the guest waits for it"),
    }
}

impl Case {
    /// Has elements go over, all of them: how many there were.
    fn run(&mut self, store: &mut Store, instance: &Instance, way: Way) -> usize {
        let vals: Vec<Val> = (0..1 + self.random.below(8)).map(|_| self.ty.random_val(&mut self.random)).collect();
        let list = Ty::List(self.ty.clone().into());
        let random = &mut self.random;
        let mut choose = |below| random.below(below);
        let encoding = self.encodings[0];
        let mut lower = Lower { memory: Vec::new(), start: IMAGE, encoding, choose: &mut choose, pieces: None };
        let given = lower.lower_flat_values(usize::MAX, std::slice::from_ref(&list), &[Val::list(vals.clone())]);
        let image = lower.memory;
        if image.len() as u64 > IMAGE_END.min(READ) - IMAGE {
            return 0;
        }
        let (writer, reader) = (Guest { instance, name: "w" }, Guest { instance, name: "r" });
        writer.prepare(store, &image, &[], Realloc::Proper);
        reader.prepare(store, &[], &[], Realloc::Proper);
        let (mut host_reader, mut host_writer) = (None, None);
        let mut end = [Val::default()];
        if way == Way::FromHost {
            let ty = reader.func(store, "begin").ty(store).unwrap();
            let ValType::Stream(payload) = &ty.params()[0].1 else { panic!("{ty:?}") };
            let (writable, readable) = stream(store, Option::clone(payload)).unwrap();
            host_writer = Some(writable);
            end = [Val::from(readable)];
        } else {
            writer.func(store, "begin").call(store, &[], &mut end).unwrap();
        }
        if way == Way::ToHost {
            host_reader = Some(StreamReader::from_val(&mut end[0]).unwrap());
        } else {
            reader.func(store, "begin").call(store, &end, &mut []).unwrap();
        }

        let size = elem_size(&self.ty);
        assert_eq!(READ % alignment(&self.ty), 0);
        let (from, mut done, mut got) = (given[0].1, 0, Vec::new());
        while done < vals.len() {
            let (from, to, left) = (from + done as u64 * size, READ + done as u64 * size, vals.len() - done);
            let (brings, wants) = (1 + self.random.below(left), 1 + self.random.below(4));
            let count = brings.min(wants);
            match way {
                Way::ToHost => {
                    assert_eq!(copy(store, writer, from, brings).unwrap(), BLOCKED);
                    got.extend(take(store, host_reader.as_mut().expect("the host has it"), wants));
                    assert_eq!(event(store, writer).unwrap(), completed(count));
                }
                Way::FromHost => {
                    assert_eq!(copy(store, reader, to, wants).unwrap(), BLOCKED);
                    let mut offered = vals[done..done + brings].to_vec();
                    assert_eq!(give(store, host_writer.as_mut().expect("the host has it"), &mut offered), count);
                    assert_eq!(event(store, reader).unwrap(), completed(count));
                }
                Way::Between if self.random.one_in(2) => {
                    assert_eq!(copy(store, writer, from, brings).unwrap(), BLOCKED);
                    assert_eq!(copy(store, reader, to, wants).unwrap(), completed(count));
                    assert_eq!(event(store, writer).unwrap(), completed(count));
                }
                Way::Between => {
                    assert_eq!(copy(store, reader, to, wants).unwrap(), BLOCKED);
                    assert_eq!(copy(store, writer, from, brings).unwrap(), completed(count));
                    assert_eq!(event(store, reader).unwrap(), completed(count));
                }
            }
            done += count;
        }
        if way != Way::ToHost {
            let memory = reader.got(store, &[]).1;
            assert_eq!(memory.len() as u64, MEMORY);
            let lift = Lift { memory: &memory, encoding: self.encodings[1], strict: true, budget: Cell::new(BUDGET) };
            let flat = [(Flat::I32, READ), (Flat::I32, vals.len() as u64)];
            let lifted = lift.lift_flat_values(usize::MAX, &flat, &[list]).expect("what was lowered can be lifted");
            assert_same(&lifted, &[Val::list(vals)]);
        } else {
            assert_same(&got, &vals);
        }
        // Whoever has an end drops it, and the next stream is another one.
        for guest in [writer, reader] {
            guest.func(store, "end").call(store, &[], &mut []).unwrap();
        }
        done
    }
}

fn take(store: &mut Store, reader: &mut StreamReader, most: usize) -> Vec<Val> {
    let read = reader.poll_read(store, &mut Context::from_waker(Waker::noop()), most);
    ready(read).expect("the guest has its end")
}

fn give(store: &mut Store, writer: &mut StreamWriter, vals: &mut [Val]) -> usize {
    let written = writer.poll_write_from(store, &mut Context::from_waker(Waker::noop()), vals);
    ready(written).expect("the guest has its end")
}
