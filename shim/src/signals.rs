//! What ends a command: a signal gives it its grace, then cancels what it does.
//!
//! A guest knows of no signals. One that is over within its grace ends as it would have; a second signal takes the rest of the grace away.

use ampoule::engine::cancel::CancelToken;
use anyhow::Result;
use std::future::poll_fn;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

/// How long a guest may take to notice that it is cancelled. One that sits in a call of the host's that nothing ends goes with the process.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a shell adds to a signal's number.
pub const STATUS: i32 = 128;

/// Signals that end commands.
pub struct Termination {
    signals: [(SignalKind, Signal); 2],
}

/// The signal that came first; zero before.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// The status of a guest that a signal has cancelled, if one has come.
pub fn status() -> Option<i32> {
    let signal = RECEIVED.load(SeqCst);
    (signal != 0).then_some(STATUS + signal)
}

/// From now on, signals cancel calls by this token after so long a time.
///
/// # Errors
/// Where the system gives no thread, or no handlers.
pub fn cancel_by(token: CancelToken, grace: Duration) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut termination = {
        let _inside = runtime.enter();
        let of = |kind| anyhow::Ok((kind, signal(kind)?));
        Termination { signals: [of(SignalKind::terminate())?, of(SignalKind::interrupt())?] }
    };
    // Not waited for: it ends with the process.
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let first = termination.next().await;
            RECEIVED.store(first.as_raw_value(), SeqCst);
            let _ = timeout(grace, termination.next()).await;
            let cancel = async {
                // Between two calls there is none to cancel.
                loop {
                    token.cancel(token.generation());
                    sleep(Duration::from_millis(1)).await;
                }
            };
            let _: Result<(), _> = timeout(PATIENCE, cancel).await;
            std::process::exit(STATUS + first.as_raw_value());
        });
    })?;
    Ok(())
}

impl Termination {
    async fn next(&mut self) -> SignalKind {
        poll_fn(|cx| {
            let came =
                self.signals.iter_mut().find_map(|(kind, signal)| signal.poll_recv(cx).is_ready().then_some(*kind));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
