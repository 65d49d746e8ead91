//! What the two ends of a stream or future do that two guests have, as the specification says (Canonical ABI, "Stream State" and "Future
//! State"): what each copy, cancellation and event answers, and which elements go over.

/// What has the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Stream,
    Future,
}

/// What a guest does with its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A read or write of so many elements; of a future, of one.
    Copy(u32),
    Cancel,
    Drop,
    Poll,
}

/// Which end, [`WRITER`] or [`READER`], and what it does.
pub type Step = (usize, Op);

pub const WRITER: usize = 0;
pub const READER: usize = 1;

/// What a copy answers that waits.
pub const BLOCKED: i32 = -1;
/// What stands for no event.
pub const NO_EVENT: i32 = -2;

pub const COMPLETED: i32 = 0;
pub const DROPPED: i32 = 1;
pub const CANCELLED: i32 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    Nothing,
    Copying,
    Done,
    Gone,
}

#[derive(Clone, Copy, Debug)]
pub struct End {
    pub doing: Doing,
    /// The first element of the buffer, and how many it has.
    pub at: usize,
    pub len: usize,
    pub progress: usize,
    /// The result, and whether the buffer is lent until it is told.
    pub event: Option<(i32, bool)>,
}

/// What the specification says.
#[derive(Clone, Debug)]
pub struct Model {
    pub kind: Kind,
    pub ends: [End; 2],
    /// Whose buffer is lent.
    pub pending: Option<usize>,
    /// Where the next copy of each end has its buffer, in elements.
    pub at: [usize; 2],
    /// Which elements have gone over: from where, and to where.
    pub moved: Vec<(usize, usize)>,
}

impl Model {
    pub fn new(kind: Kind, at: [usize; 2]) -> Model {
        let end = End { doing: Doing::Nothing, at: 0, len: 0, progress: 0, event: None };
        Model { kind, ends: [end; 2], pending: None, at, moved: Vec::new() }
    }

    /// Whether a step is one that doesn't trap.
    pub fn allows(&self, (who, op): Step) -> bool {
        let doing = self.ends[who].doing;
        match op {
            Op::Copy(_) => doing == Doing::Nothing,
            Op::Cancel => doing == Doing::Copying,
            // What has the readable end of a future relies on its value.
            Op::Drop if (self.kind, who) == (Kind::Future, WRITER) => doing == Doing::Done,
            Op::Drop => matches!(doing, Doing::Nothing | Doing::Done),
            Op::Poll => true,
        }
    }

    fn tell(&mut self, who: usize) -> i32 {
        let end = &mut self.ends[who];
        let (result, lent) = end.event.take().expect("there is one");
        let is_over = result == DROPPED || self.kind == Kind::Future && result == COMPLETED;
        end.doing = if is_over { Doing::Done } else { Doing::Nothing };
        if lent {
            self.pending = None;
        }
        // That of a future says nothing of how many.
        if self.kind == Kind::Future { result } else { result | (end.progress as i32) << 4 }
    }

    /// The buffer that is lent, if one is, is its owner's again.
    pub fn notify_pending(&mut self, result: i32) {
        if let Some(who) = self.pending.take() {
            self.ends[who].event = Some((result, false));
        }
    }

    /// Elements go over between two buffers.
    fn transfer(&mut self, count: usize) {
        for _ in 0..count {
            let [from, to] = self.ends.map(|end| end.at + end.progress);
            self.moved.push((from, to));
            self.ends.iter_mut().for_each(|end| end.progress += 1);
        }
    }

    /// What a step answers.
    pub fn step(&mut self, (who, op): Step) -> i32 {
        match op {
            Op::Poll => return if self.ends[who].event.is_some() { self.tell(who) } else { NO_EVENT },
            Op::Drop => {
                self.ends[who].doing = Doing::Gone;
                self.notify_pending(DROPPED);
                return 0;
            }
            Op::Cancel => {
                match self.ends[who].event {
                    None => self.notify_pending(CANCELLED),
                    // What nobody was told of yet is told as what was done before the cancellation.
                    Some((COMPLETED, lent)) if self.kind == Kind::Stream => {
                        self.ends[who].event = Some((CANCELLED, lent));
                    }
                    Some(_) => {}
                }
                return self.tell(who);
            }
            Op::Copy(len) => {
                let len = if self.kind == Kind::Future { 1 } else { len as usize };
                let end = &mut self.ends[who];
                (end.at, end.len, end.progress, end.doing) = (self.at[who], len, 0, Doing::Copying);
            }
        }
        self.meet(who);
        if self.ends[who].event.is_some() { self.tell(who) } else { BLOCKED }
    }

    /// An end that has a buffer meets the other one.
    fn meet(&mut self, who: usize) {
        let other = 1 - who;
        let [mine, theirs] = [self.ends[who], self.ends[other]];
        if theirs.doing == Doing::Gone {
            self.ends[who].event = Some((DROPPED, false));
        } else if self.pending.is_none() {
            self.pending = Some(who);
        } else if self.kind == Kind::Future {
            self.transfer(1);
            self.notify_pending(COMPLETED);
            self.ends[who].event = Some((COMPLETED, false));
        } else if theirs.len > theirs.progress {
            let count = (theirs.len - theirs.progress).min(mine.len);
            if count > 0 {
                self.transfer(count);
                self.ends[other].event = Some((COMPLETED, true));
            }
            self.ends[who].event = Some((COMPLETED, false));
        } else if who == WRITER && mine.len == 0 && theirs.len == 0 {
            self.ends[who].event = Some((COMPLETED, false));
        } else {
            self.notify_pending(COMPLETED);
            self.pending = Some(who);
        }
    }
}
