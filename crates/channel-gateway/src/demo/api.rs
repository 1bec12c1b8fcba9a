//! What the page asks for.

use std::sync::{Arc, PoisonError};

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use channel_core::{ChannelId, MessageId};
use channel_emulator::telegram::{ActionError, Post};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::attacks::{self, Attack};
use super::platforms::Emulated;
use super::telegram::{BOT_NAME, PERSON, PERSON_NAME};
use super::{Stage, feed};

/// The largest body, in bytes: a file of 2 MiB in base64, and its words.
const MAX_BODY: usize = 3 << 20;
/// The longest text a person may write (<https://core.telegram.org/bots/api#message>).
const MAX_TEXT: usize = 4096;

type Answer = Result<Json<Value>, Refusal>;

/// A request that makes no sense, or that the platform refuses; the words are ours.
#[derive(Debug)]
pub(crate) struct Refusal(StatusCode, String);

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<ActionError> for Refusal {
    fn from(error: ActionError) -> Self {
        Self(StatusCode::CONFLICT, error.to_string())
    }
}

impl From<channel_core::Error> for Refusal {
    fn from(error: channel_core::Error) -> Self {
        Self(StatusCode::CONFLICT, error.to_string())
    }
}

fn invalid(words: &str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, words.to_owned())
}

pub(crate) fn router(stage: Arc<Stage>) -> Router {
    Router::new()
        .route("/api/start", get(start))
        .route("/api/events", get(feed::events))
        .route("/api/telegram/message", post(write))
        .route("/api/telegram/edit", post(edit))
        .route("/api/telegram/press", post(press))
        .route("/api/telegram/react", post(react))
        .route("/api/telegram/file", get(file))
        .route("/api/platform/{id}/message", post(say))
        .route("/api/platform/{id}/press", post(choose))
        .route("/api/attack", post(attack))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(stage)
}

/// What a page needs to begin: who it is, and the credential of the standard channel.
async fn start(State(stage): State<Arc<Stage>>) -> Json<Value> {
    let (client, token) = match stage.guests.take() {
        Some((client, token)) => (client.as_str(), token.expose()),
        None => ("", ""),
    };
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "run": stage.guests.run,
        "standard": {
            "path": "/standard/ws",
            "media": "/standard/media",
            "protocol": "channel-kit.v1",
            "token": token,
            "client": client,
            "name": PERSON_NAME,
        },
        "telegram": {"bot": BOT_NAME, "person": PERSON, "name": PERSON_NAME},
        "platforms": stage.others.iter().map(|one| one.about()).collect::<Vec<_>>(),
        "guarantees": *stage.promises.lock().unwrap_or_else(PoisonError::into_inner),
        "attacks": Attack::ALL.map(|attack| json!({
            "name": attack, "channel": attack.channel(), "label": attack.label(), "about": attack.about(),
        })),
    }))
}

#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    text: String,
    reply_to: Option<i64>,
    file: Option<WrittenFile>,
}

#[derive(Debug, Deserialize)]
struct WrittenFile {
    name: String,
    mime: String,
    base64: String,
}

async fn write(State(stage): State<Arc<Stage>>, Json(written): Json<Written>) -> Answer {
    check_text(&written.text, written.file.is_none())?;
    let mut post = match written.file {
        Some(file) => {
            let bytes = BASE64
                .decode(file.base64)
                .map_err(|_| invalid("the file is not base64"))?;
            let mut post = Post::document(file.name, file.mime, bytes);
            if !written.text.is_empty() {
                post = post.caption(written.text);
            }
            post
        }
        None => Post::text(written.text),
    };
    post.reply_to = written.reply_to;
    let platform = &stage.platform;
    let id = platform.emulator().post(platform.chat(), PERSON, post)?;
    Ok(Json(json!({"message": id})))
}

fn check_text(text: &str, required: bool) -> Result<(), Refusal> {
    if required && text.trim().is_empty() {
        return Err(invalid("the text is empty"));
    }
    if text.encode_utf16().count() > MAX_TEXT {
        return Err(invalid("the text is longer than 4096 UTF-16 units"));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Edited {
    message: i64,
    text: String,
}

async fn edit(State(stage): State<Arc<Stage>>, Json(edited): Json<Edited>) -> Answer {
    check_text(&edited.text, true)?;
    let platform = &stage.platform;
    platform
        .emulator()
        .edit(platform.chat(), edited.message, &edited.text)?;
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
struct Pressed {
    message: i64,
    data: String,
}

async fn press(State(stage): State<Arc<Stage>>, Json(pressed): Json<Pressed>) -> Answer {
    let platform = &stage.platform;
    let query =
        platform
            .emulator()
            .press(platform.chat(), pressed.message, PERSON, &pressed.data)?;
    Ok(Json(json!({"query": query})))
}

#[derive(Debug, Deserialize)]
struct Reacted {
    message: i64,
    emoji: Option<String>,
}

async fn react(State(stage): State<Arc<Stage>>, Json(reacted): Json<Reacted>) -> Answer {
    let platform = &stage.platform;
    let emoji: Vec<&str> = reacted.emoji.as_deref().into_iter().collect();
    platform
        .emulator()
        .react(platform.chat(), reacted.message, PERSON, &emoji)?;
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    message: String,
}

/// A file of the bot. Always a download: nothing that was sent runs as a page.
async fn file(State(stage): State<Arc<Stage>>, Query(wanted): Query<Wanted>) -> Response {
    let channel = ChannelId::new(super::TELEGRAM);
    let Some(file) = stage
        .recorder
        .file(&channel, &MessageId::new(&wanted.message))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // The page names the download itself; a name in the header would have to be escaped.
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment"),
    ];
    (headers, file).into_response()
}

/// A platform of the page.
fn emulated<'a>(stage: &'a Stage, id: &str) -> Result<&'a dyn Emulated, Refusal> {
    let found = stage.others.iter().find(|one| one.about().id == id);
    let missing = || {
        Refusal(
            StatusCode::NOT_FOUND,
            "there is no such platform".to_owned(),
        )
    };
    found.map(|one| one.as_ref()).ok_or_else(missing)
}

#[derive(Debug, Deserialize)]
struct Said {
    text: String,
}

async fn say(
    State(stage): State<Arc<Stage>>,
    Path(id): Path<String>,
    Json(said): Json<Said>,
) -> Answer {
    check_text(&said.text, true)?;
    emulated(&stage, &id)?.say(&said.text)?;
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
struct Chosen {
    message: String,
    value: String,
}

async fn choose(
    State(stage): State<Arc<Stage>>,
    Path(id): Path<String>,
    Json(chosen): Json<Chosen>,
) -> Answer {
    emulated(&stage, &id)?.press(&chosen.message, &chosen.value)?;
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
struct Attacked {
    name: Attack,
}

async fn attack(State(stage): State<Arc<Stage>>, Json(attacked): Json<Attacked>) -> Answer {
    let report = attacks::run(&stage, attacked.name).await;
    let report = report.map_err(|error| Refusal(StatusCode::BAD_GATEWAY, error.to_string()))?;
    Ok(Json(serde_json::to_value(report).unwrap_or_default()))
}
