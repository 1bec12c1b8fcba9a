use std::fmt;
use std::sync::Arc;

use channel_core::{
    Channel, ChannelInfo, Clock, Identity, OutboundMessage, Receipt, Result, async_trait,
};
use channel_testkit::conformance::{
    Decorated, Outcome, Setup, Subject, check_names, run, run_some,
};

use crate::memory::Memory;

/// Panics when asked who it is, and never finishes sending.
struct Hopeless(Arc<dyn Channel>);

impl fmt::Debug for Hopeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hopeless")
    }
}

#[async_trait]
impl Channel for Hopeless {
    fn info(&self) -> &ChannelInfo {
        self.0.info()
    }
    async fn send(&self, _: &OutboundMessage) -> Result<Receipt> {
        std::future::pending().await
    }
    async fn probe(&self) -> Result<Identity> {
        unreachable!("no idea")
    }
}

fn outcome(of: &dyn Subject, clock: &channel_testkit::VirtualClock, name: &str) -> Outcome {
    let mut report = clock.block_on(run_some(of, |check| check == name));
    assert_eq!(report.checks.len(), 1);
    report.checks.remove(0).outcome
}

#[test]
fn a_channel_that_panics_or_hangs_has_failed() {
    let memory = Memory::new(false);
    let clock = memory.clock.clone();
    let subject = Decorated::new(memory, |channel| Arc::new(Hopeless(channel)) as _);
    let panicked = outcome(&subject, &clock, "knows_who_it_is_on_the_platform");
    assert_eq!(
        panicked,
        Outcome::Failed("panicked: internal error: entered unreachable code: no idea".to_owned())
    );
    let hung = outcome(&subject, &clock, "sends_text_and_returns_its_id");
    assert_eq!(
        hung,
        Outcome::Failed("send: nothing came within 90 s".to_owned())
    );
}

#[test]
fn a_decorator_that_loses_abilities_is_found_out() {
    let memory = Memory::new(false);
    let clock = memory.clock.clone();
    let subject = Decorated::new(memory, |channel| Arc::new(Hopeless(channel)) as _);
    let lost = outcome(&subject, &clock, "has_exactly_the_abilities_that_it_claims");
    assert!(matches!(lost, Outcome::Failed(reason) if reason.contains("not offered and claimed")));
}

#[test]
fn a_decorator_that_keeps_everything_passes() {
    let memory = Memory::new(false);
    let clock = memory.clock.clone();
    let subject = Decorated::new(memory, |channel| Arc::new(channel) as _);
    clock.block_on(run(&subject)).assert_conforms();
}

/// A platform that can do nothing.
struct Mute(Memory);

#[async_trait]
impl Subject for Mute {
    async fn start(&self) -> Setup {
        let setup = self.0.start().await;
        Setup::new(setup.channel, crate::memory::MutePlatform(setup.platform))
    }
    fn clock(&self) -> Arc<dyn Clock> {
        self.0.clock()
    }
}

#[test]
fn what_the_platform_cannot_do_is_ignored_and_not_passed() {
    let subject = Mute(Memory::new(false));
    let report = subject.0.clock.block_on(run(&subject));
    report.assert_conforms();
    for name in [
        "receives_a_text_with_its_ids",
        "rejects_a_changed_body",
        "maps_401_to_unauthenticated",
        "reacts",
        "shows_that_it_writes",
    ] {
        assert!(report.ignored().contains(&name), "{name}\n{report}");
    }
    let text = report.to_string();
    assert!(text.contains("ignored  reacts: the fake platform does not show reactions"));
    let (passed, ignored) = (report.passed().len(), report.ignored().len());
    assert_eq!(passed + ignored, check_names().count());
    assert!(text.ends_with(&format!("{passed} passed, 0 failed, {ignored} ignored")));
}

#[tokio::test]
async fn runs_in_a_runtime_too() {
    let memory = Memory::new(false);
    let clock = memory.clock.clone();
    clock.drive(run(&memory)).await.assert_conforms();
}

#[test]
fn a_channel_that_tries_again_still_conforms() {
    for webhook in [false, true] {
        let memory = Memory::new(webhook);
        let clock = memory.clock.clone();
        let (shared, random) = (
            Arc::new(clock.clone()),
            Arc::new(channel_testkit::SeededRandom::new(7)),
        );
        let subject = Decorated::new(memory, move |channel| {
            let retry = channel_runtime::Retry::new(channel, shared.clone(), random.clone());
            Arc::new(retry) as _
        });
        clock.block_on(run(&subject)).assert_conforms();
    }
}
