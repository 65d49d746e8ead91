//! What the host does: it takes resources from `a`, in a call, a stream or a future, gives them to `b` likewise, lends
//! them to it, and drops them.

use super::model::{Entry, Trap, map_handles};
use super::{Case, expect};
use crate::assert_same;
use crate::copies::Kind;
use crate::guest::{IMAGE, IMAGE_END};
use crate::streams::READ;
use crate::types::{Handle, Ty};
use ampoule_component::streams::{FutureReader, FutureWriter, StreamReader, StreamWriter, future, heed, stream};
use ampoule_component::types::ValType;
use ampoule_component::{Val, ValRef};
use std::task::{Context, Poll, Waker};

/// What a copy answers that was told of by a cancellation.
fn cancelled(kind: Kind, moved: usize) -> u32 {
    if kind == Kind::Stream { (moved as u32) << 4 | 2 } else { 0 }
}

fn ready<T, E: std::fmt::Debug>(poll: Poll<Result<T, E>>) -> Result<T, E> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the guest waits for it"),
    }
}

impl Case {
    /// The host has a resource more, which was `a`'s.
    fn take(&mut self) {
        let index = self.make();
        let Ok(Entry::Own(rep)) = self.model.a.remove(index) else { panic!("{index} was made") };
        let val = self.hand(index);
        self.hosts.push((val, rep));
    }

    /// `a` gives the host what it has by this number.
    pub fn hand(&mut self, index: u32) -> Val {
        let func = self.instance.get_func(&mut self.store, &["hand"]).unwrap().expect("the component exports it");
        let mut results = [Val::default()];
        func.call(&mut self.store, &[Val::from(index)], &mut results).unwrap();
        let [val] = results;
        val
    }

    /// A value with resources that the host has, and messages; and the same as `b` will see it. Where it is to be wrong, a resource is given
    /// twice.
    fn host_val(&mut self, ty: &Ty, is_wrong: bool) -> (Val, Result<Val, Trap>) {
        let plain = ty.random_val(&mut self.random);
        // Is lent, and perhaps given another time.
        self.take();
        let (mut entries, mut given, mut outcome) = (Vec::new(), Vec::new(), Ok(()));
        let val = map_handles(ty, &plain, &mut |handle, _| {
            Ok(match (handle, given.first()) {
                (Handle::Own, Some(again)) if is_wrong => {
                    outcome = Err(Trap);
                    Val::clone(again)
                }
                (Handle::Own, _) => {
                    if self.hosts.len() < 2 {
                        self.take();
                        self.hosts.swap(0, 1);
                    }
                    let at = self.random.below(self.hosts.len() - 1);
                    let (val, rep) = self.hosts.remove(at);
                    entries.push(Entry::Own(rep));
                    given.push(val.clone());
                    val
                }
                (Handle::Borrow, _) => {
                    let (val, rep) = self.hosts.last().expect("it was taken");
                    entries.push(Entry::Borrow(*rep));
                    val.clone()
                }
                (Handle::ErrorContext, _) => {
                    self.made += 1;
                    entries.push(Entry::ErrorContext(self.made));
                    Val::error_context(format!("e{}", self.made))
                }
            })
        });
        let mut entries = entries.into_iter();
        let seen = outcome.and_then(|()| {
            map_handles(ty, &plain, &mut |_, _| Ok(Val::from(self.model.b.insert(entries.next().expect("as many")))))
        });
        (val.expect("none traps"), seen)
    }

    /// The host calls `b`.
    pub fn host_call(&mut self, is_wrong: bool) -> Result<(), Trap> {
        let ty = self.called.clone();
        let (val, seen) = self.host_val(&ty, is_wrong);
        self.call_b(seen, false, |case| {
            let func = case.instance.get_func(&mut case.store, &["f"])?.expect("the component exports it");
            func.call(&mut case.store, &[val], &mut []).map(|()| 0)
        })
    }

    /// The host drops a resource.
    pub fn host_drop(&mut self) -> Result<(), Trap> {
        if self.hosts.is_empty() {
            self.take();
        }
        let at = self.random.below(self.hosts.len());
        let (val, rep) = self.hosts.swap_remove(at);
        let ValRef::Resource(Some(any)) = val.get() else { panic!("{val:?}") };
        let outcome = any.drop(&mut self.store).map(|()| 0);
        expect(&outcome, self.model.destroy(rep))?;
        any.drop(&mut self.store).expect_err("it was dropped");
        Ok(())
    }

    /// `a` writes, and the host reads as many elements as both want.
    pub fn host_read(&mut self, is_wrong: bool) -> Result<(), Trap> {
        let (kind, ty) = self.sent.clone().expect("there is one");
        let Some((vals, at)) = self.offer(kind, &ty, is_wrong) else { return Ok(()) };
        let func = self.instance.get_func(&mut self.store, &["open"]).unwrap().expect("the component exports it");
        let mut end = [Val::default()];
        func.call(&mut self.store, &[], &mut end).unwrap();
        let ends = [self.model.a.insert(Entry::End), self.model.a.insert(Entry::End)];
        self.model.a.remove(ends[0])?;
        assert_eq!(self.call("a", "copy", &[at, vals.len() as u32]).unwrap() as i32, -1);

        let mut cx = Context::from_waker(Waker::noop());
        let most = 1 + self.random.below(4);
        let moved = vals.len().min(most);
        let got = if kind == Kind::Stream {
            let mut reader = StreamReader::from_val(&mut end[0]).unwrap();
            ready(reader.poll_read(&mut self.store, &mut cx, most)).map(|vals| vals.expect("the guest is there"))
        } else {
            let mut reader = FutureReader::from_val(&mut end[0]).unwrap();
            ready(reader.poll_read(&mut self.store, &mut cx)).map(|val| val.into_iter().collect())
        };
        let lifted = vals[..moved].iter().map(|val| self.model.lift(&ty, val)).collect::<Result<Vec<_>, _>>();
        let (Ok(got), Ok(lifted)) = (&got, &lifted) else {
            assert!(got.is_err() && lifted.is_err(), "{got:?}, not {lifted:?}");
            return Err(Trap);
        };
        let mut entries = lifted.iter().flatten();
        let zeros = |val: &Val, of: &mut dyn FnMut(Handle, &Val)| {
            map_handles(&ty, val, &mut |handle, val| {
                of(handle, val);
                Ok(Val::from(0u32))
            })
        };
        for (got, val) in got.iter().zip(&vals[..moved]) {
            let got = zeros(got, &mut |_, val| match entries.next().expect("as many") {
                Entry::Own(rep) => self.hosts.push((val.clone(), *rep)),
                Entry::ErrorContext(number) => assert_eq!(*val, Val::error_context(format!("e{number}"))),
                other => panic!("{other:?}"),
            })?;
            assert_same(&[got], &[zeros(val, &mut |_, _| ())?]);
        }
        assert_eq!(got.len(), moved);
        heed(&mut self.store).unwrap();
        assert_eq!(self.call("a", "cancel", &[]).unwrap(), cancelled(kind, moved));
        self.call("a", "let-go", &[]).unwrap();
        self.model.a.remove(ends[1]).map(drop)
    }

    /// The host writes, and `b` reads as many elements as the host has.
    pub fn host_write(&mut self) -> Result<(), Trap> {
        let (kind, ty) = self.sent.clone().expect("there is one");
        let begin = self.instance.get_func(&mut self.store, &["begin"]).unwrap().expect("the component exports it");
        let param = begin.ty(&mut self.store).unwrap();
        let (ValType::Stream(payload) | ValType::Future(payload)) = &param.params()[0].1 else { panic!("{param:?}") };
        self.prepare("b", &vec![0; (IMAGE_END - IMAGE) as usize], &[]);
        let (mut streams, mut futures): (Option<StreamWriter>, Option<FutureWriter>) = (None, None);
        let end = if kind == Kind::Stream {
            let (writer, reader) = stream(&mut self.store, Option::clone(payload)).unwrap();
            streams = Some(writer);
            Val::from(reader)
        } else {
            let (writer, reader) = future(&mut self.store, Option::clone(payload)).unwrap();
            futures = Some(writer);
            Val::from(reader)
        };
        begin.call(&mut self.store, &[end], &mut []).unwrap();
        let readable = self.model.b.insert(Entry::End);
        let wants = if kind == Kind::Stream { 1 + self.random.below(3) } else { 1 };
        assert_eq!(self.call("b", "copy", &[READ as u32, wants as u32]).unwrap() as i32, -1);

        let (mut vals, mut seen) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.random.below(wants) {
            let (val, as_seen) = self.host_val(&ty, false);
            vals.push(val);
            seen.push(as_seen?);
        }
        let moved = vals.len();
        if let Some(mut writer) = streams {
            let mut cx = Context::from_waker(Waker::noop());
            let written = ready(writer.poll_write_from(&mut self.store, &mut cx, &mut vals)).unwrap();
            assert_eq!(written, Some(moved));
        } else if let Some(writer) = futures {
            writer.write(&mut self.store, vals.pop()).unwrap();
        }
        heed(&mut self.store).unwrap();
        assert_eq!(self.call("b", "cancel", &[]).unwrap(), cancelled(kind, moved));
        self.check_read(&ty, seen);
        self.call("b", "let-go", &[]).unwrap();
        self.model.b.remove(readable).map(drop)
    }
}
