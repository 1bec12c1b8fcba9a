//! What can be made to go wrong.

use serde_json::{Value, json};

use super::engine::Discord;
use super::faults::Fault;
use super::sessions::{Audience, Connection, Mute, Order};
use crate::common::faults::Rules;

impl Discord {
    /// Works on the open connections of a bot; gives their number.
    fn on_connections(&self, bot: Option<u64>, mut work: impl FnMut(&mut Connection)) -> usize {
        self.with(|state| {
            let open = state.connections.values_mut().filter(|connection| {
                connection.view.closed.is_none() && (bot.is_none() || connection.view.bot == bot)
            });
            let mut count = 0;
            for connection in open {
                work(connection);
                count += 1;
            }
            count
        })
    }

    fn order(&self, bot: Option<u64>, order: &Order) -> usize {
        self.on_connections(bot, |connection| connection.orders.push_back(order.clone()))
    }

    /// Tells a bot's connections to reconnect and resume (op 7); gives their number.
    #[expect(clippy::must_use_candidate, reason = "the order is the point")]
    pub fn reconnect(&self, bot: u64) -> usize {
        let frame = json!({"op": 7, "d": null, "s": null, "t": null});
        self.order(Some(bot), &Order::Send(frame))
    }

    /// Asks a bot's connections for a heartbeat at once (op 1); gives their number.
    #[expect(clippy::must_use_candidate, reason = "the order is the point")]
    pub fn ask_for_heartbeat(&self, bot: u64) -> usize {
        let frame = json!({"op": 1, "d": null, "s": null, "t": null});
        self.order(Some(bot), &Order::Send(frame))
    }

    /// Tells a bot's connections that their session is invalid (op 9); when it is not `resumable`, the sessions end.
    /// Gives the number of connections.
    #[expect(clippy::must_use_candidate, reason = "the order is the point")]
    pub fn invalidate(&self, bot: u64, resumable: bool) -> usize {
        let frame = json!({"op": 9, "d": resumable, "s": null, "t": null});
        self.with(|state| {
            if !resumable {
                state.sessions.retain(|_, session| session.app != bot);
            }
        });
        self.on_connections(Some(bot), |connection| {
            // The connection can identify or resume again.
            connection.view.session = None;
            connection.orders.push_back(Order::Send(frame.clone()));
        })
    }

    /// Closes a bot's connections with a code; gives their number.
    #[expect(clippy::must_use_candidate, reason = "the order is the point")]
    pub fn close(&self, bot: u64, code: u16) -> usize {
        self.order(Some(bot), &Order::Close(code, "closed on demand"))
    }

    /// Drops a bot's connections without a close frame; gives their number.
    #[expect(clippy::must_use_candidate, reason = "the order is the point")]
    pub fn cut(&self, bot: u64) -> usize {
        self.order(Some(bot), &Order::Cut)
    }

    /// Makes a bot's connections deaf, or well again; gives their number. A connection that was half-open is dropped
    /// when it is switched off.
    #[expect(clippy::must_use_candidate, reason = "the order is the point")]
    pub fn mute(&self, bot: u64, mute: Mute) -> usize {
        self.on_connections(Some(bot), |connection| connection.mute = mute)
    }

    /// Takes the servers behind all connections out of service, as for a deployment: op 7, and then close 4000 for those
    /// who stay. Gives the number of connections.
    #[expect(clippy::must_use_candidate, reason = "the order is the point")]
    pub fn drain(&self) -> usize {
        let frame = json!({"op": 7, "d": null, "s": null, "t": null});
        self.on_connections(None, |connection| {
            connection.orders.push_back(Order::Send(frame.clone()));
            connection
                .orders
                .push_back(Order::Close(4000, "Unknown error."));
        })
    }

    /// Dispatches an event of any kind to a bot, on the shard of `guild`.
    pub fn inject(&self, bot: u64, guild: Option<u64>, event: &str, data: &Value) {
        let to = Audience {
            app: bot,
            guild,
            intents: 0,
        };
        self.with(|state| state.emit(to, event, data));
    }

    /// Ends all sessions of a bot without telling it: the next resume is answered with op 9.
    pub fn forget_sessions(&self, bot: u64) {
        self.with(|state| state.sessions.retain(|_, session| session.app != bot));
    }

    /// The switches for faults of calls and dispatches.
    #[must_use]
    pub const fn faults(&self) -> Faults<'_> {
        Faults(self)
    }
}

/// Makes things go wrong; see [`Fault`].
#[derive(Debug, Clone, Copy)]
pub struct Faults<'a>(&'a Discord);

impl Faults<'_> {
    /// The next `count` calls of `method` meet this fault.
    pub fn next(&self, method: &str, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.add(Some(method), count, fault));
    }

    /// The next `count` calls of any method, or steps of the gateway, meet this fault.
    pub fn next_any(&self, count: u32, fault: Fault) {
        self.0.with(|state| state.faults.add(None, count, fault));
    }

    /// The next `count` dispatches are sent twice.
    pub fn duplicate_dispatches(&self, count: u32) {
        self.0.with(|state| state.duplicate = count);
    }

    /// Connections are deaf from their HELLO on, while this is set; those that are open stay as they are.
    pub fn mute_new(&self, mute: Mute) {
        self.0.with(|state| state.mute_new = mute);
    }

    /// The next `count` pairs of dispatches that wait together are sent in reverse order.
    pub fn reorder_dispatches(&self, count: u32) {
        self.0.with(|state| state.reorder = count);
    }

    /// The next `count` bodies to an endpoint carry a wrong signature.
    pub fn wrong_signatures(&self, count: u32) {
        self.0.with(|state| state.wrong_signatures = count);
    }

    /// Switches rate limits.
    pub fn rate_limits(&self, on: bool) {
        self.0.with(|state| state.limits.on = on);
    }

    /// Takes all faults back; rate limits stay as they are.
    pub fn clear(&self) {
        self.0.with(|state| {
            state.faults = Rules::default();
            state.mute_new = Mute::Off;
            state.duplicate = 0;
            state.reorder = 0;
            state.wrong_signatures = 0;
        });
    }
}
