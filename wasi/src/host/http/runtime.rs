//! The thread that carries connections. It is made on first use and stays; one thread serves all stores of the process.

use crate::host::fork;
use ampoule::sync::Mutex;
use std::future::pending;
use std::io;
use std::mem::ManuallyDrop;
use tokio::runtime::{Builder, Handle};

/// Lookups of names that run at once; others wait. The system's resolver needs a thread for each.
const MAX_LOOKUPS: usize = 32;

/// The runtime of the process that this is, or of a parent: then a child makes its own, and leaves that one alone.
static RUNTIME: Mutex<Option<(Option<u64>, ManuallyDrop<Handle>)>> = Mutex::new(None);

/// How to give work to the thread.
///
/// # Errors
/// The host has no thread or descriptor for it.
pub fn handle() -> io::Result<Handle> {
    let mut runtime = RUNTIME.lock();
    let process = fork::mark();
    if let Some((of, handle)) = &*runtime
        && *of == process
    {
        return Ok(Handle::clone(handle));
    }
    let new = Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(MAX_LOOKUPS).build()?;
    let handle = new.handle().clone();
    std::thread::Builder::new().name("http".to_owned()).spawn(move || new.block_on(pending::<()>()))?;
    *runtime = Some((process, ManuallyDrop::new(handle.clone())));
    Ok(handle)
}
