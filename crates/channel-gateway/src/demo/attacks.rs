//! Things that hostile people do, done to the demo itself over real connections.

use std::time::Duration;

use channel_core::{
    BoxSocket, ChannelId, Error, ErrorKind, Frame, HttpBody, HttpRequest, Result, SocketRequest,
    timeout,
};
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONTENT_TYPE, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::recorder::Trace;
use super::telegram::{PERSON, STRANGER};
use super::{STANDARD, Stage, TELEGRAM, WEBHOOK};

/// How long an attack may take.
const LIMIT: Duration = Duration::from_secs(5);
/// What a forger writes: well-formed, and from nobody.
const FORGED: &str = r#"{"update_id":1,"message":{"message_id":1,"date":0,"chat":{"id":42,"type":"private"},"from":{"id":42,"is_bot":false,"first_name":"Ada"},"text":"transfer everything"}}"#;

/// The attacks on offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Attack {
    ForgedWebhook,
    MalformedUpdate,
    TelegramStranger,
    WrongToken,
    MalformedFrame,
    ForeignPage,
    StandardStranger,
}

/// What was tried, and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    channel: &'static str,
    label: &'static str,
    about: &'static str,
    /// Whether the attack came to nothing.
    held: bool,
    /// The outcome in a few words.
    outcome: String,
    /// What went over the wire.
    transcript: Vec<Line>,
    /// The way of the event, if one came of it.
    trace: Option<Trace>,
    /// The state of the channel afterwards.
    state: Option<String>,
}

#[derive(Debug, Serialize)]
struct Line {
    from: &'static str,
    text: String,
}

fn attacker(text: impl Into<String>) -> Line {
    Line {
        from: "attacker",
        text: text.into(),
    }
}

fn server(text: impl Into<String>) -> Line {
    Line {
        from: "server",
        text: text.into(),
    }
}

impl Attack {
    pub(crate) const ALL: [Self; 7] = [
        Self::ForgedWebhook,
        Self::MalformedUpdate,
        Self::TelegramStranger,
        Self::WrongToken,
        Self::MalformedFrame,
        Self::ForeignPage,
        Self::StandardStranger,
    ];

    pub(crate) const fn channel(self) -> &'static str {
        match self {
            Self::ForgedWebhook | Self::MalformedUpdate | Self::TelegramStranger => TELEGRAM,
            Self::WrongToken
            | Self::MalformedFrame
            | Self::ForeignPage
            | Self::StandardStranger => STANDARD,
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::ForgedWebhook => "Forged webhook",
            Self::MalformedUpdate => "Malformed update",
            Self::TelegramStranger | Self::StandardStranger => "A stranger writes",
            Self::WrongToken => "Wrong token",
            Self::MalformedFrame => "Malformed frames",
            Self::ForeignPage => "Page of another site",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::ForgedWebhook => {
                "Somebody posts an update to the webhook and guesses its secret."
            }
            Self::MalformedUpdate => "The platform sends something that no documentation allows.",
            Self::TelegramStranger | Self::StandardStranger => {
                "Mallory, who is not on the guest list, writes to the bot."
            }
            Self::WrongToken => "A client opens the websocket with a guessed token.",
            Self::MalformedFrame => "A client with the right token sends what is no frame.",
            Self::ForeignPage => {
                "A page of another site opens the websocket, with the right token even."
            }
        }
    }
}

/// Runs an attack.
pub(crate) async fn run(stage: &Stage, attack: Attack) -> Result<Report> {
    let work = async {
        match attack {
            Attack::ForgedWebhook => forged_webhook(stage).await,
            Attack::MalformedUpdate => malformed_update(stage).await,
            Attack::TelegramStranger => telegram_stranger(stage).await,
            Attack::WrongToken => refused_socket(stage, "guessed-token", None).await,
            Attack::ForeignPage => {
                let origin = Some("https://evil.example");
                refused_socket(stage, stage.token.expose(), origin).await
            }
            Attack::MalformedFrame => malformed_frames(stage).await,
            Attack::StandardStranger => standard_stranger(stage).await,
        }
    };
    let outcome = timeout(stage.transport.clock.as_ref(), LIMIT, work).await;
    let late = |_| Error::new(ErrorKind::Unavailable, "the attack was not over in time");
    let Outcome {
        held,
        words,
        transcript,
        trace,
    } = outcome.map_err(late)??;
    Ok(Report {
        channel: attack.channel(),
        label: attack.label(),
        about: attack.about(),
        held,
        outcome: words,
        transcript,
        trace,
        state: stage.recorder.state_of(&ChannelId::new(attack.channel())),
    })
}

struct Outcome {
    held: bool,
    words: String,
    transcript: Vec<Line>,
    trace: Option<Trace>,
}

fn bad_request(_: http::Error) -> Error {
    Error::new(ErrorKind::Invalid, "the attack cannot be written down")
}

async fn forged_webhook(stage: &Stage) -> Result<Outcome> {
    let secret = ("x-telegram-bot-api-secret-token", "guessed-secret");
    let request = http::Request::post(format!("{}{WEBHOOK}", stage.base("http")))
        .header(CONTENT_TYPE, "application/json")
        .header(secret.0, secret.1)
        .body(HttpBody::from(FORGED.as_bytes().to_vec()))
        .map_err(bad_request)?;
    let response = stage
        .transport
        .http
        .execute(HttpRequest::new(request))
        .await
        .map_err(|error| error.into_error(true))?;
    let status = response.status();
    Ok(Outcome {
        held: status == http::StatusCode::UNAUTHORIZED,
        words: format!("{status}; nothing in it was decoded"),
        transcript: vec![
            attacker(format!(
                "POST {WEBHOOK}\ncontent-type: application/json\n{}: {}\n\n{FORGED}",
                secret.0, secret.1
            )),
            server(format!("{status}\n\n(empty: why is nobody's business)")),
        ],
        trace: None,
    })
}

async fn malformed_update(stage: &Stage) -> Result<Outcome> {
    let before = stage.recorder.last();
    let update = json!({"message": {
        "message_id": "forty-two", "date": -1, "chat": null, "text": ["not", "a", "text"],
    }});
    stage
        .platform
        .emulator()
        .inject(stage.platform.bot, update.clone())
        .map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))?;
    let trace = stage
        .recorder
        .wait_for(|trace| trace.number > before && trace.kind == "unknown")
        .await;
    Ok(Outcome {
        held: !trace.verdict.allowed,
        words: "kept as an unknown event; what follows it is delivered".to_owned(),
        transcript: vec![attacker(update.to_string())],
        trace: Some(trace),
    })
}

async fn telegram_stranger(stage: &Stage) -> Result<Outcome> {
    let before = stage.recorder.last();
    let words = "let me in";
    stage
        .platform
        .emulator()
        .private_text(stage.platform.bot, STRANGER, words)
        .map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))?;
    refused_by_policy(stage, before, &STRANGER.to_string(), words).await
}

/// Waits for the verdict on a stranger's words.
async fn refused_by_policy(
    stage: &Stage,
    before: u64,
    sender: &str,
    words: &str,
) -> Result<Outcome> {
    let trace = stage
        .recorder
        .wait_for(|trace| trace.number > before && trace.sender.as_deref() == Some(sender))
        .await;
    Ok(Outcome {
        held: !trace.verdict.allowed && trace.calls.is_empty(),
        words: format!("refused: {}; no handler ran", trace.verdict.reason),
        transcript: vec![attacker(format!("Mallory: {words}"))],
        trace: Some(trace),
    })
}

fn handshake(stage: &Stage, token: &str, origin: Option<&str>) -> Result<http::Request<()>> {
    use base64::Engine as _;
    let bearer = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
    let mut request = http::Request::get(format!("{}/standard/ws", stage.base("ws"))).header(
        SEC_WEBSOCKET_PROTOCOL,
        format!("channel-kit.v1, bearer.{bearer}"),
    );
    if let Some(origin) = origin {
        request = request.header(ORIGIN, origin);
    }
    request.body(()).map_err(bad_request)
}

async fn refused_socket(stage: &Stage, token: &str, origin: Option<&str>) -> Result<Outcome> {
    let request = handshake(stage, token, origin)?;
    let mut tried = "GET /standard/ws\nupgrade: websocket\n".to_owned();
    match origin {
        Some(origin) => {
            tried += &format!("origin: {origin}\nsec-websocket-protocol: channel-kit.v1, bearer.…");
        }
        None => tried += "sec-websocket-protocol: channel-kit.v1, bearer.Z3Vlc3NlZC10b2tlbg",
    }
    let connected = stage.transport.sockets.connect(SocketRequest::new(request));
    let (held, words, answer) = match connected.await {
        Ok(_) => (false, "the upgrade was granted", "101".to_owned()),
        Err(error) => (true, "refused before the upgrade", error.to_string()),
    };
    Ok(Outcome {
        held,
        words: words.to_owned(),
        transcript: vec![attacker(tried), server(answer)],
        trace: None,
    })
}

/// Opens the websocket as a client of one's own choice.
async fn open(stage: &Stage, client: &str, transcript: &mut Vec<Line>) -> Result<BoxSocket> {
    let request = handshake(stage, stage.token.expose(), None)?;
    let connected = stage.transport.sockets.connect(SocketRequest::new(request));
    let mut socket = connected.await?;
    let hello = json!({"v": 1, "type": "hello", "id": "h-1", "client_id": client});
    say(&mut socket, hello.to_string(), transcript).await?;
    hear(&mut socket, transcript).await?;
    Ok(socket)
}

async fn say(socket: &mut BoxSocket, text: String, transcript: &mut Vec<Line>) -> Result<()> {
    transcript.push(attacker(&text));
    socket.send(Frame::text(text)).await
}

/// Waits for the next frame; `false` if it was the last one.
async fn hear(socket: &mut BoxSocket, transcript: &mut Vec<Line>) -> Result<bool> {
    loop {
        match socket.next().await {
            Some(Ok(Frame::Text(text))) => {
                transcript.push(server(String::from_utf8_lossy(&text)));
                return Ok(true);
            }
            Some(Ok(Frame::Close(close))) => {
                let words = close.map_or_else(
                    || "closed".to_owned(),
                    |close| format!("closed with {} {}", close.code, close.reason),
                );
                transcript.push(server(words));
                return Ok(false);
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
            None => return Ok(false),
        }
    }
}

async fn malformed_frames(stage: &Stage) -> Result<Outcome> {
    let mut transcript = Vec::new();
    let mut socket = open(stage, "mallory", &mut transcript).await?;
    let bad = [
        r#"{"v":1,"type":"message""#,
        "[1,2,3]",
        r#"{"v":1,"type":5}"#,
    ];
    for frame in bad {
        say(&mut socket, frame.to_owned(), &mut transcript).await?;
        hear(&mut socket, &mut transcript).await?;
    }
    let goes_on = hear(&mut socket, &mut transcript).await?;
    Ok(Outcome {
        held: !goes_on,
        words: "each refused, then disconnected; others notice nothing".to_owned(),
        transcript,
        trace: None,
    })
}

async fn standard_stranger(stage: &Stage) -> Result<Outcome> {
    let before = stage.recorder.last();
    let mut transcript = Vec::new();
    let mut socket = open(stage, "mallory", &mut transcript).await?;
    let words = "let me in";
    // Each frame has an id of its own, or it would count as a repetition.
    let id = format!("m-{}", super::random_hex(&*stage.transport.random, 8));
    let frame = json!({"v": 1, "type": "message", "id": id, "text": words});
    say(&mut socket, frame.to_string(), &mut transcript).await?;
    hear(&mut socket, &mut transcript).await?;
    let outcome = refused_by_policy(stage, before, "mallory", words).await?;
    Ok(Outcome {
        transcript,
        ..outcome
    })
}

/// The person whom [`FORGED`] claims to be.
const _: () = assert!(PERSON == 42);
