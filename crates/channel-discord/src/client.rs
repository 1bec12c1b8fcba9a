//! Calls of the HTTP API (<https://docs.discord.com/developers/reference>).

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Error, HttpBody, HttpError, HttpErrorKind, HttpRequest, Multipart, Random, Result, Secret,
    Transport, timeout,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use serde::Serialize;

use crate::PLATFORM;
use crate::error::Failure;
use crate::limits;

/// Who we are; Discord refuses requests without it
/// (<https://docs.discord.com/developers/reference#user-agent>).
const AGENT: &str = concat!(
    "DiscordBot (https://github.com/channel-kit/channel-kit, ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

macro_rules! operations {
    ($($name:ident = $operation:literal, $repeatable:literal;)*) => {
        /// What the adapter does over HTTP.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Op { $($name,)* }

        impl Op {
            /// What it does, for errors and logs.
            pub(crate) const fn operation(self) -> &'static str {
                match self { $(Self::$name => $operation,)* }
            }

            /// Whether calling it twice has no second effect.
            pub(crate) const fn is_repeatable(self) -> bool {
                match self { $(Self::$name => $repeatable,)* }
            }
        }
    };
}

operations! {
    Me = "get identity", true;
    Application = "get identity", true;
    Gateway = "open gateway", true;
    CreateMessage = "send message", false;
    EditMessage = "edit message", true;
    DeleteMessage = "delete message", true;
    React = "react", true;
    Unreact = "take reaction back", true;
    Typing = "show typing", true;
    Messages = "read history", true;
    OpenDirect = "open chat", true;
    StartThread = "start thread", false;
    Unarchive = "open thread", true;
    PutCommands = "publish commands", true;
    Callback = "answer interaction", false;
    Modal = "open dialog", false;
    EditOriginal = "send message", true;
    FollowUp = "send message", false;
    EditFollowUp = "edit message", true;
    DeleteFollowUp = "delete message", true;
    Download = "download", true;
}

/// How long a request may take that carries a file, besides what its size needs.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(60);
/// The slowest transfer that is waited for, in bytes a second.
const SLOWEST: u64 = 64 * 1024;
/// How much later than the transport the adapter itself gives up on a request.
const GRACE: Duration = Duration::from_secs(5);

/// What a call sends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    content_type: Option<HeaderValue>,
    body: HttpBody,
}

impl Payload {
    /// The fields as JSON.
    pub(crate) fn json(fields: &impl Serialize) -> Self {
        Self {
            content_type: Some(HeaderValue::from_static("application/json")),
            body: json(fields).into(),
        }
    }

    /// The fields as JSON, and files beside them
    /// (<https://docs.discord.com/developers/reference#uploading-files>).
    pub(crate) fn form(
        fields: &impl Serialize,
        files: &[(&str, &str, Bytes)],
        random: &dyn Random,
    ) -> Self {
        let mut form = Multipart::new(random).file(
            "payload_json",
            "payload.json",
            "application/json",
            json(fields).into(),
        );
        for (index, (name, mime, bytes)) in files.iter().enumerate() {
            form = form.file(&format!("files[{index}]"), name, mime, bytes.clone());
        }
        let (content_type, body) = form.finish();
        Self {
            content_type: HeaderValue::from_str(&content_type).ok(),
            body,
        }
    }
}

fn json(fields: &impl Serialize) -> Vec<u8> {
    // Plain structs of texts and numbers always serialise.
    serde_json::to_vec(fields).unwrap_or_else(|_| b"{}".to_vec())
}

/// One call: where, what, and which limit it counts against.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) method: Method,
    /// Below the API's address; made of checked ids only.
    pub(crate) path: String,
    pub(crate) payload: Payload,
    /// Whether the bot's token goes with it.
    pub(crate) is_authorized: bool,
    /// The resource that a limit is counted for beside the kind of call: a channel, a
    /// webhook.
    pub(crate) major: String,
    /// Whether Discord recognises a repetition, by a nonce.
    pub(crate) is_keyed: bool,
}

impl Call {
    pub(crate) fn new(op: Op, method: Method, path: impl Into<String>) -> Self {
        Self {
            op,
            method,
            path: path.into(),
            payload: Payload::default(),
            is_authorized: true,
            major: String::new(),
            is_keyed: false,
        }
    }

    /// A call about a channel: `rest` follows its address.
    pub(crate) fn of_channel(op: Op, method: Method, channel: &str, rest: &str) -> Self {
        let mut call = Self::new(op, method, format!("/channels/{channel}{rest}"));
        channel.clone_into(&mut call.major);
        call
    }

    /// A call by the token of an interaction, which needs no other.
    pub(crate) fn of_token(op: Op, method: Method, path: String, token: &str) -> Self {
        let mut call = Self::new(op, method, path);
        call.is_authorized = false;
        token.clone_into(&mut call.major);
        call
    }

    pub(crate) fn with(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Says that a repetition has no second effect, by the nonce that it carries.
    pub(crate) const fn keyed(mut self) -> Self {
        self.is_keyed = true;
        self
    }

    /// Whether it counts against the limit of all calls
    /// (<https://docs.discord.com/developers/topics/rate-limits#global-rate-limit>).
    pub(crate) const fn is_global(&self) -> bool {
        self.is_authorized
    }
}

/// Sends requests.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    /// The API without a slash at its end, such as `https://discord.com/api/v10`.
    pub(crate) base: String,
    authorization: Option<HeaderValue>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(transport: Transport, base: &str, token: Option<&Secret>) -> Result<Self> {
        let authorization = token
            .map(|token| HeaderValue::from_str(&format!("Bot {}", token.expose())))
            .transpose()
            .map_err(|_| Error::config("bot_token is no token").on(PLATFORM, "configure"))?
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        Ok(Self {
            transport,
            base: base.trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// Makes a call; hands over the response whatever it says.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response<Bytes>, Failure> {
        let address = format!("{}{}", self.base, call.path);
        let uri: Uri = address
            .parse()
            .map_err(|_| Failure::Http(HttpError::unsent(HttpErrorKind::Invalid)))?;
        let mut request = Request::new(call.payload.body.clone());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(content_type) = &call.payload.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        if call.is_authorized {
            let missing =
                || Error::config("bot_token is missing").on(PLATFORM, call.op.operation());
            let token = self.authorization.clone();
            headers.insert(
                AUTHORIZATION,
                token.ok_or_else(missing).map_err(Failure::Ours)?,
            );
        }
        let mut request = HttpRequest::new(request);
        if matches!(call.op, Op::Callback | Op::Modal) {
            // Later nobody wants to hear it.
            request.deadline = limits::FIRST_ANSWER;
        }
        self.exchange(request).await
    }

    /// Fetches a file from an address that came from outside, without credentials.
    pub(crate) async fn fetch(&self, address: &str, max_bytes: u64) -> Result<Bytes, Failure> {
        let uri: Uri = address
            .parse()
            .map_err(|_| Failure::Http(HttpError::unsent(HttpErrorKind::Invalid)))?;
        let mut request = Request::new(HttpBody::empty());
        *request.uri_mut() = uri;
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let request = HttpRequest::new(request)
            .deadline(UPLOAD_DEADLINE + Duration::from_secs(max_bytes / SLOWEST))
            .max_response(usize::try_from(max_bytes).unwrap_or(usize::MAX));
        let own = crate::address::origin(&self.base);
        let request = if own.is_some() && crate::address::origin(address) == own {
            request
        } else {
            request.guarded()
        };
        let response = self.exchange(request).await?;
        if response.status().is_success() {
            Ok(response.into_body())
        } else {
            Err(Failure::of_response(&response))
        }
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
