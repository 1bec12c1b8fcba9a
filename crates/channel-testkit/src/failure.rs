//! What can go wrong on a platform.

use std::time::Duration;

/// How a platform fails, from now on, until it is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The credentials are no longer accepted (401).
    Unauthorized,
    /// The chat does not let the bot write: blocked, kicked (403).
    Blocked,
    /// Too many calls; the platform says how long to wait (429).
    RateLimited(Duration),
    /// The server fails before it does anything (500).
    ServerError,
    /// The server does what it was asked to, and the answer never comes.
    LostAnswer,
}
