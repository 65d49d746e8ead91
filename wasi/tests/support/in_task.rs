//! Calls that run in a task of their store, which is polled when the descriptor of the store's reactor says so.

use ampoule::store::task::{Task, Work};
use ampoule::{Error, Store};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::task::Poll;

struct Job<F, T> {
    run: Option<F>,
    result: Option<T>,
}

impl<F: FnOnce(&mut Store) -> Result<T, Error> + 'static, T: 'static> Work for Job<F, T> {
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        let run = self.run.take().expect("work runs once");
        self.result = Some(run(store)?);
        Ok(())
    }
}

/// Does something in a task, and says how often that was suspended. Nothing that waits takes longer than half a minute.
pub fn in_task<T: 'static>(
    store: &mut Store,
    run: impl FnOnce(&mut Store) -> Result<T, Error> + 'static,
) -> (Result<T, Error>, usize) {
    let descriptor = store.reactor().expect("a reactor").descriptor().expect("descriptors are left");
    let descriptor = descriptor.try_clone_to_owned().expect("descriptors are left");
    let job = Job { run: Some(run), result: None };
    // SAFETY: the store is used on this thread alone, and the box stays where it is.
    let mut task = unsafe { Task::new(store, |slot| _ = slot.write(job)) };
    let mut suspended = 0;
    loop {
        // SAFETY: as above.
        match unsafe { task.poll() } {
            Poll::Ready(outcome) => {
                return (outcome.map(|()| task.work().result.take().expect("it has ended")), suspended);
            }
            Poll::Pending => suspended += 1,
        }
        let half_a_minute = Timespec { tv_sec: 30, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&half_a_minute)).expect("a descriptor");
        assert_eq!(ready, 1, "nobody says that the call can go on");
    }
}
