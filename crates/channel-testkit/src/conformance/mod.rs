//! One suite that every adapter runs.
//!
//! An adapter implements [`Subject`] and [`FakePlatform`] over its fake platform, and its
//! test is one line:
//!
//! ```
//! # use std::sync::Arc;
//! # use channel_core::{Channel, Clock, MessageRef, Target};
//! # use channel_testkit::{MemoryChannel, VirtualClock};
//! # use channel_testkit::conformance::{Ability, FakePlatform, Place, Setup, Shown, Subject, run};
//! # use channel_core::async_trait;
//! struct Acme(VirtualClock);
//!
//! #[async_trait]
//! impl Subject for Acme {
//!     async fn start(&self) -> Setup {
//!         let clock = self.clock();
//!         let channel = MemoryChannel::builder().clock(clock).build(); // Acme::builder()...
//!         Setup::new(Arc::new(channel.clone()), AcmePlatform(channel))
//!     }
//!     fn clock(&self) -> Arc<dyn Clock> {
//!         Arc::new(self.0.clone())
//!     }
//! }
//!
//! struct AcmePlatform(MemoryChannel); // your fake platform
//!
//! #[async_trait]
//! impl FakePlatform for AcmePlatform {
//!     fn claims(&self) -> Vec<Ability> {
//!         let webhook = [Ability::Webhook, Ability::SocketServer];
//!         Ability::ALL.into_iter().filter(|ability| !webhook.contains(ability)).collect()
//!     }
//!     fn secrets(&self) -> Vec<String> {
//!         Vec::new()
//!     }
//!     fn place(&self, place: Place) -> Option<Target> {
//!         (place == Place::Direct).then(|| Target::chat("ada"))
//!     }
//!     async fn shown(&self) -> Vec<Shown> {
//!         let sent = self.0.sent().into_iter();
//!         sent.map(|sent| Shown::new(sent.at, sent.thread, sent.text)).collect()
//!     }
//! }
//!
//! let clock = VirtualClock::new();
//! let report = clock.block_on(run(&Acme(clock.clone())));
//! report.assert_conforms();
//! assert!(report.passed().contains(&"splits_within_the_limit"));
//! assert!(report.ignored().contains(&"rejects_a_changed_body")); // not offered, so not passed
//! ```
//!
//! In a runtime, `clock.drive(run(&subject)).await` does the same; with a real clock,
//! `run(&subject).await`. What a subject does not offer is reported as ignored, never as
//! passed. [`Decorated`] runs the suite behind a decorator.

mod bench;
mod checks;
mod report;
mod subject;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use channel_core::timeout;
use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;

use bench::{Bench, Stop};
pub use report::{Checked, Outcome, Report};
pub use subject::{
    Ability, Challenge, Decorated, FakePlatform, Happened, Happening, Place, Setup, Shown,
    SignaturePart, Signing, Subject,
};

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) struct CheckEntry {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Bench) -> BoxFuture<'a, Result<(), Stop>>,
}

/// The names of all checks, in the order in which they run.
pub fn check_names() -> impl Iterator<Item = &'static str> {
    checks::ALL.iter().map(|check| check.name)
}

/// Runs all checks, each with a channel and a platform of its own.
///
/// A check that panics or hangs has failed, and the others go on.
pub async fn run(subject: &dyn Subject) -> Report {
    run_some(subject, |_| true).await
}

/// Runs the checks whose names are wanted.
pub async fn run_some(
    subject: &dyn Subject,
    wanted: impl Fn(&str) -> bool + Send + Sync,
) -> Report {
    let mut checks = Vec::new();
    for check in checks::ALL.iter().filter(|check| wanted(check.name)) {
        checks.push(Checked {
            name: check.name,
            outcome: run_one(subject, check).await,
        });
    }
    Report { checks }
}

async fn run_one(subject: &dyn Subject, check: &CheckEntry) -> Outcome {
    let clock = subject.clock();
    let work = async {
        let Setup { channel, platform } = subject.start().await;
        let bench = Bench {
            channel,
            platform,
            clock: subject.clock(),
            virtual_time: subject.has_virtual_time(),
        };
        (check.run)(&bench).await
    };
    let work: BoxFuture<'_, _> = Box::pin(AssertUnwindSafe(work).catch_unwind());
    match timeout(clock.as_ref(), LIMIT, work).await {
        Ok(Ok(Ok(()))) => Outcome::Passed,
        Ok(Ok(Err(Stop::Failed(reason)))) => Outcome::Failed(reason),
        Ok(Ok(Err(Stop::Ignored(reason)))) => Outcome::Ignored(reason),
        Ok(Err(panic)) => Outcome::Failed(format!("panicked: {}", words(panic.as_ref()))),
        Err(_) => Outcome::Failed("not done within 15 minutes".to_owned()),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without words")
}
