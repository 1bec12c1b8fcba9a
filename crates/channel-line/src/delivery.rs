//! One call on its way: by the reply token while it works, pushed under a key afterwards.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{ChatId, Error, ErrorKind, Result};

use crate::PLATFORM;
use crate::client::{Outgoing, Sent};
use crate::config::LostReply;
use crate::error::{Failure, Reason};
use crate::limits;
use crate::plan::OPERATION;
use crate::retry_key::RetryKey;
use crate::shared::Shared;

/// How often a call is made again of which nobody knows whether it has arrived.
const RETRIES: u32 = 2;
/// The pause before the first of them; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// The right to answer for nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) token: String,
    pub(crate) opened: SystemTime,
}

impl std::fmt::Debug for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token is a secret while it works.
        f.debug_struct("Right")
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

impl Right {
    pub(crate) fn new(token: String, opened: u64) -> Self {
        let opened = UNIX_EPOCH.checked_add(Duration::from_millis(opened));
        Self {
            token,
            opened: opened.unwrap_or(UNIX_EPOCH),
        }
    }
}

/// A call and where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) chat: &'a ChatId,
    pub(crate) right: Option<&'a Right>,
    pub(crate) out: Outgoing<'a>,
    pub(crate) key: RetryKey,
}

/// How an answer by token has ended, if not with an error.
enum Answered {
    Sent(Sent),
    /// It has certainly not arrived, and the token does not work: push.
    Refused,
    /// It may have arrived, and nothing more can be found out.
    Lost,
}

impl Delivery<'_> {
    /// Sends it, by the first way that works.
    pub(crate) async fn send(self) -> Result<Sent> {
        let Some(right) = self.right else {
            return self.push().await;
        };
        let shared = self.shared;
        let now = shared.transport().clock.now();
        let answered = if shared.memory.is_lost(&right.token, self.key) {
            // The same answer once more. The token works once, so trying it again tells
            // whether it has been used and never doubles anything.
            let age = now.duration_since(right.opened).unwrap_or_default();
            if age < Duration::from_secs(shared.config.reply_window_seconds) {
                self.reply(right, true).await?
            } else {
                Answered::Lost
            }
        } else {
            match shared.ledger.take(&right.token, right.opened, now) {
                Some(way) if way.name == limits::REPLY => self.reply(right, false).await?,
                _ => Answered::Refused,
            }
        };
        match answered {
            Answered::Sent(sent) => Ok(sent),
            Answered::Refused => self.push().await,
            Answered::Lost => match shared.config.lost_reply {
                LostReply::Push => {
                    tracing::warn!(channel = %shared.info.id, "an answer may have arrived and is pushed, perhaps for the second time");
                    self.push().await
                }
                LostReply::Hold => {
                    let words = "the answer to a reply was lost, and its token is used";
                    Err(Error::new(ErrorKind::Uncertain, words).on(PLATFORM, OPERATION))
                }
            },
        }
    }

    /// Answers with the token; `doubtful` if it has been tried before.
    async fn reply(self, right: &Right, mut doubtful: bool) -> Result<Answered> {
        let Shared {
            client,
            ledger,
            memory,
            ..
        } = self.shared;
        let token = right.token.as_str();
        let mut retries = 0;
        let failure = loop {
            let failure = match client.reply(token, self.out).await {
                Ok(sent) => {
                    memory.found(token);
                    return Ok(Answered::Sent(sent));
                }
                Err(failure) => failure,
            };
            doubtful |= failure.is_ambiguous();
            let again = doubtful && (failure.is_ambiguous() || failure.is_unsent());
            if !again || retries == RETRIES {
                break failure;
            }
            retries += 1;
            self.pause(retries).await;
        };
        let refuses_token = failure.reason() == Reason::ReplyToken;
        if !doubtful && refuses_token {
            ledger.refused(token, limits::REPLY);
            return Ok(Answered::Refused);
        }
        if doubtful && !says_no(&failure) {
            memory.lost(token, self.key);
            return Ok(Answered::Lost);
        }
        // Nothing was sent, so the token still works.
        memory.found(token);
        ledger.give_back(token, limits::REPLY);
        Err(failure.into_error(OPERATION, false))
    }

    /// Pushes under the key: however often the call is made, it has one effect.
    async fn push(self) -> Result<Sent> {
        let (mut retries, mut doubtful) = (0, false);
        loop {
            let to = self.chat.as_str();
            let failure = match self.shared.client.push(to, self.out, self.key).await {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            doubtful |= failure.is_ambiguous();
            let again = doubtful && (failure.is_ambiguous() || failure.is_unsent());
            if again && retries < RETRIES {
                retries += 1;
                self.pause(retries).await;
                continue;
            }
            if failure.reason() == Reason::DeadTarget {
                let kind = ErrorKind::NotFound;
                let now = self.shared.elapsed();
                self.shared.memory.refuses(self.chat, kind, now);
            }
            let certain = !doubtful || failure.is_ambiguous() || says_no(&failure);
            let error = failure.into_error(OPERATION, false);
            return Err(if certain { error } else { doubt(error) });
        }
    }

    async fn pause(self, retry: u32) {
        let pause = PAUSE * 2_u32.saturating_pow(retry - 1);
        self.shared.transport().clock.sleep(pause).await;
    }
}

/// Whether LINE says no to what was sent, which it would have said to an earlier attempt of
/// the same too.
fn says_no(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(refusal)
        if refusal.reason != Reason::ReplyToken
            && matches!(refusal.kind, ErrorKind::Invalid | ErrorKind::NotFound))
}

/// An error after an attempt that may have arrived.
fn doubt(error: Error) -> Error {
    let words = "an earlier attempt may have arrived";
    Error::new(ErrorKind::Uncertain, words)
        .on(PLATFORM, OPERATION)
        .with_source(error)
}
