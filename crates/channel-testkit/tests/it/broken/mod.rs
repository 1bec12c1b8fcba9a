//! A channel with one bug, named after the check that has to find it.
//!
//! It wraps the in-memory channel and breaks one promise; all others it keeps, so that
//! exactly one check fails.

mod abilities;
mod parts;
mod receive;
mod send;
mod stream;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use channel_core::{
    Actions, Cards, Channel, ChannelInfo, Clock, Commands, Delete, Edit, Events, History, Identity,
    Media, MessageRef, OutboundMessage, Parts, React, Receipt, Repeat, Result, Route, Stream,
    TextLimit, TextUnit, Typing, Webhook, async_trait,
};
use channel_testkit::MemoryChannel;
use channel_testkit::conformance::{Ability, Setup, Subject, check_names, run};
use http::Request;

use crate::memory::{Memory, MemoryPlatform};

#[derive(Clone)]
struct Broken(Arc<Inner>);

struct Inner {
    /// Takes texts of any length: the wrapper splits, well or badly.
    channel: MemoryChannel,
    clock: Arc<dyn Clock>,
    bug: &'static str,
    secret: String,
    info: ChannelInfo,
    other_info: ChannelInfo,
    routes: Vec<Route>,
    counter: AtomicU64,
    gave_up: AtomicBool,
    owes: AtomicBool,
    connected: AtomicBool,
    deleted: Mutex<HashSet<MessageRef>>,
    /// The webhook requests that were accepted.
    seen: Mutex<Vec<Request<Bytes>>>,
}

impl Broken {
    fn new(channel: MemoryChannel, clock: Arc<dyn Clock>, bug: &'static str, secret: &str) -> Self {
        let mut info = channel.info().clone();
        info.limits.text = TextLimit::new(1_000, TextUnit::Utf16);
        let mut other_info = info.clone();
        let mut routes = channel
            .as_webhook()
            .map_or_else(Vec::new, |webhook| webhook.routes().to_vec());
        match bug {
            "describes_itself_without_a_call" => other_info.limits.action_bytes += 1,
            "has_limits_that_make_sense" => {
                info.limits.action_bytes = 0;
                other_info.limits.action_bytes = 0;
            }
            "serves_the_routes_of_its_requests" => routes = vec![Route::post("/other", 1)],
            _ => {}
        }
        Self(Arc::new(Inner {
            channel,
            clock,
            bug,
            secret: secret.to_owned(),
            info,
            other_info,
            routes,
            counter: AtomicU64::new(0),
            gave_up: AtomicBool::new(false),
            owes: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            deleted: Mutex::default(),
            seen: Mutex::default(),
        }))
    }

    fn has(&self, bug: &str) -> bool {
        self.0.bug == bug
    }

    fn takes_keys(&self) -> bool {
        matches!(self.0.info.guarantees.send(), Repeat::Keyed(_))
    }

    fn count(&self) -> u64 {
        let order = std::sync::atomic::Ordering::Relaxed;
        self.0.counter.fetch_add(1, order)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Broken");
        if self.has("hides_secrets_in_debug") {
            out.field("token", &self.0.secret);
        }
        out.finish()
    }
}

#[async_trait]
impl Channel for Broken {
    fn info(&self) -> &ChannelInfo {
        if self.count().is_multiple_of(2) {
            &self.0.info
        } else {
            &self.0.other_info
        }
    }

    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        self.send_badly(message).await
    }

    async fn probe(&self) -> Result<Identity> {
        let mut identity = self.0.channel.probe().await?;
        if self.has("knows_who_it_is_on_the_platform") {
            identity.id = format!("{}-{}", identity.id, self.count());
        }
        Ok(identity)
    }

    fn as_webhook(&self) -> Option<&dyn Webhook> {
        self.0.channel.as_webhook().map(|_| self as _)
    }
    fn as_events(&self) -> Option<&dyn Events> {
        self.0.channel.as_events().map(|_| self as _)
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        Some(self)
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        Some(self)
    }
    fn as_react(&self) -> Option<&dyn React> {
        Some(self)
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        Some(self)
    }
    fn as_media(&self) -> Option<&dyn Media> {
        Some(self)
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        Some(self)
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        Some(self)
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        (!self.has("has_exactly_the_abilities_that_it_claims")).then_some(self as _)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        Some(self)
    }
    fn as_history(&self) -> Option<&dyn History> {
        (!self.has("can_read_back_where_it_says_so")).then_some(self as _)
    }
}

/// Makes channels with one bug.
struct BrokenSubject {
    memory: Memory,
    bug: &'static str,
}

#[async_trait]
impl Subject for BrokenSubject {
    async fn start(&self) -> Setup {
        let (channel, secret) = self.memory.channel(1_000_000);
        let mut platform = MemoryPlatform::new(channel.clone(), self.memory.webhook, &secret);
        if self.bug == "does_not_hear_itself" {
            // The platform calls the bot by a name that the channel does not know.
            platform.bot = "the-bot-again";
        }
        if self.bug == "can_read_back_where_it_says_so" {
            platform.without = Some(Ability::History);
        }
        let channel = Broken::new(channel, self.clock(), self.bug, &secret);
        Setup::new(Arc::new(channel), platform)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.memory.clock.clone())
    }
}

/// The checks that find a bug, in either way to receive.
fn found(bug: &'static str) -> (HashSet<&'static str>, String) {
    let reports = [false, true].map(|webhook| {
        let memory = Memory::new(webhook);
        let clock = memory.clock.clone();
        clock.block_on(run(&BrokenSubject { memory, bug }))
    });
    let failed = reports.iter().flat_map(|report| report.failed()).collect();
    let lines = reports.map(|report| report.to_string()).concat();
    (failed, lines)
}

#[test]
fn the_wrapper_without_a_bug_passes() {
    let (failed, report) = found("none");
    assert!(failed.is_empty(), "{report}");
}

/// A check without a bug of its name, or whose bug goes unseen, fails here too.
#[test]
fn each_check_finds_its_bug_and_no_other_does() {
    let mut wrong = Vec::new();
    for name in check_names() {
        let (failed, _) = found(name);
        if failed != HashSet::from([name]) {
            wrong.push(format!("{name}: found by {failed:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
