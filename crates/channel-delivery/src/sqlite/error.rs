//! What SQLite says, and what it means for the caller.

use crate::store::{StoreError, StoreErrorKind};

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: StoreErrorKind,
    what: String,
    source: Option<sqlx::Error>,
}

impl Failure {
    /// The error for one of the requests that shared the transaction; the first of them gets
    /// the cause.
    pub(crate) fn next_error(&mut self) -> StoreError {
        let error = StoreError::new(self.kind, self.what.clone());
        match self.source.take() {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    /// Whether another try of the same may succeed.
    pub(crate) fn is_outage(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }
}

impl From<sqlx::Error> for Failure {
    fn from(source: sqlx::Error) -> Self {
        let (kind, what) = meaning(&source);
        Self {
            kind,
            what: format!("sqlite store: {what}"),
            source: Some(source),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            kind: error.kind(),
            what: error.to_string(),
            source: None,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(mut failure: Failure) -> Self {
        failure.next_error()
    }
}

/// By primary result code: <https://www.sqlite.org/rescode.html>.
fn meaning(error: &sqlx::Error) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Config, Corrupt, Unavailable};
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(3 | 23) => (Config, "access to the file is not permitted"),
        Some(5 | 6) => (Unavailable, "locked by another process"),
        Some(7) => (Unavailable, "out of memory"),
        Some(8) => (Unavailable, "the file or its disk is read-only"),
        Some(10) => (Unavailable, "the disk reports an error"),
        Some(11) => (Corrupt, "the file is damaged"),
        Some(13) => (Unavailable, "the disk is full"),
        Some(14) => (Unavailable, "the file cannot be opened"),
        Some(26) => (Config, "the file is not a database"),
        Some(_) => (Corrupt, "the file does not hold what is expected"),
        None => match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                (Corrupt, "a stored value cannot be read")
            }
            _ => (Unavailable, "the connection is lost"),
        },
    }
}

pub(crate) fn config(what: impl Into<String>) -> StoreError {
    StoreError::new(
        StoreErrorKind::Config,
        format!("sqlite store: {}", what.into()),
    )
}

pub(crate) fn unavailable(what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, format!("sqlite store: {what}"))
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, format!("sqlite store: {what}"))
}
