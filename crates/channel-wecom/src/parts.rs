//! A message part by part: what has been delivered is never forgotten.

use std::time::Duration;

use channel_core::{Clock, Error, ErrorKind, MessageRef, Receipt, Result};
use futures_core::future::BoxFuture;

use crate::PLATFORM;
use crate::error::Fault;

/// How often a later part is tried again while nothing has left.
const MIDWAY_RETRIES: u32 = 3;

/// A part of a message, as one of the products sends it.
pub(crate) trait Part: Sync {
    /// Whether it is a file: one that is refused says nothing about the next.
    fn is_file(&self) -> bool;
}

/// Sends parts in their order, after those that a receipt names already, up to the first
/// failure.
pub(crate) async fn send_all<'a, P: Part>(
    clock: &dyn Clock,
    parts: &'a [P],
    mut receipt: Receipt,
    send: impl Fn(&'a P) -> BoxFuture<'a, Result<MessageRef, Fault>> + Sync + Send,
) -> Result<Receipt> {
    let first = receipt.messages.len();
    let count = first + parts.len();
    let mut bad_file = None;
    for (index, part) in (first..).zip(parts) {
        match patiently(clock, part, index > 0, &send).await {
            Ok(at) => receipt.messages.push(at),
            Err(error) if part.is_file() && error.kind() == ErrorKind::Invalid => {
                bad_file.get_or_insert((index, error));
            }
            Err(error) => return Err(error.broken_off(receipt, index, count)),
        }
    }
    match bad_file {
        Some((index, error)) => Err(error.broken_off(receipt, index, count)),
        None => Ok(receipt),
    }
}

/// Giving up in the middle is worse than being late.
async fn patiently<'a, P: Part>(
    clock: &dyn Clock,
    part: &'a P,
    midway: bool,
    send: &(impl Fn(&'a P) -> BoxFuture<'a, Result<MessageRef, Fault>> + Sync + Send),
) -> Result<MessageRef> {
    let mut retries = 0;
    loop {
        match send(part).await {
            Err(fault)
                if midway
                    && fault.error.kind() == ErrorKind::Unavailable
                    && retries < MIDWAY_RETRIES =>
            {
                retries += 1;
                let wait = Duration::from_millis(250) * 2_u32.saturating_pow(retries);
                clock.sleep(wait).await;
            }
            other => return Ok(other?),
        }
    }
}

/// There is no part of that number.
pub(crate) fn no_such_part() -> Error {
    Error::new(ErrorKind::Invalid, "the message has no such part").on(PLATFORM, "send message")
}
