//! How a delivery ended, as it is told to whoever asked for it.

use std::fmt;

use channel_core::{Error, ErrorKind, Platform, Receipt, Result};

use crate::outbound::{DeliveryId, PartState, StoredDelivery};

const OPERATION: &str = "deliver message";

const KINDS: [ErrorKind; 10] = [
    ErrorKind::Invalid,
    ErrorKind::Unauthenticated,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::RateLimited,
    ErrorKind::Unavailable,
    ErrorKind::Uncertain,
    ErrorKind::Unsupported,
    ErrorKind::Config,
    ErrorKind::Protocol,
];

/// The cause of an error that says how a delivery ended: it is on record, and asking again
/// under the same key changes nothing.
///
/// An error of the outbox without it means that nothing final is on record: the same key
/// may be sent again, and goes on where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undelivered {
    /// The delivery, by which it is retried or dropped.
    pub delivery: DeliveryId,
    /// `Dead` or `Uncertain`.
    pub state: PartState,
}

impl Undelivered {
    /// Reads it out of an error of [`Outbox::send`](super::Outbox::send).
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        std::error::Error::source(error)?
            .downcast_ref::<Self>()
            .copied()
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delivery {} is {}", self.delivery, self.state)
    }
}

impl std::error::Error for Undelivered {}

/// The cause of an error that says that a delivery has no end yet: the store was out of
/// reach, this worker has to stop, or another one has the delivery.
///
/// Nothing final is on record: the same key goes on where it stopped, here or elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished;

impl Unfinished {
    /// Whether it is the cause of an error of [`Outbox::send`](super::Outbox::send).
    #[must_use]
    pub fn is_cause_of(error: &Error) -> bool {
        std::error::Error::source(error).is_some_and(|source| source.is::<Self>())
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the delivery has no end yet")
    }
}

impl std::error::Error for Unfinished {}

/// The end of a delivery in this process; each that waits for it gets its own copy.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// All that was to be shown has arrived.
    Delivered(Receipt),
    /// It has not, or nobody knows.
    Not(Box<Why>),
}

#[derive(Debug, Clone)]
pub(crate) struct Why {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) platform: Option<Platform>,
    pub(crate) delivered: Receipt,
    pub(crate) on_record: Option<Undelivered>,
}

impl Ended {
    pub(crate) fn not(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Not(Box::new(Why {
            kind,
            message: message.into(),
            platform: None,
            delivered: Receipt::default(),
            on_record: None,
        }))
    }

    /// What the record says; every part is final.
    pub(crate) fn of_record(stored: &StoredDelivery) -> Self {
        let failed = stored
            .parts
            .iter()
            .find(|part| matches!(part.state, PartState::Dead | PartState::Uncertain));
        let Some(part) = failed else {
            return Self::Delivered(delivered(stored));
        };
        let reason = part.reason.as_deref().unwrap_or("no reason");
        Self::Not(Box::new(Why {
            kind: match part.state {
                PartState::Uncertain => ErrorKind::Uncertain,
                _ => kind_of(reason),
            },
            message: format!("the delivery is {}: {reason}", part.state),
            platform: None,
            delivered: delivered(stored),
            on_record: Some(Undelivered {
                delivery: stored.id,
                state: part.state,
            }),
        }))
    }

    pub(crate) fn on(mut self, platform: &Platform) -> Self {
        if let Self::Not(why) = &mut self {
            why.platform = Some(platform.clone());
        }
        self
    }

    /// Whether it is on record.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Delivered(_) => true,
            Self::Not(why) => why.on_record.is_some(),
        }
    }

    pub(crate) fn to_result(&self) -> Result<Receipt> {
        let why = match self {
            Self::Delivered(receipt) => return Ok(receipt.clone()),
            Self::Not(why) => why,
        };
        let mut error =
            Error::new(why.kind, why.message.as_str()).with_delivered(why.delivered.clone());
        if let Some(platform) = &why.platform {
            error = error.on(platform.clone(), OPERATION);
        }
        Err(match why.on_record {
            Some(cause) => error.with_source(cause),
            None => error.with_source(Unfinished),
        })
    }
}

/// Everything that has arrived, parts that failed half-way included.
pub(crate) fn delivered(stored: &StoredDelivery) -> Receipt {
    Receipt::new(
        stored
            .parts
            .iter()
            .filter_map(|part| part.receipt.as_ref())
            .flat_map(|receipt| receipt.messages.iter().cloned())
            .collect(),
    )
}

/// Why an attempt failed: the kind and the platform's own code. The words of an error stay
/// out, because the reason is kept for as long as the row is.
pub(crate) fn reason(error: &Error) -> String {
    match error.code() {
        Some(code) => format!("{} {}", error.kind(), clipped(code)),
        None => error.kind().to_string(),
    }
}

/// A code is a number or a name; a platform that sends more is cut short.
fn clipped(code: &str) -> String {
    code.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Reads the kind back out of a reason: it is the first word.
fn kind_of(reason: &str) -> ErrorKind {
    let first = reason.split([' ', ':']).next().unwrap_or_default();
    KINDS
        .into_iter()
        .find(|kind| kind.as_str() == first)
        .unwrap_or(ErrorKind::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_kind_and_the_code_and_reads_back() {
        let error = Error::new(ErrorKind::Forbidden, "words of the platform").with_code("403");
        assert_eq!(reason(&error), "forbidden 403");
        for kind in KINDS {
            assert_eq!(kind_of(&reason(&Error::new(kind, "words"))), kind);
        }
    }

    #[test]
    fn a_code_of_a_hostile_platform_is_cut_short() {
        let error = Error::new(ErrorKind::Invalid, "no").with_code("x\n".repeat(10_000));
        assert!(reason(&error).len() < 100);
        assert!(!reason(&error).contains('\n'));
    }
}
