//! Conversations that send messages through a store, one after the other in each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use channel_core::{
    AccountRef, Body, Chat, ChatKind, Event, EventKind, IdempotencyKey, Message, MessageRef,
    OutboundMessage, Platform, Proof, Raw, Receipt, ReplyTo, Sender, Target,
};
use channel_delivery::{
    Fence, NewDelivery, NewEvent, Outcome, Recorded, SqliteStore, Store as _, WorkerId,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub(crate) const LANES: usize = 64;

/// Numbers that no message had before.
static NUMBER: AtomicU64 = AtomicU64::new(0);

pub(crate) fn start_numbers_at(number: u64) {
    NUMBER.store(number, Ordering::Relaxed);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// When a lane stops.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Moment(Instant),
    Messages(u64),
}

pub(crate) async fn enroll(store: &SqliteStore) -> Result<Fence> {
    let worker = WorkerId::new("bench");
    let lease = Duration::from_secs(86_400);
    Ok(store.enroll(&worker, lease, SystemTime::now()).await?)
}

/// Runs all lanes as fast as they go; messages a second.
pub(crate) async fn run(store: &SqliteStore, fence: Fence, way: Way, until: Until) -> Result<f64> {
    let (start, mut lanes) = (Instant::now(), JoinSet::new());
    let left = Arc::new(AtomicU64::new(match until {
        Until::Messages(messages) => messages,
        Until::Moment(_) => u64::MAX,
    }));
    for lane in 0..LANES {
        let (store, left) = (store.clone(), Arc::clone(&left));
        lanes.spawn(async move {
            let mut count = 0_u64;
            let less = |left: u64| left.checked_sub(1);
            let order = Ordering::Relaxed;
            while !matches!(until, Until::Moment(end) if Instant::now() >= end)
                && left.fetch_update(order, order, less).is_ok()
            {
                match way {
                    Way::In => inbound(&store, fence, lane).await?,
                    Way::Out => outbound(&store, fence, lane).await?,
                }
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0_u64;
    while let Some(lane) = lanes.join_next().await {
        count += lane??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Events arrive in all lanes at a rate of messages a second and are handled in order, beside
/// those that arrive meanwhile; how long each record took, in ms, sorted.
pub(crate) async fn paced(
    store: &SqliteStore,
    fence: Fence,
    rate: f64,
    end: Instant,
) -> Result<Vec<f64>> {
    let (mut lanes, mut handlers) = (JoinSet::new(), JoinSet::new());
    for lane in 0..LANES {
        let (inbox, mut recorded) = mpsc::unbounded_channel();
        let handler = store.clone();
        handlers.spawn(async move {
            while let Some(recorded) = recorded.recv().await {
                handle(&handler, fence, Some(&recorded)).await?;
            }
            anyhow::Ok(())
        });
        let store = store.clone();
        let step = Duration::from_secs_f64(LANES as f64 / rate);
        lanes.spawn(async move {
            let mut took = Vec::new();
            let mut next = Instant::now() + step.mul_f64(lane as f64 / LANES as f64);
            while next < end {
                tokio::time::sleep_until(next.into()).await;
                // From when it should have begun, so that a stall is not left out.
                let event = event(lane);
                let recorded = store.record(fence, vec![event], SystemTime::now()).await?;
                took.push(next.elapsed().as_secs_f64() * 1e3);
                for recorded in recorded {
                    inbox.send(recorded)?;
                }
                next += step;
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        took.extend(lane??);
    }
    while let Some(handler) = handlers.join_next().await {
        handler??;
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}

async fn inbound(store: &SqliteStore, fence: Fence, lane: usize) -> Result<()> {
    let event = event(lane);
    let recorded = store.record(fence, vec![event], SystemTime::now()).await?;
    handle(store, fence, recorded.first()).await
}

async fn handle(store: &SqliteStore, fence: Fence, recorded: Option<&Recorded>) -> Result<()> {
    let Some(Recorded::Fresh { seq, mine: true }) = recorded else {
        anyhow::bail!("expected a fresh event: {recorded:?}");
    };
    store.begin(fence, *seq, SystemTime::now()).await?;
    let outcome = Outcome::Handled { remark: None };
    Ok(store
        .finish(fence, *seq, outcome, SystemTime::now())
        .await?)
}

async fn outbound(store: &SqliteStore, fence: Fence, lane: usize) -> Result<()> {
    let delivery = delivery(lane);
    let planned = store.plan(fence, delivery, SystemTime::now()).await?;
    let id = planned.delivery.id;
    let part = planned.delivery.parts.into_iter().next();
    let part = part.context("expected a part")?.sending();
    let change = vec![(0, part.clone())];
    store.update(fence, id, change, SystemTime::now()).await?;
    let sent = MessageRef::new(lane.to_string().as_str().into(), "123456".into());
    let change = vec![(0, part.delivered(Receipt::new(vec![sent])))];
    Ok(store.update(fence, id, change, SystemTime::now()).await?)
}

/// What somebody wrote in the chat of a lane, with a payload of the usual size.
pub(crate) fn event(lane: usize) -> NewEvent {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let text = "a question of the usual length, such as people ask a bot";
    let raw = format!(
        r#"{{"update_id":{number},"message":{{"message_id":{number},"from":{{"id":100200300,"is_bot":false,"first_name":"Ada","username":"ada","language_code":"en"}},"chat":{{"id":{lane},"first_name":"Ada","username":"ada","type":"private"}},"date":1700000000,"text":"{text}"}}}}"#
    );
    let chat = lane.to_string();
    let account = AccountRef::new(Platform::new("telegram"), "100200300".into());
    let mut message = Message::new(
        number.to_string().into(),
        Chat::new(chat.as_str().into(), ChatKind::Direct),
        Sender::new(account, Proof::Verified),
        ReplyTo::new("telegram".into(), Target::chat(chat.as_str())),
    );
    text.clone_into(&mut message.text);
    message.raw = Raw::new(raw.into());
    let kind = EventKind::Message(Box::new(message));
    NewEvent::new(Event::new(
        number.to_string().into(),
        "telegram".into(),
        kind,
    ))
}

fn delivery(lane: usize) -> NewDelivery {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let text = "an answer of the usual length, which is somewhat longer than the question was";
    let message = OutboundMessage::new(Target::chat(lane.to_string()), Body::plain(text));
    let key = IdempotencyKey::new(format!("answer-{number}"));
    NewDelivery::new("telegram".into(), key, message, 1)
}
