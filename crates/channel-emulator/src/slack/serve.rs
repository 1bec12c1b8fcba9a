//! What the platform serves beside the Web API: uploads, downloads, `response_url`s, sockets and the consent page.

use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, Path, Query, State as Shared};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{ApiError, json_response, text_response};
use super::engine::Slack;
use super::http::{Silence, authenticate, bearer, begin, perform};
use super::ledger::Call;
use super::methods::oauth::Code;
use super::model::Upload;
use super::state::State;
use crate::common::ledger::{Entry, Outcome};
use crate::common::socket::{Frame, Settings, accept};
use crate::server::{Closed, Cut, cut};

/// The largest message of a client.
const MAX_FRAME: usize = 1024 * 1024;

/// Opens an entry for something that is no method.
fn open(slack: &Slack, name: &str, params: Value) -> Entry<Slack> {
    slack.deliver();
    let call = Call {
        number: 0,
        at_ms: 0,
        app: String::new(),
        team: String::new(),
        method: name.to_owned(),
        params,
        outcome: Outcome::Pending,
        status: None,
        answer: None,
    };
    begin(slack, call)
}

/// Does something that a fault may prevent, and answers with what `done` makes of it.
async fn answer(
    slack: &Slack,
    name: &str,
    params: Value,
    connection: Option<Cut>,
    work: impl FnOnce() -> Result<Value, ApiError>,
    done: impl FnOnce(Result<Value, ApiError>) -> Response,
) -> Response {
    let entry = open(slack, name, params);
    match perform(slack, name, work).await {
        Ok(answer) => {
            let shown = super::answer::summary(&answer);
            let response = done(answer);
            entry.end(
                Outcome::Answered,
                Some((response.status().as_u16(), shown.1)),
            );
            response
        }
        Err(Silence::Lost(answer)) => {
            entry.end(Outcome::AnswerLost, Some(super::answer::summary(&answer)));
            cut(connection).await
        }
        Err(Silence::Dropped) => {
            entry.end(Outcome::Dropped, None);
            cut(connection).await
        }
    }
}

fn plain(answer: Result<Value, ApiError>) -> Response {
    match answer {
        Ok(_) => text_response(200, "OK"),
        Err(error) => {
            let mut response = text_response(error.status.max(400), "");
            *response.body_mut() = Body::from(error.code.into_owned());
            response
        }
    }
}

/// Step two of an upload: the bytes, as they are or as a form.
pub(crate) async fn upload(
    Shared(slack): Shared<Slack>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let connection = head.extensions.get::<Cut>().cloned();
    let kind = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let bytes = match kind.and_then(|kind| multer::parse_boundary(kind).ok()) {
        Some(boundary) => multipart(body, &boundary, slack.config().file_limit).await,
        None => to_bytes(body, slack.config().file_limit).await.ok(),
    };
    let size = bytes.as_ref().map(Bytes::len);
    let params = json!({"file": id, "bytes": size});
    let work = || slack.with(|state| receive(state, &id, bytes));
    answer(&slack, "upload", params, connection, work, plain).await
}

/// The first file of a form.
async fn multipart(body: Body, boundary: &str, limit: usize) -> Option<Bytes> {
    let bytes = to_bytes(body, limit.saturating_add(64 * 1024)).await.ok()?;
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    let mut form = multer::Multipart::new(stream, boundary);
    while let Ok(Some(field)) = form.next_field().await {
        if field.file_name().is_some() {
            return field.bytes().await.ok();
        }
    }
    None
}

fn receive(state: &mut State, id: &str, bytes: Option<Bytes>) -> Result<Value, ApiError> {
    let file = state
        .files
        .get_mut(id)
        .filter(|file| file.state == Upload::Asked);
    let file = file.ok_or_else(|| ApiError::status(404, "not_found"))?;
    let bytes = bytes.ok_or_else(|| ApiError::status(400, "no file data"))?;
    if bytes.len() != file.announced {
        return Err(ApiError::status(
            400,
            "the size is not the one that was announced",
        ));
    }
    file.bytes = bytes;
    file.state = Upload::Received;
    Ok(json!({}))
}

/// A file's bytes for who may see it; a login page, with status 200, for everybody else.
pub(crate) async fn download(
    Shared(slack): Shared<Slack>,
    Path(path): Path<String>,
    request: Request<Body>,
) -> Response {
    let connection = request.extensions().get::<Cut>().cloned();
    let secret = bearer(request.headers()).unwrap_or_default();
    let path = path.strip_prefix("download/").unwrap_or(&path).to_owned();
    let id = path.split('/').next().and_then(|part| part.split_once('-'));
    let id = id.map(|(_, id)| id.to_owned()).unwrap_or_default();
    let found = slack.quietly(|state| {
        let token = authenticate(state, &secret).ok()?;
        let file = state.files.get(&id)?;
        let own = file.team == token.team && token.scopes.contains("files:read");
        let visible = file.shares.iter().any(|(channel, _)| {
            let channel = state.channels.get(channel);
            channel.is_some_and(|channel| channel.members.contains(&token.user))
        });
        (own && (visible || file.user == token.user))
            .then(|| (file.bytes.clone(), file.mime.clone()))
    });
    let work = || Ok(json!({"file": id, "granted": found.is_some()}));
    let done = |answer: Result<Value, ApiError>| match (&found, answer) {
        (_, Err(error)) => plain(Err(error)),
        (Some((bytes, mime)), Ok(_)) => {
            let mut response = Response::new(Body::from(bytes.clone()));
            if let Ok(kind) = HeaderValue::from_str(mime) {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            response
        }
        (None, Ok(_)) => {
            let page = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head></html>";
            let mut response = text_response(200, page);
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
    };
    answer(
        &slack,
        "download",
        json!({"file": id}),
        connection,
        work,
        done,
    )
    .await
}

/// `/actions/...` and `/commands/...`.
/// <https://docs.slack.dev/interactivity/handling-user-interaction/#message_responses>
pub(crate) async fn response_url(Shared(slack): Shared<Slack>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let connection = head.extensions.get::<Cut>().cloned();
    let path = head.uri.path().to_owned();
    let bytes = to_bytes(body, slack.config().body_limit)
        .await
        .unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let params = body.clone();
    let work = || {
        if !body.is_object() {
            return Err(ApiError::status(400, "invalid_payload"));
        }
        slack
            .with(|state| state.respond(&path, &body))
            .map(|()| json!({}))
            .map_err(|(status, word)| ApiError::status(status, word))
    };
    let done = |answer: Result<Value, ApiError>| match answer {
        Ok(_) => text_response(200, "ok"),
        Err(error) => json_response(error.status, &json!({"ok": false, "error": error.code})),
    };
    answer(&slack, "response_url", params, connection, work, done).await
}

#[derive(Deserialize)]
pub(crate) struct Link {
    ticket: Option<String>,
    app_id: Option<String>,
}

/// A socket of an app, by the address from `apps.connections.open`, which works once.
pub(crate) async fn link(
    Shared(slack): Shared<Slack>,
    Query(link): Query<Link>,
    closed: Option<Extension<Closed>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    slack.deliver();
    let ticket = link.ticket.unwrap_or_default();
    let app = slack.quietly(|state| {
        let (app, until) = state.tickets.remove(&ticket)?;
        (state.now_ms <= until && link.app_id.is_none_or(|id| id == app)).then_some(app)
    });
    let Some(app) = app else {
        return text_response(401, "invalid ticket");
    };
    let settings = Settings {
        max_message: MAX_FRAME,
        ping: Some(slack.config().ping),
    };
    let closed = closed.map(|Extension(closed)| closed);
    accept(
        upgrade,
        closed,
        settings,
        move |socket, mut frames| async move {
            let id = slack.with(|state| {
                let known = state.apps.get_mut(&app)?;
                if known.sockets.len() >= state.settings.max_sockets {
                    let frame = json!({"type": "disconnect", "reason": "too_many_websockets"});
                    socket.text(frame.to_string());
                    socket.close(1000, "too many");
                    return None;
                }
                Some(known.sockets.join(&app, socket.clone(), &state.settings))
            });
            drop(socket);
            // It leaves the platform's list however it ends, also with the server.
            let _guard = id.map(|id| Leave {
                slack: slack.clone(),
                app: app.clone(),
                id,
            });
            while let Some(frame) = frames.next().await {
                if let Frame::Text(text) = frame {
                    acknowledged(&slack, &app, &text);
                }
            }
        },
    )
}

/// Takes a socket off the list.
struct Leave {
    slack: Slack,
    app: String,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.slack.with(|state| {
            let app = state.apps.get_mut(&self.app);
            let settled = app.map(|app| app.sockets.part(self.id)).unwrap_or_default();
            state.settle_all(settled);
        });
    }
}

fn acknowledged(slack: &Slack, app: &str, text: &str) {
    let Ok(frame) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let Some(envelope) = frame.get("envelope_id").and_then(Value::as_str) else {
        return;
    };
    let payload = frame.get("payload").cloned().unwrap_or_default();
    slack.with(|state| {
        let app = state.apps.get_mut(app);
        let settled = app.and_then(|app| app.sockets.acknowledge(envelope, payload));
        state.settle_all(settled);
    });
}

#[derive(Deserialize)]
pub(crate) struct Consent {
    client_id: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    user_scope: String,
    #[serde(default)]
    state: String,
    redirect_uri: Option<String>,
    team: Option<String>,
    /// Not a parameter of the platform: who agrees. Without it the first person of the workspace does.
    user: Option<String>,
}

/// The consent page, which everybody agrees to at once.
pub(crate) async fn authorize(
    Shared(slack): Shared<Slack>,
    Query(asked): Query<Consent>,
) -> Response {
    let target = slack.with(|state| agree(state, &asked));
    match target {
        Err(error) => text_response(400, error),
        Ok(target) => {
            let mut response = text_response(302, "");
            *response.status_mut() = StatusCode::FOUND;
            if let Ok(target) = HeaderValue::from_str(&target) {
                response.headers_mut().insert(header::LOCATION, target);
            }
            response
        }
    }
}

fn agree(state: &mut State, asked: &Consent) -> Result<String, &'static str> {
    let app = state
        .apps
        .values()
        .find(|app| app.client_id == asked.client_id);
    let app = app.ok_or("invalid_client_id")?;
    let fallback = app.redirect_urls.first();
    let target = asked
        .redirect_uri
        .as_ref()
        .or(fallback)
        .ok_or("bad_redirect_uri")?
        .clone();
    let is_listed = |listed: &String| target.starts_with(listed.as_str());
    if !app.redirect_urls.is_empty() && !app.redirect_urls.iter().any(is_listed) {
        return Err("bad_redirect_uri");
    }
    let mut target: url::Url = target.parse().map_err(|_| "bad_redirect_uri")?;
    let id = app.id.clone();
    let team = asked
        .team
        .as_ref()
        .or(state.teams.keys().next())
        .ok_or("no workspace")?
        .clone();
    let person = state
        .users
        .iter()
        .find(|(user, known)| {
            known.team == team
                && known.bot.is_none()
                && asked.user.as_ref().is_none_or(|id| id == *user)
        })
        .map(|(user, _)| user.clone())
        .ok_or("no such person")?;
    let life = i64::try_from(state.settings.code_life.as_millis()).unwrap_or(i64::MAX);
    let code = Code {
        app: id,
        team,
        user: person,
        scopes: asked.scope.clone(),
        user_scopes: asked.user_scope.clone(),
        redirect_uri: asked.redirect_uri.clone(),
        until_ms: state.now_ms.saturating_add(life),
    };
    let code = state.agree(code);
    target
        .query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &asked.state);
    Ok(target.into())
}
