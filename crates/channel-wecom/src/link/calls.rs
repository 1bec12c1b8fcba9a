//! Requests over the connection and their answers.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{Error, ErrorKind, timeout};
use serde_json::Value;

use super::frame;
use super::pump::{Progress, Pump};
use crate::PLATFORM;
use crate::api::Call;
use crate::error::{Fault, of_code};

/// How long a call waits for the connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(15);
/// How long the platform takes to answer
/// (<https://developer.work.weixin.qq.com/document/path/101463>).
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Takes a call out of the books, however it ends.
struct Booked<'a> {
    pump: &'a Pump,
    id: &'a str,
    done: bool,
}

impl Booked<'_> {
    fn close(mut self) -> Option<Progress> {
        self.done = true;
        self.pump.end_call(self.id)
    }
}

impl Drop for Booked<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.pump.end_call(self.id);
        }
    }
}

/// Sends a request and waits for its answer.
pub(super) async fn call(
    pump: &Pump,
    call: Call,
    command: &str,
    id: &str,
    body: Value,
    within: Duration,
) -> Result<Bytes, Fault> {
    let frame = frame::write(command, id, Some(body));
    let on = |error: Error| error.on(PLATFORM, call.operation);
    let clock = &*pump.transport.clock;
    let unconnected = || {
        let refusal = pump.dial.refusal();
        on(refusal
            .unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "the connection is not open")))
    };
    let begun = timeout(clock, CONNECTED_WITHIN, pump.begin_call(id, &frame)).await;
    begun.map_err(|_| unconnected())?.map_err(on)?;
    let booked = Booked {
        pump,
        id,
        done: false,
    };
    let left = timeout(clock, CONNECTED_WITHIN, pump.beyond(id, false)).await;
    if left.is_ok() {
        let _ = timeout(clock, within, pump.beyond(id, true)).await;
    }
    match booked.close() {
        Some(Progress::Answered(0, body)) => Ok(body),
        Some(Progress::Answered(code, _)) => Err(of_code(code, call.operation)),
        Some(Progress::Waiting) | None => Err(unconnected().into()),
        Some(Progress::Sent | Progress::Lost) => {
            let kind = if call.repeatable {
                ErrorKind::Unavailable
            } else {
                ErrorKind::Uncertain
            };
            Err(on(Error::new(kind, "no answer in time")).into())
        }
    }
}
