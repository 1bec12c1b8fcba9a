use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use channel_core::{
    AllowEveryone, Channel, ChannelId, ChannelInfo, Connection, Error, ErrorKind, Events, Identity,
    Limits, OutboundMessage, Platform, Receipt, Received, Result, TextLimit, TextUnit, async_trait,
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
            Act::Live => {
                let clock = self.clock.clone();
                ready()
                    .chain(futures_util::stream::unfold((), move |()| {
                        let sleep =
                            channel_core::Clock::sleep(&clock, std::time::Duration::from_secs(30));
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
        clock.advance(std::time::Duration::from_secs(9));
    }
    assert_eq!(running.status()[0].state, ChannelState::Ready);
    assert_eq!(running.status()[0].counters.reconnects, 0);
}
