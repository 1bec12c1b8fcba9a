use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    Channel, ChannelId, ChannelInfo, Clock as _, Error, ErrorKind, Identity, Limits, MessageRef,
    OutboundMessage, Platform, Receipt, Result, Target, TextLimit, TextUnit, async_trait,
};
use channel_runtime::Retry;
use channel_testkit::{SeededRandom, VirtualClock};

/// Answers each send with the next of these.
#[derive(Debug)]
struct Scripted {
    info: ChannelInfo,
    answers: Mutex<VecDeque<Result<Receipt>>>,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Result<Receipt>>) -> Arc<Self> {
        Arc::new(Self {
            info: ChannelInfo::new(
                ChannelId::new("s"),
                Platform::new("s"),
                Limits::new(TextLimit::new(10, TextUnit::Bytes)),
            ),
            answers: Mutex::new(answers.into_iter().collect()),
        })
    }

    fn left(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

#[async_trait]
impl Channel for Scripted {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }
    async fn send(&self, _message: &OutboundMessage) -> Result<Receipt> {
        self.answers.lock().unwrap().pop_front().unwrap()
    }
    async fn probe(&self) -> Result<Identity> {
        Ok(Identity::new("1", "s"))
    }
}

fn fail(kind: ErrorKind) -> Result<Receipt> {
    Err(Error::new(kind, "as asked"))
}

/// Sends once and tells the outcome and the virtual time that it took.
fn send(channel: &Arc<Scripted>) -> (Result<Receipt>, Duration) {
    let clock = Arc::new(VirtualClock::new());
    let retry = Retry::new(
        Arc::clone(channel),
        clock.clone(),
        Arc::new(SeededRandom::new(1)),
    );
    let message = OutboundMessage::new(Target::chat("1"), "hi");
    let began = clock.elapsed();
    let result = clock.block_on(retry.send(&message));
    (result, clock.elapsed().saturating_sub(began))
}

#[test]
fn waits_exactly_as_long_as_the_platform_asks() {
    let wait = Duration::from_secs(17);
    let limited = Err(Error::new(ErrorKind::RateLimited, "as asked").with_retry_after(wait));
    let (result, took) = send(&Scripted::new([limited, Ok(Receipt::default())]));
    assert!(result.is_ok());
    assert_eq!(took, wait);
}

#[test]
fn gives_up_at_once_when_the_wait_would_be_too_long() {
    let wait = Duration::from_secs(61);
    let limited = Err(Error::new(ErrorKind::RateLimited, "as asked").with_retry_after(wait));
    let (result, took) = send(&Scripted::new([limited]));
    assert_eq!(result.err().unwrap().retry_after(), Some(wait));
    assert_eq!(took, Duration::ZERO);
}

#[test]
fn tries_three_times_more_where_nothing_has_happened() {
    let channel = Scripted::new((0..9).map(|_| fail(ErrorKind::Unavailable)));
    let (result, took) = send(&channel);
    assert_eq!(result.err().unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(channel.left(), 5);
    assert!(
        took >= Duration::from_millis(1750) && took <= Duration::from_millis(3500),
        "{took:?}"
    );
}

#[test]
fn pain_14_a_send_that_may_have_arrived_is_not_repeated() {
    for kind in [
        ErrorKind::Uncertain,
        ErrorKind::Invalid,
        ErrorKind::Forbidden,
    ] {
        let channel = Scripted::new([fail(kind), Ok(Receipt::default())]);
        assert_eq!(send(&channel).0.err().unwrap().kind(), kind);
        assert_eq!(channel.left(), 1);
    }
}

#[test]
fn pain_15_a_send_of_which_parts_have_arrived_is_not_repeated() {
    let part = Receipt::new(vec![MessageRef::new("1".into(), "2".into())]);
    let partly = Err(Error::new(ErrorKind::RateLimited, "as asked").with_delivered(part));
    let channel = Scripted::new([partly, Ok(Receipt::default())]);
    assert!(send(&channel).0.is_err());
    assert_eq!(channel.left(), 1);
}
