//! Many streams of one guest that become fewer, against a small model of the specification (Canonical ABI, "Stream and Future State").

use super::guest::{BLOCKED, CANCELLED, COMPLETED, DROPPED, Guest, NO_EVENT, World};

/// What the specification says of many streams whose ends one guest has.
#[derive(Default)]
struct Model {
    /// The readable end of each stream, and then its writable one.
    ends: Vec<End>,
    memory: Vec<u8>,
    /// How many forwards had two buffers meet.
    met: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Nothing,
    Copying,
    Done,
    Gone,
}

#[derive(Clone, Copy)]
struct End {
    handle: u32,
    other: Option<usize>,
    doing: Doing,
    len: usize,
    progress: usize,
    lent: bool,
    event: Option<(i64, bool)>,
}

impl End {
    fn left(&self) -> usize {
        self.len - self.progress
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    New,
    Copy(usize, usize),
    Cancel(usize),
    Drop(usize),
    Poll(usize),
    Forward(usize, usize),
}

fn is_writable(end: usize) -> bool {
    end % 2 == 1
}

impl Model {
    fn allows(&self, op: Op) -> bool {
        let doing = |end: usize| self.ends.get(end).map(|end| end.doing);
        match op {
            Op::New => self.ends.len() < 16,
            Op::Copy(end, _) => doing(end) == Some(Doing::Nothing),
            Op::Cancel(end) => doing(end) == Some(Doing::Copying),
            Op::Drop(end) => matches!(doing(end), Some(Doing::Nothing | Doing::Done)),
            Op::Poll(end) => doing(end).is_some_and(|doing| doing != Doing::Gone),
            Op::Forward(from, to) => {
                !is_writable(from) && is_writable(to) && [from, to].map(doing) == [Some(Doing::Nothing); 2]
            }
        }
    }

    fn tell(&mut self, who: usize) -> i64 {
        let end = &mut self.ends[who];
        let (result, lent) = end.event.take().expect("there is one");
        end.doing = if result == DROPPED { Doing::Done } else { Doing::Nothing };
        end.lent &= !lent;
        result | (end.progress as i64) << 4
    }

    fn end_lent(&mut self, who: usize, result: i64) {
        let end = &mut self.ends[who];
        if std::mem::take(&mut end.lent) {
            end.event = Some((result, false));
        }
    }

    fn leave(&mut self, who: usize) {
        self.ends[who].doing = Doing::Gone;
        if let Some(other) = self.ends[who].other.take() {
            self.ends[other].other = None;
            self.end_lent(other, DROPPED);
        }
    }

    /// An end brings a buffer, which it has not lent yet.
    fn meet(&mut self, who: usize) {
        let Some(other) = self.ends[who].other else { return self.ends[who].event = Some((DROPPED, false)) };
        let [mine, theirs] = [self.ends[who], self.ends[other]];
        if !theirs.lent {
            self.ends[who].lent = true;
        } else if theirs.left() > 0 {
            let count = theirs.left().min(mine.left());
            if count > 0 {
                let (from, to) = if is_writable(who) { (who, other) } else { (other, who) };
                let [from, to] = [from, to].map(|end| end * 16 + self.ends[end].progress);
                self.memory.copy_within(from..from + count, to);
                self.ends[who].progress += count;
                self.ends[other].progress += count;
                self.ends[other].event = Some((COMPLETED, true));
            }
            self.ends[who].event = Some((COMPLETED, false));
        } else if is_writable(who) && mine.len == 0 && theirs.len == 0 {
            self.ends[who].event = Some((COMPLETED, false));
        } else {
            self.end_lent(other, COMPLETED);
            self.ends[who].lent = true;
        }
    }

    fn forward(&mut self, from: usize, to: usize) {
        let (writer, reader) = match (self.ends[from].other, self.ends[to].other) {
            (Some(writer), Some(reader)) if writer != to => (writer, reader),
            _ => {
                self.leave(from);
                return self.leave(to);
            }
        };
        for gone in [from, to] {
            (self.ends[gone].doing, self.ends[gone].other) = (Doing::Gone, None);
        }
        (self.ends[writer].other, self.ends[reader].other) = (Some(reader), Some(writer));
        for end in [writer, reader] {
            let end = &mut self.ends[end];
            if end.lent && end.len > 0 && end.left() == 0 {
                end.lent = false;
                end.event = end.event.map(|(result, _)| (result, false));
            }
        }
        if self.ends[writer].lent && self.ends[reader].lent {
            let second = if self.ends[reader].left() > self.ends[writer].left() { writer } else { reader };
            self.ends[second].lent = false;
            self.met += 1;
            self.meet(second);
        }
    }

    /// What the guest is to answer, but for new ends.
    fn step(&mut self, op: Op) -> i64 {
        match op {
            Op::New => {}
            Op::Poll(who) => return if self.ends[who].event.is_some() { self.tell(who) } else { NO_EVENT },
            Op::Drop(who) => self.leave(who),
            Op::Forward(from, to) => self.forward(from, to),
            Op::Cancel(who) => {
                match self.ends[who].event {
                    None => self.end_lent(who, CANCELLED),
                    Some((COMPLETED, lent)) => self.ends[who].event = Some((CANCELLED, lent)),
                    Some(_) => {}
                }
                return self.tell(who);
            }
            Op::Copy(who, len) => {
                let end = &mut self.ends[who];
                (end.len, end.progress, end.doing) = (len, 0, Doing::Copying);
                self.meet(who);
                return if self.ends[who].event.is_some() { self.tell(who) } else { BLOCKED };
            }
        }
        0
    }

    /// Has the guest do it, too.
    fn step_with(&mut self, guest: &mut Guest, op: Op) -> (i64, i64) {
        let handle = |model: &Model, end: usize| model.ends[end].handle;
        let way = |end, readable, writable| if is_writable(end) { writable } else { readable };
        let answer = match op {
            Op::New => {
                for (side, handle) in guest.new_pair("").into_iter().enumerate() {
                    let other = Some(self.ends.len() + 1 - 2 * side);
                    let doing = Doing::Nothing;
                    self.ends.push(End { handle, other, doing, len: 0, progress: 0, lent: false, event: None });
                }
                0
            }
            Op::Copy(end, len) => {
                guest.call(way(end, "read", "write"), &[handle(self, end), end as u32 * 16, len as u32])
            }
            Op::Cancel(end) => guest.call(way(end, "cancel-read", "cancel-write"), &[handle(self, end)]),
            Op::Drop(end) => guest.call(way(end, "drop-readable", "drop-writable"), &[handle(self, end)]),
            Op::Poll(end) => guest.call("event", &[handle(self, end)]),
            Op::Forward(from, to) => guest.call("forward", &[handle(self, from), handle(self, to)]),
        };
        (answer, self.step(op))
    }
}

#[test]
fn many_streams_that_are_forwarded_at_random_do_as_the_specification_says() {
    let world = World::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize % below
    };
    let (mut forwards, mut met) = (0, 0);
    for _ in 0..300 {
        let (mut model, mut guest) = (Model { memory: (0..=255).collect(), ..Model::default() }, world.begin());
        let mut steps = Vec::new();
        for _ in 0..400 {
            let end = random(16);
            let op = match random(40) {
                0 | 1 => Op::New,
                2..=15 => Op::Copy(end, random(7)),
                16..=20 => Op::Cancel(end),
                21 => Op::Drop(end),
                22..=36 => Op::Poll(end),
                _ => {
                    let pairs = (0..256).map(|pair| Op::Forward(pair % 16, pair / 16));
                    let pairs: Vec<_> = pairs.filter(|&op| model.allows(op)).collect();
                    if pairs.is_empty() {
                        continue;
                    }
                    pairs[random(pairs.len())]
                }
            };
            if !model.allows(op) {
                continue;
            }
            steps.push(op);
            forwards += usize::from(matches!(op, Op::Forward(..)));
            let (answer, expected) = model.step_with(&mut guest, op);
            assert_eq!(answer, expected, "the last of {steps:?}");
        }
        assert_eq!(guest.memory(), model.memory, "{steps:?}");
        met += model.met;
    }
    assert!(forwards > 1000 && met > 100, "{forwards} forwards, and two buffers met in {met} of them");
}
