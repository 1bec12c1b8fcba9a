//! Everything that is logged, as text.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::wait::lock;

/// How many bytes of logs are kept.
const KEPT: usize = 16 << 20;

/// Runs a future and collects all that it logs through `tracing`, down to the trace
/// level, with all fields of all spans.
///
/// Tasks that the future spawns elsewhere log elsewhere. At most 16 MiB are kept.
///
/// ```
/// use channel_testkit::{VirtualClock, assert_absent, canary, capture_tracing};
///
/// let token = canary();
/// let work = async { tracing::debug!(bytes = token.len(), "logged in") };
/// let ((), logs) = VirtualClock::new().block_on(capture_tracing(work));
/// assert!(logs.contains("logged in"));
/// assert_absent(&token, &logs);
/// ```
pub async fn capture_tracing<F: Future>(future: F) -> (F::Output, String) {
    let buffer = Buffer::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::NEW)
        .with_ansi(false)
        .with_writer(buffer.clone())
        .finish();
    // While there is one subscriber alone, a place that logs first on another thread asks only
    // that thread's, which is none, and is silent from then on everywhere.
    let second = Dispatch::new(NoSubscriber::default());
    let output = Box::pin(future.with_subscriber(subscriber)).await;
    drop(second);
    let logs = String::from_utf8_lossy(&lock(&buffer.0)).into_owned();
    (output, logs)
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = lock(&self.0);
        if kept.len() + bytes.len() <= KEPT {
            kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
