//! A file of which each process has its own.

use crate::os::sync::Mutex;
use std::io;

/// A file, or what is known of one, that belongs to the process that opened it. No fork happens while the lock is held, so a child
/// never finds half of what its parent wrote.
pub(super) struct ProcessFile<T>(Mutex<Option<(u32, T)>>);

impl<T> ProcessFile<T> {
    pub(super) const fn new() -> Self {
        ProcessFile(Mutex::new(None))
    }

    /// Does something with this process's file, after opening it where that is yet to be done: `open` gets the process's number.
    ///
    /// # Errors
    /// What `open` says.
    pub(super) fn with<R>(
        &self,
        open: impl FnOnce(u32) -> io::Result<T>,
        act: impl FnOnce(&mut T) -> R,
    ) -> io::Result<R> {
        let mut file = self.0.lock();
        let process = std::process::id();
        match &mut *file {
            Some((owner, file)) if *owner == process => Ok(act(file)),
            slot => Ok(act(&mut slot.insert((process, open(process)?)).1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_once_and_again_after_a_failure() {
        let file = ProcessFile::<Vec<u32>>::new();
        assert!(file.with(|_| Err(io::ErrorKind::NotFound.into()), |_| ()).is_err());
        file.with(|process| Ok(vec![process]), |list| list.push(1)).unwrap();
        let list = file.with(|_| unreachable!("it is open"), |list| list.clone()).unwrap();
        assert_eq!(list, [std::process::id(), 1]);
    }
}
