//! Lists of a module's description that an artifact keeps encoded: they are decoded when first looked at, which for many modules
//! that are loaded is never.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A list, or how to make it. Its length is known from the start.
#[derive(Clone)]
pub struct Late<T> {
    len: usize,
    list: OnceLock<Decoded<T>>,
    decode: Option<Arc<Decode<T>>>,
}

#[derive(Clone)]
struct Decoded<T> {
    list: Vec<T>,
    is_whole: bool,
}

type Decode<T> = dyn Fn() -> Option<Vec<T>> + Send + Sync;

impl<T: Clone + Default> Late<T> {
    /// A list of `len` elements that `decode` makes. Where it makes another number of them, or none, all are default ones.
    pub fn new(len: usize, decode: impl Fn() -> Option<Vec<T>> + Send + Sync + 'static) -> Self {
        Self { len, list: OnceLock::new(), decode: Some(Arc::new(decode)) }
    }

    /// Elements. Decodes nothing.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none. Decodes nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it could be decoded.
    pub fn is_whole(&self) -> bool {
        self.decoded().is_whole
    }

    fn decoded(&self) -> &Decoded<T> {
        if let Some(decoded) = self.list.get() {
            return decoded;
        }
        // Not while the cell is being filled: a child of a fork would find it so for ever. Threads that come at once each decode.
        let decoded = self.decode.as_ref().and_then(|decode| decode());
        let decoded = match decoded.filter(|list| list.len() == self.len) {
            Some(list) => Decoded { list, is_whole: true },
            None => Decoded { list: vec![T::default(); self.len], is_whole: false },
        };
        self.list.get_or_init(|| decoded)
    }
}

impl<T: Clone + Default> Deref for Late<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.decoded().list
    }
}

impl<'a, T: Clone + Default> IntoIterator for &'a Late<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Default for Late<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for Late<T> {
    fn from(list: Vec<T>) -> Self {
        Self { len: list.len(), list: Decoded { list, is_whole: true }.into(), decode: None }
    }
}

impl<T: Clone + Default + fmt::Debug> fmt::Debug for Late<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decoded().list.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Mutex, mpsc};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn it_is_decoded_once_and_not_for_its_length() {
        let times = Arc::new(AtomicU32::new(0));
        let counted = times.clone();
        let list = Late::new(2, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Some(vec![3, 4])
        });
        assert_eq!((list.len(), list.is_empty(), times.load(Ordering::Relaxed)), (2, false, 0));
        assert_eq!((&*list, list[1], list.is_whole(), times.load(Ordering::Relaxed)), (&[3, 4][..], 4, true, 1));
    }

    #[test]
    fn nobody_waits_for_another_ones_decoding() {
        let (other_is_done, done) = mpsc::channel();
        let (begun, beginning) = mpsc::channel();
        // The first to decode waits for the second.
        let first = Mutex::new(Some((begun, done)));
        let list = Late::new(1, move || {
            let first = first.lock().unwrap().take();
            if let Some((begun, done)) = first {
                begun.send(()).unwrap();
                done.recv_timeout(Duration::from_secs(10)).expect("the other one doesn't wait");
            }
            Some(vec![7])
        });
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(*list, [7]));
            beginning.recv().unwrap();
            assert_eq!(*list, [7]);
            other_is_done.send(()).unwrap();
        });
    }

    #[test]
    fn what_cannot_be_decoded_has_its_length_all_the_same() {
        for decoded in [None, Some(vec![1]), Some(vec![1, 2, 3])] {
            let list = Late::new(2, move || decoded.clone());
            assert_eq!((&*list, list.is_whole()), (&[0, 0][..], false));
        }
    }
}
