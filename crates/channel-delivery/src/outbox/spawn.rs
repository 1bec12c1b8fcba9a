//! Where deliveries run.

use std::fmt;

use futures_util::future::BoxFuture;

/// Runs tasks beside their callers.
///
/// A delivery goes on when whoever asked for it is gone: a handler that is aborted leaves
/// no message behind of which the first half was sent. So each runs as a task, and where
/// it runs is an argument: a simulation brings its own scheduler.
pub trait Spawn: fmt::Debug + Send + Sync + 'static {
    /// Runs a task to its end.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// Runs tasks on the Tokio runtime of the caller.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TokioSpawn;

impl Spawn for TokioSpawn {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}
