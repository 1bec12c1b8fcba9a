//! What every emulated platform is made of: shared state under the platform's clock, a ledger of calls, faults on
//! demand, the part of the control API that is the same for all, and websockets.

pub(crate) mod control;
pub(crate) mod faults;
pub(crate) mod json;
pub(crate) mod ledger;
pub(crate) mod random;
pub(crate) mod shared;
#[allow(dead_code, reason = "a platform uses the part that it has")]
pub(crate) mod socket;
