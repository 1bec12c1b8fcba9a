//! News for the page, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::platforms::{self, Emulated};
use super::recorder::Trace;
use super::telegram::Seen;
use super::{STANDARD, Stage};

/// How long one look at the emulator waits; it looks again at once.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
pub(crate) struct Reader {
    /// The id of the page's client on the standard channel.
    client: String,
}

/// `GET /api/events?client=...`: the Telegram chat, and the traces that concern the page.
pub(crate) async fn events(
    State(stage): State<Arc<Stage>>,
    Query(reader): Query<Reader>,
) -> Response {
    let Ok(place) = Arc::clone(&stage.readers).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let mut closing = stage.closing.subscribe();
    let closed = async move {
        // The sender is gone only when the demo is.
        let _ = closing.wait_for(|closing| *closing).await;
    };
    let others = stage.others.iter().map(|one| other(Arc::clone(one)));
    let others = stream::select_all(others);
    let chats = stream::select(chat(Arc::clone(&stage)), others);
    let news = stream::select(chats, traces(stage, &reader.client))
        .take_until(closed.boxed())
        .map(move |event| {
            let _held_while_reading = &place;
            Ok::<_, Infallible>(event)
        });
    Sse::new(news)
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default()
        .event(name)
        .json_data(data)
        .unwrap_or_default()
}

fn chat(stage: Arc<Stage>) -> BoxStream<'static, Event> {
    stream::unfold((stage, Seen::default()), |(stage, mut seen)| async move {
        loop {
            let clock = Arc::clone(&stage.transport.clock);
            let news = stage
                .platform
                .emulator()
                .wait_for(PATIENCE, |view| {
                    seen.news(view, &stage.platform, clock.now())
                })
                .await;
            if let Ok(news) = news {
                return Some((event("telegram", &news), (stage, seen)));
            }
        }
    })
    .boxed()
}

/// The chat of another platform.
fn other(platform: Arc<dyn Emulated>) -> BoxStream<'static, Event> {
    let id = platform.about().id;
    stream::unfold(
        (platform, platforms::Seen::default()),
        move |(platform, mut seen)| async move {
            loop {
                let mut look = || seen.news(id, platform.messages());
                if let Some(news) = platform.server().wait(&mut look).await {
                    return Some((event("platform", &news), (platform, seen)));
                }
            }
        },
    )
    .boxed()
}

fn traces(stage: Arc<Stage>, client: &str) -> BoxStream<'static, Event> {
    let own_chats = format!("{client}/");
    let concerns = move |trace: &Trace| {
        let is_own = |chat: &channel_core::ChatId| chat.as_str().starts_with(&own_chats);
        trace.channel.as_str() != STANDARD || trace.chat.as_ref().is_some_and(is_own)
    };
    stream::unfold((stage, 0), |(stage, revision)| async move {
        let news = stage.recorder.since(revision).await;
        let states = news
            .states
            .into_iter()
            .map(|(channel, state)| Told::State(channel, state));
        let told: Vec<Told> = states
            .chain(
                news.traces
                    .into_iter()
                    .map(|trace| Told::Trace(Box::new(trace))),
            )
            .collect();
        Some((stream::iter(told), (stage, news.revision)))
    })
    .flatten()
    .filter_map(move |told| {
        let event = match told {
            Told::State(channel, state) => {
                Some(event("state", &json!({"channel": channel, "state": state})))
            }
            Told::Trace(trace) => concerns(&trace).then(|| event("trace", &trace)),
        };
        std::future::ready(event)
    })
    .boxed()
}

enum Told {
    State(channel_core::ChannelId, String),
    Trace(Box<Trace>),
}
