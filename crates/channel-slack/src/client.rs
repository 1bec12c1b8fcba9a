//! Calls of the Web API (<https://docs.slack.dev/apis/web-api/>).

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Error, HttpBody, HttpError, HttpErrorKind, HttpRequest, Rate, Result, Secret, Transport,
    timeout,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::PLATFORM;
use crate::error::Failure;

/// The rate tiers (<https://docs.slack.dev/apis/web-api/rate-limits/>): calls a minute, by
/// method, workspace and app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    One,
    Two,
    Three,
    Four,
    /// `chat.postMessage`: one a second in each chat.
    Post,
    /// Several hundred a minute, not documented closer.
    Special,
}

impl Tier {
    /// The rate, and how many may leave at once.
    pub(crate) const fn rate(self) -> Option<(Rate, u32)> {
        let minute = Duration::from_secs(60);
        Some(match self {
            Self::One => (Rate::new(1, minute), 1),
            Self::Two => (Rate::new(20, minute), 5),
            Self::Three => (Rate::new(50, minute), 10),
            Self::Four => (Rate::new(100, minute), 20),
            Self::Post => (Rate::new(1, Duration::from_secs(1)), 5),
            Self::Special => return None,
        })
    }
}

macro_rules! methods {
    ($($name:ident = $wire:literal, $operation:literal, $repeatable:literal, $tier:ident;)*) => {
        /// The methods that the adapter calls (<https://docs.slack.dev/reference/methods/>).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Method { $($name,)* }

        impl Method {
            const ALL: &[Self] = &[$(Self::$name,)*];

            const fn wire_name(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// What it does, for errors and logs.
            pub(crate) const fn operation(self) -> &'static str {
                match self { $(Self::$name => $operation,)* }
            }

            /// Whether calling it twice has no second effect.
            pub(crate) const fn is_repeatable(self) -> bool {
                match self { $(Self::$name => $repeatable,)* }
            }

            /// How often it may be called.
            pub(crate) const fn tier(self) -> Tier {
                match self { $(Self::$name => Tier::$tier,)* }
            }
        }
    };
}

methods! {
    AuthTest = "auth.test", "get identity", true, Special;
    OpenConnection = "apps.connections.open", "open socket", true, One;
    OauthAccess = "oauth.v2.access", "exchange token", false, Special;
    PostMessage = "chat.postMessage", "send message", false, Post;
    PostEphemeral = "chat.postEphemeral", "send message to one", false, Four;
    ScheduleMessage = "chat.scheduleMessage", "schedule message", false, Three;
    DeleteScheduled = "chat.deleteScheduledMessage", "cancel message", true, Three;
    Update = "chat.update", "edit message", true, Three;
    Delete = "chat.delete", "delete message", true, Three;
    StartStream = "chat.startStream", "start stream", false, Two;
    AppendStream = "chat.appendStream", "append to stream", false, Four;
    StopStream = "chat.stopStream", "stop stream", false, Two;
    AddReaction = "reactions.add", "react", true, Three;
    RemoveReaction = "reactions.remove", "take reaction back", true, Two;
    SetStatus = "assistant.threads.setStatus", "set status", true, Special;
    OpenChat = "conversations.open", "open chat", true, Three;
    UploadUrl = "files.getUploadURLExternal", "send file", true, Four;
    UploadBytes = "upload", "send file", true, Special;
    CompleteUpload = "files.completeUploadExternal", "send file", false, Four;
    FileInfo = "files.info", "get file", true, Four;
    DeleteFile = "files.delete", "delete message", true, Three;
    Download = "download", "download", true, Special;
    History = "conversations.history", "read history", true, Three;
    Replies = "conversations.replies", "read history", true, Three;
    Respond = "response_url", "answer action", false, Special;
    RespondToCommand = "response_url", "send message", false, Special;
    OpenView = "views.open", "open dialog", false, Four;
    PushView = "views.push", "open dialog", false, Four;
    UpdateView = "views.update", "update dialog", true, Four;
    PublishView = "views.publish", "publish home", true, Four;
}

/// How long a request may take that carries a file, besides what its size needs.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(60);
/// The slowest transfer that is waited for, in bytes a second.
const SLOWEST: u64 = 64 * 1024;
/// How much later than the transport the adapter itself gives up on a request.
const GRACE: Duration = Duration::from_secs(5);

/// Sends requests.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    /// Built once: parsing an address costs more than writing a short message.
    addresses: Vec<Uri>,
    /// The server that was configured, such as `https://slack.com`.
    pub(crate) base: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A request body and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    content_type: &'static str,
    body: Bytes,
}

impl Payload {
    /// The fields as JSON: what most methods take.
    pub(crate) fn json(fields: &impl Serialize) -> Self {
        // Plain structs of texts and numbers always serialise.
        let body = serde_json::to_vec(fields).unwrap_or_else(|_| b"{}".to_vec());
        Self {
            content_type: "application/json; charset=utf-8",
            body: body.into(),
        }
    }

    /// The fields as a form: for methods that read nothing else.
    pub(crate) fn form(fields: &[(&str, &str)]) -> Self {
        Self {
            content_type: "application/x-www-form-urlencoded",
            body: crate::oauth::form(fields).into_bytes().into(),
        }
    }

    /// A file to the letter.
    pub(crate) const fn bytes(body: Bytes) -> Self {
        Self {
            content_type: "application/octet-stream",
            body,
        }
    }
}

/// What a request proves who we are by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credentials<'a> {
    None,
    Token(&'a Secret),
    /// `Basic`, encoded already.
    Basic(&'a Secret),
}

impl Client {
    /// Prepares the address of each method below `base`, which is `https://slack.com/api`
    /// or stands for it.
    pub(crate) fn new(transport: Transport, base: &str) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let addresses = Method::ALL
            .iter()
            .map(|method| {
                format!("{base}/{}", method.wire_name())
                    .parse()
                    // The parser's own words may repeat the address.
                    .map_err(|_| {
                        Error::config("api_base is not an address").on(PLATFORM, "configure")
                    })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            transport,
            addresses,
            base: base.to_owned(),
        })
    }

    /// Calls a method and decodes its answer.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        credentials: Credentials<'_>,
        payload: Payload,
    ) -> Result<T, Failure> {
        #[derive(serde::Deserialize)]
        struct Answer {
            ok: bool,
        }
        let uri = self.addresses.get(method as usize).cloned();
        let uri = uri.unwrap_or_default();
        let request = post(uri, credentials, payload);
        let response = self.exchange(HttpRequest::new(request)).await?;
        if response.status().is_success()
            && let Ok(Answer { ok: true }) = serde_json::from_slice(response.body())
        {
            return serde_json::from_slice(response.body())
                .map_err(|_| Failure::Unreadable { status: 200 });
        }
        Err(failed(&response))
    }

    /// Posts to an address that came with an event or an answer; any 2xx is a success.
    pub(crate) async fn post_to(&self, address: &str, payload: Payload) -> Result<Bytes, Failure> {
        let uri = address
            .parse()
            .map_err(|_| Failure::Unreadable { status: 200 })?;
        let request = HttpRequest::new(post(uri, Credentials::None, payload));
        let request = if self.is_own(address) {
            request
        } else {
            request.guarded()
        };
        let response = self.exchange(request).await?;
        if !response.status().is_success() {
            return Err(failed(&response));
        }
        // A refusal may come with 200 here too.
        match serde_json::from_slice::<serde_json::Value>(response.body()) {
            Ok(answer) if answer.get("ok").and_then(serde_json::Value::as_bool) == Some(false) => {
                Err(failed(&response))
            }
            _ => Ok(response.into_body()),
        }
    }

    /// Fetches a file with a token; hands over the response of a success.
    pub(crate) async fn fetch(
        &self,
        address: &str,
        token: &Secret,
        max_bytes: u64,
    ) -> Result<Response<Bytes>, Failure> {
        let uri: Uri = address
            .parse()
            .map_err(|_| Failure::Unreadable { status: 200 })?;
        let mut request = Request::new(HttpBody::empty());
        *request.uri_mut() = uri;
        authorize(&mut request, Credentials::Token(token));
        let request = HttpRequest::new(request)
            .deadline(UPLOAD_DEADLINE + Duration::from_secs(max_bytes / SLOWEST))
            .max_response(usize::try_from(max_bytes).unwrap_or(usize::MAX));
        // What is not on the configured server comes from outside.
        let request = if self.is_own(address) {
            request
        } else {
            request.guarded()
        };
        let response = self.exchange(request).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(failed(&response))
        }
    }

    /// Whether an address is on the server that was configured.
    fn is_own(&self, address: &str) -> bool {
        crate::address::origin(address)
            .is_some_and(|origin| crate::address::origin(&self.base) == Some(origin))
    }

    async fn exchange(&self, mut request: HttpRequest) -> Result<Response<Bytes>, Failure> {
        let length = request.request.body().len();
        if length > SLOWEST {
            request.deadline = UPLOAD_DEADLINE + Duration::from_secs(length / SLOWEST);
        }
        // The transport keeps the deadline; should it fail to, the clock decides.
        let limit = request.deadline + GRACE;
        let answer = self.transport.http.execute(request);
        match timeout(&*self.transport.clock, limit, answer).await {
            Ok(answer) => answer.map_err(Failure::Http),
            Err(_) => Err(Failure::Http(HttpError::sent(HttpErrorKind::Timeout))),
        }
    }
}

fn post(uri: Uri, credentials: Credentials<'_>, payload: Payload) -> Request<HttpBody> {
    let mut request = Request::new(HttpBody::from(payload.body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(payload.content_type));
    authorize(&mut request, credentials);
    request
}

fn authorize(request: &mut Request<HttpBody>, credentials: Credentials<'_>) {
    let value = match credentials {
        Credentials::None => return,
        Credentials::Token(token) => format!("Bearer {}", token.expose()),
        Credentials::Basic(pair) => format!("Basic {}", pair.expose()),
    };
    // Tokens are checked when they are configured; one that is no header value goes unsent.
    if let Ok(mut value) = HeaderValue::from_str(&value) {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
}

fn failed(response: &Response<Bytes>) -> Failure {
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    Failure::of_response(response.status().as_u16(), wait, response.body())
}
