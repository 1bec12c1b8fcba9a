#![doc = include_str!("../README.md")]

mod bindings;
mod code;
mod command;
mod disguise;
mod flights;
mod gate;
mod memory;
mod notice;
mod platform;
mod record;
mod seal;
#[cfg(doctest)]
mod secrecy;
#[cfg(feature = "sql")]
mod sql;
mod store;
#[cfg(feature = "web")]
mod web;

pub use bindings::{Bindings, BindingsBuilder, ConnectOffer, Resealed};
pub use code::CodeHash;
pub use command::connect_argument;
pub use flights::Whose;
pub use gate::ConnectGate;
pub use memory::MemoryBindings;
pub use notice::{Notice, Notices};
pub use platform::{ConnectMode, ConnectPlatform};
pub use record::{BindingRecord, BindingStatus};
pub use seal::Sealer;
#[cfg(feature = "sql")]
pub use sql::SqlBindings;
pub use store::{
    BindingStore, Closed, ConversationKey, Details, Disconnected, LiveCodes, Minted, NewCode,
    Redeemed, Redemption, SealedCredential, TrailEntry,
};
#[cfg(feature = "web")]
pub use web::{
    Caller, CookieSessions, CredentialField, OwnerApi, OwnerAuth, PlatformState, Runtime,
    RuntimeSettings, RuntimeValues,
};
