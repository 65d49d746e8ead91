//! Work on all cores.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// Does the work on each item, on as many at a time as there are cores, in their order; and gives what comes of each to `done`, in the order in
/// which they end.
pub fn on_all_cores<T: Send, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    work: impl Fn(T) -> R + Sync,
    done: impl FnMut(R),
) {
    let (items, work) = (Mutex::new(items.into_iter()), &work);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(item) = next() {
                    sender.send(work(item)).expect("they are received until the last is there");
                }
            });
        }
        drop(sender);
        results.into_iter().for_each(done);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_worked_on_once() {
        let mut found = Vec::new();
        on_all_cores(0..100, |item| item * 2, |twice| found.push(twice));
        found.sort();
        assert!(found.into_iter().eq((0..200).step_by(2)));
    }
}
