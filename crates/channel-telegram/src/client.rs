//! Calls of the Bot API.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{Error, HttpBody, HttpRequest, Multipart, Result, Secret, Transport, timeout};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::PLATFORM;
use crate::error::Failure;

macro_rules! methods {
    ($($name:ident = $wire:literal, $operation:literal, $repeatable:literal;)*) => {
        /// The methods that the adapter calls
        /// (<https://core.telegram.org/bots/api#available-methods>).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Method { $($name,)* }

        impl Method {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// Whether every server knows it, so that "not found" means the token.
            pub(crate) const fn is_basic(self) -> bool {
                matches!(
                    self,
                    Self::GetMe
                        | Self::GetUpdates
                        | Self::SetWebhook
                        | Self::DeleteWebhook
                        | Self::SendMessage
                )
            }

            const fn wire_name(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// What it does, for errors and logs.
            pub(crate) const fn operation(self) -> &'static str {
                match self { $(Self::$name => $operation,)* }
            }

            /// Whether it is about a message that is named by its number in the chat.
            pub(crate) const fn names_message(self) -> bool {
                matches!(
                    self,
                    Self::SetMessageReaction
                        | Self::DeleteMessage
                        | Self::EditMessageText
                        | Self::EditMessageCaption
                        | Self::EditMessageReplyMarkup
                )
            }

            /// Whether calling it twice has no second effect.
            pub(crate) const fn is_repeatable(self) -> bool {
                match self { $(Self::$name => $repeatable,)* }
            }
        }
    };
}

methods! {
    GetMe = "getMe", "get identity", true;
    GetUpdates = "getUpdates", "poll", true;
    SetWebhook = "setWebhook", "set webhook", true;
    DeleteWebhook = "deleteWebhook", "delete webhook", true;
    SetMyCommands = "setMyCommands", "publish commands", true;
    GetFile = "getFile", "download", true;
    SendChatAction = "sendChatAction", "start typing", true;
    SetMessageReaction = "setMessageReaction", "react", true;
    AnswerCallbackQuery = "answerCallbackQuery", "answer action", true;
    DeleteMessage = "deleteMessage", "delete message", true;
    EditMessageText = "editMessageText", "edit message", true;
    EditMessageCaption = "editMessageCaption", "edit message", true;
    EditMessageReplyMarkup = "editMessageReplyMarkup", "edit message", true;
    SendMessageDraft = "sendMessageDraft", "show draft", true;
    SendMessage = "sendMessage", "send message", false;
    SendPhoto = "sendPhoto", "send image", false;
    SendAudio = "sendAudio", "send audio", false;
    SendVoice = "sendVoice", "send voice", false;
    SendVideo = "sendVideo", "send video", false;
    SendAnimation = "sendAnimation", "send animation", false;
    SendSticker = "sendSticker", "send sticker", false;
    SendDocument = "sendDocument", "send file", false;
    SendMediaGroup = "sendMediaGroup", "send album", false;
    AnswerGuestQuery = "answerGuestQuery", "answer guest query", false;
}

/// How long a request may take that carries a file, besides what its size needs.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(60);
/// The slowest upload that is waited for, in bytes a second.
const SLOWEST_UPLOAD: u64 = 64 * 1024;
/// How much later than the transport the adapter itself gives up on a request.
const GRACE: Duration = Duration::from_secs(5);

/// Sends requests with the token in their address.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    /// Built once: parsing an address costs more than writing a short message.
    addresses: Vec<Uri>,
    files: Secret,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The addresses hold the token.
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The fields of a request: an object, as JSON.
pub(crate) fn json(fields: &impl Serialize) -> Vec<u8> {
    // Plain structs of texts and numbers always serialise.
    serde_json::to_vec(fields).unwrap_or_else(|_| b"{}".to_vec())
}

/// A request body and what it is.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) content_type: HeaderValue,
    pub(crate) body: HttpBody,
}

impl Payload {
    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self {
            content_type: HeaderValue::from_static("application/json"),
            body: body.into(),
        }
    }

    pub(crate) fn form(form: Multipart) -> Self {
        let (content_type, body) = form.finish();
        Self {
            content_type: HeaderValue::from_str(&content_type)
                .unwrap_or(HeaderValue::from_static("multipart/form-data")),
            body,
        }
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    ok: bool,
    result: Option<T>,
}

impl Client {
    /// Prepares the address of each method.
    pub(crate) fn new(transport: Transport, base: &str, token: &Secret) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let token = token.expose();
        let addresses = Method::ALL
            .iter()
            .map(|method| {
                format!("{base}/bot{token}/{}", method.wire_name())
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
            files: Secret::new(format!("{base}/file/bot{token}/")),
        })
    }

    fn request(&self, method: Method, payload: Payload) -> Request<HttpBody> {
        let mut request = Request::new(payload.body);
        *request.method_mut() = http::Method::POST;
        if let Some(uri) = self.addresses.get(method as usize) {
            *request.uri_mut() = uri.clone();
        }
        request
            .headers_mut()
            .insert(CONTENT_TYPE, payload.content_type);
        request
    }

    /// Calls a method and hands over the response, whatever it says.
    async fn exchange(&self, request: HttpRequest) -> Result<Response<Bytes>, Failure> {
        // The transport keeps the deadline; should it fail to, the clock decides.
        let limit = request.deadline + GRACE;
        let answer = self.transport.http.execute(request);
        match timeout(&*self.transport.clock, limit, answer).await {
            Ok(answer) => answer.map_err(Failure::Http),
            Err(_) => Err(Failure::Http(channel_core::HttpError::sent(
                channel_core::HttpErrorKind::Timeout,
            ))),
        }
    }

    /// Calls a method and decodes its result.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        payload: Payload,
    ) -> Result<T, Failure> {
        let length = payload.body.len();
        let mut request = HttpRequest::new(self.request(method, payload));
        if length > SLOWEST_UPLOAD {
            request =
                request.deadline(UPLOAD_DEADLINE + Duration::from_secs(length / SLOWEST_UPLOAD));
        }
        let response = self.exchange(request).await?;
        let status = response.status().as_u16();
        if !response.status().is_success() {
            return Err(Failure::of_response(status, response.body()));
        }
        match serde_json::from_slice::<Envelope<T>>(response.body()) {
            Ok(Envelope {
                ok: true,
                result: Some(result),
            }) => Ok(result),
            // Some servers answer 200 and say no in the body.
            _ => Err(Failure::of_response(status, response.body())),
        }
    }

    /// Asks for updates; hands over the body of a success.
    pub(crate) async fn poll(
        &self,
        body: Vec<u8>,
        wait: Duration,
        max_response: usize,
    ) -> Result<Bytes, Failure> {
        let request = HttpRequest::new(self.request(Method::GetUpdates, Payload::json(body)))
            .deadline(wait + Duration::from_secs(10))
            .max_response(max_response);
        let response = self.exchange(request).await?;
        if response.status().is_success() {
            Ok(response.into_body())
        } else {
            Err(Failure::of_response(
                response.status().as_u16(),
                response.body(),
            ))
        }
    }

    /// Fetches a file of the path that `getFile` has told.
    pub(crate) async fn file(&self, path: &str, max_bytes: usize) -> Result<Bytes, Failure> {
        let uri: Uri = format!("{}{path}", self.files.expose())
            .parse()
            .map_err(|_| Failure::Unreadable { status: 200 })?;
        let mut request = Request::new(HttpBody::empty());
        *request.uri_mut() = uri;
        let seconds = max_bytes as u64 / SLOWEST_UPLOAD;
        let request = HttpRequest::new(request)
            .deadline(UPLOAD_DEADLINE + Duration::from_secs(seconds))
            .max_response(max_bytes);
        let response = self.exchange(request).await?;
        if response.status().is_success() {
            Ok(response.into_body())
        } else {
            Err(Failure::of_response(
                response.status().as_u16(),
                response.body(),
            ))
        }
    }
}
