use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    Acknowledge, AllowEveryone, Channel, ChannelId, ChannelInfo, Connection, Error, ErrorKind,
    Event, EventKind, Events, Identity, Limits, OutboundMessage, Platform, Raw, Receipt, Received,
    Result, TextLimit, TextUnit, Unknown, async_trait,
};
use channel_runtime::{Bot, ChannelState};
use channel_testkit::{VirtualClock, fake_transport};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

/// What one stream does.
#[derive(Debug)]
enum Act {
    /// Says ready, then nothing for ever.
    Mute,
    /// Says ready, then ends.
    End,
    /// Fails.
    Fail(ErrorKind),
    /// Panics.
    Panic,
    /// Gives an event at once, and another after that long.
    Events(Duration),
    /// Gives an event whose acknowledgement never ends.
    Stuck,
    /// Stays alive for ever.
    Live,
}

#[derive(Debug)]
struct Staged {
    info: ChannelInfo,
    clock: VirtualClock,
    acts: Mutex<VecDeque<Act>>,
}

#[async_trait]
impl Channel for Staged {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }
    async fn send(&self, _message: &OutboundMessage) -> Result<Receipt> {
        Ok(Receipt::default())
    }
    async fn probe(&self) -> Result<Identity> {
        Ok(Identity::new("1", "s"))
    }
    fn as_events(&self) -> Option<&dyn Events> {
        Some(self)
    }
}

#[async_trait]
impl Events for Staged {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        let id = self.info.id.clone();
        let ready = {
            let id = id.clone();
            move || futures_util::stream::iter([Ok(Received::connection(id, Connection::Ready))])
        };
        match self.acts.lock().unwrap().pop_front().unwrap_or(Act::Live) {
            Act::Mute => ready().chain(futures_util::stream::pending()).boxed(),
            Act::End => ready().boxed(),
            Act::Fail(kind) => {
                futures_util::stream::iter([Err(Error::new(kind, "as asked"))]).boxed()
            }
            Act::Panic => ready()
                .chain(futures_util::stream::poll_fn(|_| unreachable!("as asked")))
                .boxed(),
            Act::Events(pause) => {
                let first = event(&id, 1);
                let (second, sleep) = (
                    event(&id, 2),
                    channel_core::Clock::sleep(&self.clock, pause),
                );
                futures_util::stream::iter([Ok(first)])
                    .chain(futures_util::stream::once(async move {
                        sleep.await;
                        Ok(second)
                    }))
                    .chain(futures_util::stream::pending())
                    .boxed()
            }
            Act::Stuck => futures_util::stream::iter([Ok(event(&id, STUCK))])
                .chain(futures_util::stream::pending())
                .boxed(),
            Act::Live => {
                let clock = self.clock.clone();
                ready()
                    .chain(futures_util::stream::unfold((), move |()| {
                        let sleep = channel_core::Clock::sleep(&clock, Duration::from_secs(30));
                        let id = id.clone();
                        async move {
                            sleep.await;
                            Some((Ok(Received::connection(id, Connection::Alive)), ()))
                        }
                    }))
                    .boxed()
            }
        }
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Acknowledges, but for one token.
#[derive(Debug)]
struct Duties;

/// The token whose acknowledgement never ends.
const STUCK: u64 = 0;

#[async_trait]
impl Acknowledge for Duties {
    async fn ack(&self, token: u64) -> Result<()> {
        if token == STUCK {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
    async fn nak(&self, _token: u64) -> Result<()> {
        Ok(())
    }
    fn abandon(&self, _token: u64) {}
}

fn event(channel: &ChannelId, token: u64) -> Received {
    let unknown = Unknown::new("x", Raw::default());
    let event = Event::new(
        i64::try_from(token).unwrap().into(),
        channel.clone(),
        EventKind::Unknown(Box::new(unknown)),
    );
    Received::new(event, Arc::new(Duties), token)
}

/// Runs a bot over these acts until it has seen the given number of state changes, or
/// has failed; tells the changes and the error.
async fn states(
    acts: impl IntoIterator<Item = Act>,
    count: usize,
) -> (Vec<ChannelState>, Option<Error>) {
    let fake = fake_transport();
    let clock = fake.clock.clone();
    let channel = Staged {
        info: ChannelInfo::new(
            ChannelId::new("s"),
            Platform::new("s"),
            Limits::new(TextLimit::new(10, TextUnit::Bytes)),
        ),
        clock: clock.clone(),
        acts: Mutex::new(acts.into_iter().collect()),
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_in = Arc::clone(&seen);
    let mut running = Bot::new(AllowEveryone)
        .channel(channel)
        .transport(fake.transport())
        .on_status(move |status| seen_in.lock().unwrap().push(status.state.clone()))
        .start()
        .await
        .unwrap();
    let enough = async {
        while seen.lock().unwrap().len() < count {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            clock.advance_to_next();
        }
    };
    let error = tokio::select! {
        () = enough => None,
        error = running.failed() => Some(error),
    };
    let states = seen.lock().unwrap().clone();
    (states, error)
}

#[tokio::test]
async fn pain_20_a_stream_without_proof_of_life_is_replaced() {
    let (states, _) = states([Act::Mute, Act::Live], 3).await;
    let expected = ChannelState::Reconnecting {
        cause: "no proof of life".to_owned(),
    };
    assert_eq!(states, [ChannelState::Ready, expected, ChannelState::Ready]);
}

#[tokio::test]
async fn pain_22_a_stream_that_ends_or_fails_is_made_again_for_ever() {
    let mut acts: Vec<Act> = (0..50).map(|_| Act::Fail(ErrorKind::Unavailable)).collect();
    acts.push(Act::End);
    let (states, error) = states(acts, 4).await;
    assert!(error.is_none());
    assert!(matches!(states[0], ChannelState::Reconnecting { .. }));
    assert_eq!(states[1], ChannelState::Ready);
    assert!(
        matches!(&states[2], ChannelState::Reconnecting { cause } if cause == "the stream ended")
    );
    assert_eq!(states[3], ChannelState::Ready);
}

#[tokio::test]
async fn a_revoked_token_ends_the_bot_with_its_reason() {
    let (states, error) = states([Act::Fail(ErrorKind::Unauthenticated)], 99).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Unauthenticated);
    assert!(matches!(&states[..], [ChannelState::Failed { reason }] if reason == "as asked"));
}

#[tokio::test]
async fn a_stream_that_panics_is_made_again() {
    let (states, error) = states([Act::Panic, Act::Live], 3).await;
    assert!(error.is_none());
    assert_eq!(states[2], ChannelState::Ready, "{states:?}");
}

fn staged(fake: &channel_testkit::FakeTransport, act: Act) -> Staged {
    Staged {
        info: ChannelInfo::new(
            ChannelId::new("s"),
            Platform::new("s"),
            Limits::new(TextLimit::new(10, TextUnit::Bytes)),
        ),
        clock: fake.clock.clone(),
        acts: Mutex::new([act].into()),
    }
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_bot_without_room_does_not_take_its_own_deafness_for_silence() {
    let fake = fake_transport();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let gate_in = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .channel(staged(&fake, Act::Events(Duration::from_secs(630))))
        .transport(fake.transport())
        .capacity(1)
        .on_other(move |_, _| {
            let gate = Arc::clone(&gate_in);
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    settle().await;
    for _ in 0..60 {
        fake.clock.advance(Duration::from_secs(10));
        settle().await;
    }
    gate.add_permits(2);
    for _ in 0..30 {
        settle().await;
        fake.clock.advance(Duration::from_secs(2));
    }
    settle().await;
    let counters = running.status()[0].counters;
    assert_eq!((counters.received, counters.reconnects), (2, 0));
}

#[tokio::test]
async fn stopping_does_not_wait_for_an_acknowledgement_that_never_ends() {
    let fake = fake_transport();
    let running = Bot::new(AllowEveryone)
        .channel(staged(&fake, Act::Stuck))
        .transport(fake.transport())
        .on_other(|_, _| std::future::pending())
        .start()
        .await
        .unwrap();
    settle().await;
    fake.clock.advance(Duration::from_secs(1));
    settle().await;
    fake.clock.drive(running.stop()).await;
}

#[tokio::test]
async fn a_live_stream_is_left_alone() {
    let fake = fake_transport();
    let clock = fake.clock.clone();
    let channel = Staged {
        info: ChannelInfo::new(
            ChannelId::new("s"),
            Platform::new("s"),
            Limits::new(TextLimit::new(10, TextUnit::Bytes)),
        ),
        clock: clock.clone(),
        acts: Mutex::new([Act::Live, Act::Fail(ErrorKind::Unauthenticated)].into()),
    };
    let running = Bot::new(AllowEveryone)
        .channel(channel)
        .transport(fake.transport())
        .start()
        .await
        .unwrap();
    // An hour of nothing but signs of life.
    for _ in 0..400 {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(9));
    }
    assert_eq!(running.status()[0].state, ChannelState::Ready);
    assert_eq!(running.status()[0].counters.reconnects, 0);
}
