//! What is left to do for a row: what the small indexes go by.

use crate::inbound::EventState;
use crate::outbound::Part;
use crate::rules;

pub(crate) const DONE: i64 = 0;
pub(crate) const OPEN: i64 = 1;
pub(crate) const DEAD: i64 = 2;
pub(crate) const DROPPED: i64 = 3;

pub(crate) const fn of_event(state: EventState) -> i64 {
    match state {
        EventState::Dead => DEAD,
        _ if state.is_final() => DONE,
        _ => OPEN,
    }
}

pub(crate) fn of_parts(parts: &[Part]) -> i64 {
    match () {
        () if rules::moves(parts) => OPEN,
        () if rules::is_stuck(parts) => DEAD,
        () => DONE,
    }
}
