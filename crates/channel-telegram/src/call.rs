//! Calls that are about one chat: pacing, moved groups, chats that refuse.

use std::time::Duration;

use channel_core::{ChatId, Error, ErrorKind, ThreadId};
use serde::de::DeserializeOwned;

use crate::PLATFORM;
use crate::address::{Address, ChatKey, Place, thread_number};
use crate::client::{Method, Payload};
use crate::error::{Failure, Reason};
use crate::pacing::Turn;
use crate::shared::Shared;

/// The topic of a forum that everything without a topic is in. Telegram takes its number
/// for the typing sign and knows no such thread when a message names it.
const GENERAL: i64 = 1;
/// How often one call is made again because Telegram wanted a pause.
const FLOOD_RETRIES: u32 = 3;

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

/// Whether a call waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// It does not count, or has been let pass already.
    Free,
    /// It takes its place in the row; a block of Telegram's is waited for so long.
    Turn(Duration),
    /// It leaves at once or not at all: whoever sends part by part waits on its own, where a
    /// crash does not make a request that never left look like one that did.
    Now,
}

/// The chat of a call, looked up once for all its attempts.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) chat: &'a ChatId,
    pub(crate) address: Address<'a>,
    thread: Option<i64>,
}

impl<'a> Room<'a> {
    pub(crate) fn new(
        chat: &'a ChatId,
        thread: Option<&ThreadId>,
        method: Method,
    ) -> Result<Self, Error> {
        let number = thread.and_then(thread_number);
        if number.is_none()
            && let Some(thread) = thread
        {
            // Only a hand-written target can hold one; its chat is still right.
            tracing::warn!(%thread, "not a telegram thread id: using the chat itself");
        }
        let address = Address::parse(chat, method.operation())?;
        let takes_general = address.is_private() || method == Method::SendChatAction;
        Ok(Self {
            chat,
            address,
            thread: number.filter(|id| *id != GENERAL || takes_general),
        })
    }
}

impl Shared {
    /// How long a send waits when Telegram wants a pause.
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.config.patience_seconds)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.client.transport.clock.elapsed()
    }

    /// Makes a call about a chat. `payload` is asked again for each attempt, because the
    /// chat may turn out to have moved.
    pub(crate) async fn call_chat<T: DeserializeOwned>(
        &self,
        method: Method,
        room: &Room<'_>,
        pace: Pace,
        payload: impl Fn(Place<'_>) -> Payload + Sync,
    ) -> Result<T, Fault> {
        if let Some(kind) = self.memory.refusal(room.chat, self.elapsed()) {
            return Err(refused_lately(kind, method).into());
        }
        let private = room.address.is_private();
        let mut address = room.address;
        let mut waits = 0;
        let mut redirected = None;
        // Ids of messages begin anew in the new chat: the same one is another message there.
        let follows = !method.names_message();
        loop {
            if follows && let Address::Chat(ChatKey::Id(id)) = address {
                address = Address::Chat(ChatKey::Id(self.memory.home(id)));
            }
            self.take_turn(room.chat, private, pace, method).await?;
            let place = Place {
                address,
                thread: room.thread,
                is_new: address != room.address,
            };
            let failure = match self.client.call(method, payload(place)).await {
                Ok(result) => {
                    self.memory.lives(room.chat);
                    return Ok(result);
                }
                Err(failure) => failure,
            };
            match (failure.reason(), failure.refusal()) {
                (Reason::Flood, Some(refusal)) => {
                    let wait = refusal.retry_after.unwrap_or(Duration::from_secs(1));
                    self.pacer.limited(room.chat, private, wait, self.elapsed());
                    if let Pace::Turn(patience) = pace
                        && wait <= patience
                        && waits < FLOOD_RETRIES
                    {
                        waits += 1;
                        continue;
                    }
                }
                (Reason::Moved, Some(refusal)) => {
                    if let (Address::Chat(ChatKey::Id(from)), Some(to), None) =
                        (address, refusal.moved_to, redirected)
                    {
                        self.memory.moved(from, to);
                        if !follows {
                            return Err(fault(failure, method, None));
                        }
                        address = Address::Chat(ChatKey::Id(to));
                        redirected = Some(to);
                        continue;
                    }
                }
                (Reason::DeadTarget, Some(refusal)) => {
                    self.memory.refused(room.chat, refusal.kind, self.elapsed());
                }
                // In a group it speaks of one member, and the others are still there.
                (Reason::DeadPerson, Some(refusal)) if private => {
                    self.memory.refused(room.chat, refusal.kind, self.elapsed());
                }
                _ => {}
            }
            return Err(fault(failure, method, redirected));
        }
    }

    async fn take_turn(
        &self,
        chat: &ChatId,
        private: bool,
        pace: Pace,
        method: Method,
    ) -> Result<(), Error> {
        let now = self.elapsed();
        let turn = match pace {
            Pace::Free => return Ok(()),
            Pace::Turn(patience) => self.pacer.turn(chat, private, now, patience),
            Pace::Now => self.pacer.turn_now(chat, private, now),
        };
        match turn {
            Turn::After(Duration::ZERO) => Ok(()),
            Turn::After(wait) => {
                self.client.transport.clock.sleep(wait).await;
                Ok(())
            }
            Turn::TooLong(wait) => Err(Error::new(
                ErrorKind::RateLimited,
                "too much is being sent to the chat",
            )
            .on(PLATFORM, method.operation())
            .with_retry_after(wait)),
        }
    }
}

fn fault(failure: Failure, method: Method, redirected: Option<i64>) -> Fault {
    let reason = failure.reason();
    let error = failure.into_error(method);
    Fault {
        reason,
        error: match redirected {
            Some(chat) if error.moved_to().is_none() => error.with_moved_to(chat.into()),
            _ => error,
        },
    }
}

fn refused_lately(kind: ErrorKind, method: Method) -> Error {
    Error::new(kind, "the chat has refused within the last hour").on(PLATFORM, method.operation())
}
