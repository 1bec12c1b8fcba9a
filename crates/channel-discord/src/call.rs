//! A call in its turn: waited for, counted, and made again where that does no harm.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{Error, ErrorKind, Result};
use http::Response;
use serde::de::DeserializeOwned;

use crate::PLATFORM;
use crate::client::Call;
use crate::error::{Failure, Reason};
use crate::pacing::Turn;
use crate::shared::Shared;

/// How often one call is made again because Discord wanted a pause.
const FLOOD_RETRIES: u32 = 3;
/// How often one call is made again whose answer was lost, where Discord knows it again.
const DOUBT_RETRIES: u32 = 2;

/// A failed call, with what the adapter may do about it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) error: Error,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self {
            reason: Reason::Other,
            error,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

impl Shared {
    /// Makes a call in its turn and decodes the answer. `patience` is how long a pause may
    /// be that Discord asks for; `None` for a call that is better left out than waited for.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        call: &Call,
        patience: Option<Duration>,
    ) -> Result<T, Fault> {
        let response = self.call_raw(call, patience).await?;
        serde_json::from_slice(response.body()).map_err(|_| Fault {
            reason: Reason::Other,
            error: Failure::Unreadable.into_error(call.op, call.op.is_repeatable()),
        })
    }

    /// The same without looking at what a success says.
    pub(crate) async fn call_raw(
        &self,
        call: &Call,
        patience: Option<Duration>,
    ) -> Result<Response<Bytes>, Fault> {
        let mut floods = 0;
        let mut doubts = 0;
        loop {
            self.take_turn(call, patience).await?;
            let failure = match self.try_call(call).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let reason = failure.reason();
            if reason == Reason::Flood {
                let wait = failure.retry_after().unwrap_or(Duration::from_secs(1));
                if patience.is_some_and(|patience| wait <= patience) && floods < FLOOD_RETRIES {
                    floods += 1;
                    continue;
                }
            }
            // The nonce makes the second attempt find the first.
            if call.is_keyed
                && failure.is_in_doubt()
                && doubts < DOUBT_RETRIES
                && patience.is_some()
            {
                doubts += 1;
                let wait = Duration::from_millis(250) * 2_u32.saturating_pow(doubts);
                self.client.transport.clock.sleep(wait).await;
                continue;
            }
            let error = failure.into_error(call.op, call.op.is_repeatable());
            return Err(Fault { reason, error });
        }
    }

    async fn try_call(&self, call: &Call) -> Result<Response<Bytes>, Failure> {
        let response = self.client.send(call).await?;
        let now = self.elapsed();
        self.pacer.learn(call, response.headers(), now);
        if response.status().is_success() {
            return Ok(response);
        }
        let failure = Failure::of_response(&response);
        let (is_global, is_shared) = match &failure {
            Failure::Refused(refusal) => (refusal.is_global, refusal.is_shared),
            _ => (false, false),
        };
        if failure.reason() == Reason::Flood
            && let Some(wait) = failure.retry_after()
        {
            self.pacer.limited(call, is_global, wait, now);
        }
        if matches!(response.status().as_u16(), 401 | 403 | 429) && !is_shared {
            self.pacer.refused(now);
        }
        Err(failure)
    }

    async fn take_turn(&self, call: &Call, patience: Option<Duration>) -> Result<(), Fault> {
        match self.pacer.turn(call, self.elapsed(), patience) {
            Turn::After(Duration::ZERO) => Ok(()),
            Turn::After(wait) => {
                self.client.transport.clock.sleep(wait).await;
                Ok(())
            }
            Turn::TooLong(wait) => Err(Fault {
                reason: Reason::Flood,
                error: Error::new(ErrorKind::RateLimited, "too much is being sent to discord")
                    .on(PLATFORM, call.op.operation())
                    .with_retry_after(wait),
            }),
        }
    }
}
