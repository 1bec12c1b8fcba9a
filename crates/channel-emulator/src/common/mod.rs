//! What every emulated platform is made of: shared state under the platform's clock, a ledger of calls, faults on
//! demand, and the part of the control API that is the same for all.

pub(crate) mod control;
pub(crate) mod faults;
pub(crate) mod ledger;
pub(crate) mod random;
pub(crate) mod shared;
