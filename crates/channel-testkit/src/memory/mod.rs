//! A channel without a platform.

mod abilities;
mod history;
mod platform;
mod receive;
mod user;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    ActionId, ChannelId, ChannelInfo, Clock, CommandInfo, Destination, FileId, Guarantees, Limits,
    MessageRef, Rate, Redelivery, Repeat, Result, Secret, TextLimit, TextUnit,
};

use crate::clock::VirtualClock;
use crate::failure::Failure;
use crate::secrets::canary;
use crate::wait::Shared;
pub use platform::SentMessage;
use platform::State;
pub use user::MemoryUser;
pub use wire::MemoryMessage;
use wire::Wire;

const DAY: Duration = Duration::from_secs(86_400);

/// A channel whose platform is in memory: tests of an application write as its users and
/// read its replies.
///
/// It has every ability and passes the [conformance suite](crate::conformance), so an
/// application that works with it relies on nothing that other channels do not do. Clones
/// share the platform.
///
/// ```
/// use channel_core::prelude::*;
/// use channel_testkit::{MemoryChannel, VirtualClock};
/// use futures_util::StreamExt as _;
///
/// // The bot, as the application has it.
/// async fn echo(channel: &dyn Channel, events: usize) -> Result<()> {
///     let mut stream = channel.as_events().unwrap().events().take(events);
///     while let Some(received) = stream.next().await {
///         let received = received?;
///         if let Some(message) = received.message() {
///             let answer = format!("echo: {}", message.text);
///             channel.send(&message.reply(answer)).await?;
///         }
///         received.ack().await?;
///     }
///     Ok(())
/// }
///
/// // The test: two users write, the bot runs, the replies are there.
/// let channel = MemoryChannel::new();
/// channel.user("ada").says("hello");
/// channel.user("bob").in_group("team").in_thread("7").says("hi");
///
/// let events = 3; // the two messages, after the news that the connection is ready
/// VirtualClock::new().block_on(echo(&channel, events))?;
///
/// let sent = channel.sent();
/// assert_eq!(sent[0].text, "echo: hello");
/// assert_eq!(sent[1].text, "echo: hi");
/// assert_eq!(sent[1].thread.as_ref().unwrap().as_str(), "7");
/// # Ok::<(), channel_core::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryChannel(Arc<Inner>);

struct Inner {
    info: ChannelInfo,
    clock: Arc<dyn Clock>,
    secret: Secret,
    webhook: bool,
    routes: [channel_core::Route; 2],
    state: Arc<Shared<State>>,
}

/// Makes a [`MemoryChannel`] that is not like all others.
#[derive(Debug)]
pub struct MemoryChannelBuilder {
    id: ChannelId,
    limits: Limits,
    clock: Arc<dyn Clock>,
    secret: Secret,
    webhook: bool,
    repeat: Repeat,
}

impl MemoryChannelBuilder {
    /// Names the channel; `memory` if it is not called.
    #[must_use]
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets the limits; 1,000 UTF-16 code units of text if it is not called.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Runs on a clock; on a [`VirtualClock`] of its own if it is not called, so that
    /// streamed answers are never throttled and connections have nothing to prove.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the secret that webhook requests are signed with; random if it is not called.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = secret;
        self
    }

    /// Receives over HTTP instead of its own connection: what users do is fetched with
    /// [`MemoryChannel::take_requests`].
    #[must_use]
    pub const fn webhook(mut self) -> Self {
        self.webhook = true;
        self
    }

    /// Makes the platform recognise idempotency keys, for longer than any test runs: what is
    /// sent twice under one key is shown once.
    #[must_use]
    pub const fn keyed(mut self) -> Self {
        self.repeat = Repeat::Keyed(DAY);
        self
    }

    /// Makes the platform tell what was sent under a key, without refusing to show it twice.
    /// Unless this or [`keyed`](Self::keyed) is called it does neither, as most platforms.
    #[must_use]
    pub const fn read_back(mut self) -> Self {
        self.repeat = Repeat::ReadBack;
        self
    }

    /// Makes the channel.
    #[must_use]
    pub fn build(self) -> MemoryChannel {
        let redelivery = if self.webhook {
            // Requests are handed out once; what then becomes of them is the test's affair.
            Redelivery::Never
        } else {
            Redelivery::UntilAcknowledged
        };
        let guarantees = Guarantees::new(redelivery, self.repeat)
            .call("edit a message", Repeat::Idempotent)
            .call("delete a message", Repeat::Idempotent)
            .call("react", Repeat::Idempotent);
        MemoryChannel(Arc::new(Inner {
            info: ChannelInfo::new(self.id, wire::PLATFORM, self.limits).guarantees(guarantees),
            clock: self.clock,
            secret: self.secret,
            webhook: self.webhook,
            routes: receive::routes(),
            state: Arc::default(),
        }))
    }
}

impl Default for MemoryChannel {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryChannel {
    /// A channel that receives over its own connection.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Makes a channel that is not like all others.
    #[must_use]
    pub fn builder() -> MemoryChannelBuilder {
        let mut limits = Limits::new(TextLimit::new(1_000, TextUnit::Utf16));
        limits.action_bytes = 64;
        limits.upload_bytes = vec![(None, 1 << 20)];
        limits.download_bytes = 1 << 20;
        limits.attachments = 10;
        limits.rate_direct = Some(Rate::new(1, Duration::from_secs(1)));
        MemoryChannelBuilder {
            id: ChannelId::new("memory"),
            limits,
            clock: Arc::new(VirtualClock::new()),
            secret: Secret::new(canary()),
            webhook: false,
            repeat: Repeat::Doubles,
        }
    }

    /// Somebody who writes to the bot, in a direct chat.
    #[must_use]
    pub fn user(&self, name: &str) -> MemoryUser {
        MemoryUser::new(self.clone(), name)
    }

    /// What the bot has sent and not deleted, oldest first, as it reads now.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.0.state.read(|state| state.sent.clone())
    }

    /// The words of all that the bot has sent and not deleted.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0
            .state
            .read(|state| state.sent.iter().map(|sent| sent.text.clone()).collect())
    }

    /// Waits until the bot has at least `count` messages on show.
    pub async fn wait_for_sent(&self, count: usize) -> Vec<SentMessage> {
        self.0
            .state
            .until(|state| (state.sent.len() >= count).then(|| state.sent.clone()))
            .await
    }

    /// Where the bot has shown that it is writing, oldest first.
    #[must_use]
    pub fn typing(&self) -> Vec<Destination> {
        self.0.state.read(|state| state.typing.clone())
    }

    /// The bot's reactions to a message.
    #[must_use]
    pub fn reactions(&self, to: &MessageRef) -> Vec<String> {
        self.0.state.read(|state| {
            let reactions = state.reactions.get(to);
            reactions.map_or_else(Vec::new, |all| all.iter().cloned().collect())
        })
    }

    /// The presses that the bot has answered, with its notices.
    #[must_use]
    pub fn answered(&self) -> Vec<(ActionId, Option<String>)> {
        self.0.state.read(|state| state.answered.clone())
    }

    /// The menu that the bot has published.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandInfo> {
        self.0.state.read(|state| state.commands.clone())
    }

    /// How many calls the bot has made, failed ones included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.state.read(|state| state.calls)
    }

    /// How many events have been delivered and not been acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.0.state.read(|state| state.inbound.len())
    }

    /// How many payloads were no events.
    #[must_use]
    pub fn undecodable(&self) -> u64 {
        self.0.state.read(|state| state.undecodable)
    }

    /// Lets all calls from now on fail.
    pub fn fail(&self, failure: Failure) {
        self.fail_after(0, failure);
    }

    /// Lets all calls fail after the next `calls`; a message of several parts takes one
    /// call for each.
    pub fn fail_after(&self, calls: usize, failure: Failure) {
        self.0
            .state
            .change(|state| state.failure = Some((calls, failure)));
    }

    /// Lets calls succeed again.
    pub fn mend(&self) {
        self.0.state.change(|state| state.failure = None);
    }

    /// Breaks the connection over which events come; the channel reconnects.
    pub fn disconnect(&self) {
        self.0.state.change(|state| state.lost = true);
    }

    /// Delivers a payload as it is: well-formed, of an unknown kind, or garbage.
    pub fn deliver_raw(&self, payload: impl Into<Bytes>) {
        let payload = payload.into();
        self.0.state.change(|state| state.deliver_bytes(payload));
    }

    fn deliver(&self, wire: Wire) {
        let now = self.0.clock.now();
        self.0.state.change(|state| state.deliver(wire, now));
    }

    fn next_id(&self) -> u64 {
        self.0.state.change(State::next_id)
    }

    fn store_file(&self, bytes: Bytes) -> FileId {
        self.0.state.change(|state| {
            let id = FileId::from(format!("file-{}", state.next_id()));
            state.files.insert(id.clone(), bytes);
            id
        })
    }

    fn call<R>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut State) -> Result<R>,
    ) -> Result<R> {
        self.0
            .state
            .change(|state| state.call(effect))
            .map_err(|error| error.on(wire::PLATFORM, operation))
    }
}

impl fmt::Debug for MemoryChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChannel")
            .field("id", &self.0.info.id)
            .field("webhook", &self.0.webhook)
            .finish_non_exhaustive()
    }
}
