//! Messages on their way to bound accounts, told between processes that share a database.
//!
//! Nothing is written for it: a message is a shared lock, whoever takes a binding back has the
//! lock to itself. Both are of a slot that many accounts share, so that there are few of them.
//! A slot has two locks. `entry` is passed by whoever begins, and kept by whoever takes back,
//! so that those who begin one after the other cannot keep them waiting for ever; `under_way`
//! is held for as long as a message is. Locks end with their process, however it ends.

mod files;
mod postgres;

use std::collections::BTreeSet;

use async_trait::async_trait;
use channel_core::{AccountRef, Hold, Result};
use sha2::{Digest as _, Sha256};

use crate::flights::{Flights, Whose};
use crate::store::Closed;
pub(super) use files::FileHolds;
pub(super) use postgres::PostgresHolds;

/// Where the locks are.
#[derive(Debug, Clone)]
pub(super) enum Holds {
    /// A database in memory: nobody else shares it.
    Here(Flights),
    /// Files beside that of SQLite.
    Files(FileHolds),
    /// The server's advisory locks, which do not tell apart who shares our connection.
    Postgres(PostgresHolds, Flights),
}

impl Holds {
    pub(super) async fn begin(&self, account: &AccountRef) -> Result<Option<Hold>> {
        match self {
            Self::Here(flights) => Ok(flights.begin_now(account).map(Hold::new)),
            Self::Files(files) => {
                let slot = slot(account, FileHolds::SLOTS);
                Ok(files.begin(slot)?.map(Hold::new))
            }
            Self::Postgres(server, flights) => {
                let Some(flight) = flights.begin_now(account) else {
                    return Ok(None);
                };
                let slot = slot(account, PostgresHolds::SLOTS);
                let held = server.begin(slot).await?;
                Ok(held.map(|held| Hold::new((held, flight))))
            }
        }
    }

    pub(super) async fn close(&self, whose: &Whose) -> Result<Option<Box<dyn Closed>>> {
        Ok(match self {
            Self::Here(flights) => Some(Box::new(flights.close(whose.clone()))),
            Self::Files(files) => {
                let closed = files.close(slots(whose, FileHolds::SLOTS))?;
                closed.map(|it| Box::new(it) as _)
            }
            Self::Postgres(server, flights) => {
                let here = flights.close(whose.clone());
                let closed = server.close(slots(whose, PostgresHolds::SLOTS)).await?;
                closed.map(|it| Box::new((it, here)) as _)
            }
        })
    }

    /// Lets go of what it has of the system.
    pub(super) fn end(&self) {
        if let Self::Postgres(server, _) = self {
            server.end();
        }
    }
}

#[async_trait]
impl Closed for (postgres::Kept, crate::flights::Closed) {
    async fn landed(&self) -> Result<bool> {
        Ok(self.1.landed().await? && self.0.landed().await?)
    }
}

/// The slot of an account, in whatever workspace: one binding may serve several.
fn slot(account: &AccountRef, slots: u8) -> u8 {
    let mut hash = Sha256::new();
    for part in [account.platform.as_str(), account.sender.as_str()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().first().map_or(0, |byte| byte % slots)
}

/// In their order, so that no two wait for one another.
fn slots(whose: &Whose, slots: u8) -> BTreeSet<u8> {
    match whose {
        Whose::Accounts(accounts) => accounts.iter().map(|it| slot(it, slots)).collect(),
        Whose::Platform(_) => (0..slots).collect(),
    }
}
