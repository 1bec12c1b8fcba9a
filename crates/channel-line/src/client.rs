//! Calls of the Messaging API (<https://developers.line.biz/en/reference/messaging-api/>).

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Error, HttpBody, HttpError, HttpErrorKind, HttpRequest, MessageId, Result, Secret, Transport,
    timeout,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Failure;
use crate::retry_key::RetryKey;

/// <https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>
const RETRY_KEY: HeaderName = HeaderName::from_static("x-line-retry-key");
/// What LINE's support wants to know of a call.
const REQUEST_ID: &str = "x-line-request-id";
/// How long a call may take; sending is tried again, so it gives up early.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a download may take, besides what its size needs.
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(60);
/// The slowest download that is waited for, in bytes a second.
const SLOWEST: u64 = 64 * 1024;
/// The longest that is waited for the size of a download, in seconds.
const LONGEST_DOWNLOAD: u64 = 3600;
/// What a refusal may take to read, in bytes, however small a wanted file is.
const REFUSAL: u64 = 16 << 10;
/// How much later than the transport the adapter itself gives up on a request.
const GRACE: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const ANSWER: usize = 1 << 20;

/// Sends requests with the channel access token.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    /// Parsed once: an address costs more than a short message.
    reply: Uri,
    push: Uri,
    api: String,
    data: String,
    bearer: HeaderValue,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The messages that a call has made.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    #[serde(default)]
    pub(crate) sent_messages: Vec<SentMessage>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SentMessage {
    pub(crate) id: MessageId,
}

/// What is sent, whichever way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) messages: &'a [Value],
    pub(crate) silent: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SendFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    messages: &'a [Value],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    notification_disabled: bool,
}

fn json(fields: &impl Serialize) -> HttpBody {
    // Plain structs of texts and numbers always serialise.
    let body = serde_json::to_vec(fields).unwrap_or_else(|_| b"{}".to_vec());
    body.into()
}

fn address(base: &str, path: &str) -> Result<Uri> {
    // The parser's own words may repeat the address.
    let wrong = || Error::config("api_base and data_api_base have to be addresses");
    let uri: Uri = format!("{base}{path}").parse().map_err(|_| wrong())?;
    Ok(uri)
}

impl Client {
    /// Prepares addresses and the token.
    pub(crate) fn new(transport: Transport, api: &str, data: &str, token: &Secret) -> Result<Self> {
        let (api, data) = (api.trim_end_matches('/'), data.trim_end_matches('/'));
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| Error::config("channel_access_token may not hold that character"))?;
        bearer.set_sensitive(true);
        address(data, "/")?;
        Ok(Self {
            transport,
            reply: address(api, "/v2/bot/message/reply")?,
            push: address(api, "/v2/bot/message/push")?,
            api: api.to_owned(),
            data: data.to_owned(),
            bearer,
        })
    }

    fn request(&self, method: Method, uri: Uri, body: HttpBody) -> Request<HttpBody> {
        let has_body = !body.is_empty();
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.bearer.clone());
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }

    /// Makes a call and hands over the response, whatever it says.
    async fn exchange(&self, request: HttpRequest) -> Result<Response<Bytes>, Failure> {
        // The transport keeps the deadline; should it fail to, the clock decides.
        let limit = request.deadline + GRACE;
        let answer = self.transport.http.execute(request);
        let response = match timeout(&*self.transport.clock, limit, answer).await {
            Ok(answer) => answer.map_err(Failure::Http)?,
            Err(_) => return Err(Failure::Http(HttpError::sent(HttpErrorKind::Timeout))),
        };
        if !response.status().is_success() {
            let id = response.headers().get(REQUEST_ID);
            let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
            tracing::debug!(
                status = response.status().as_u16(),
                request = id.get(..64).unwrap_or(id),
                "line refused a call"
            );
        }
        Ok(response)
    }

    /// Answers with a reply token
    /// (<https://developers.line.biz/en/reference/messaging-api/#send-reply-message>).
    pub(crate) async fn reply(&self, token: &str, out: Outgoing<'_>) -> Result<Sent, Failure> {
        let body = json(&SendFields {
            reply_token: Some(token),
            to: None,
            messages: out.messages,
            notification_disabled: out.silent,
        });
        let request = self.request(Method::POST, self.reply.clone(), body);
        self.send(request, false).await
    }

    /// Sends without being asked, with a key from the first attempt on: one that came only
    /// with the second would protect nothing
    /// (<https://developers.line.biz/en/reference/messaging-api/#send-push-message>).
    pub(crate) async fn push(
        &self,
        to: &str,
        out: Outgoing<'_>,
        key: RetryKey,
    ) -> Result<Sent, Failure> {
        let body = json(&SendFields {
            reply_token: None,
            to: Some(to),
            messages: out.messages,
            notification_disabled: out.silent,
        });
        let mut request = self.request(Method::POST, self.push.clone(), body);
        if let Ok(key) = HeaderValue::from_str(&key.to_string()) {
            request.headers_mut().insert(RETRY_KEY, key);
        }
        self.send(request, true).await
    }

    async fn send(&self, request: Request<HttpBody>, keyed: bool) -> Result<Sent, Failure> {
        let request = HttpRequest::new(request)
            .deadline(DEADLINE)
            .max_response(ANSWER);
        let response = self.exchange(request).await?;
        let status = response.status();
        if status == StatusCode::CONFLICT && keyed {
            // An attempt under this key was accepted: the message was sent.
            return Ok(serde_json::from_slice(response.body()).unwrap_or_default());
        }
        if !status.is_success() {
            return Err(Failure::of_response(&response));
        }
        read(&response)
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let uri = self.uri(&self.api, path)?;
        let request = self.request(Method::GET, uri, HttpBody::empty());
        self.ask(request).await
    }

    /// Tells something; the answer is not read.
    pub(crate) async fn tell(
        &self,
        method: Method,
        path: &str,
        fields: &(impl Serialize + Sync),
    ) -> Result<(), Failure> {
        let uri = self.uri(&self.api, path)?;
        let request = HttpRequest::new(self.request(method, uri, json(fields)));
        let request = request.deadline(DEADLINE).max_response(ANSWER);
        let response = self.exchange(request).await?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(Failure::of_response(&response))
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<HttpBody>) -> Result<T, Failure> {
        let request = HttpRequest::new(request)
            .deadline(DEADLINE)
            .max_response(ANSWER);
        let response = self.exchange(request).await?;
        if !response.status().is_success() {
            return Err(Failure::of_response(&response));
        }
        read(&response)
    }

    /// Fetches the content of a message; `None` while LINE still prepares it
    /// (<https://developers.line.biz/en/reference/messaging-api/#get-content>).
    pub(crate) async fn content(&self, message: &str, max: u64) -> Result<Option<Bytes>, Failure> {
        let path = format!("/v2/bot/message/{message}/content");
        let uri = self.uri(&self.data, &path)?;
        let request = download(self.request(Method::GET, uri, HttpBody::empty()), max);
        let response = self.exchange(request).await?;
        match response.status() {
            StatusCode::ACCEPTED => Ok(None),
            status if status.is_success() => within(response, max).map(Some),
            _ => Err(Failure::of_response(&response)),
        }
    }

    /// How far LINE is with preparing a film or a recording
    /// (<https://developers.line.biz/en/reference/messaging-api/#verify-video-or-audio-preparation-status>).
    pub(crate) async fn transcoding(&self, message: &str) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Progress {
            status: String,
        }
        let path = format!("/v2/bot/message/{message}/content/transcoding");
        let uri = self.uri(&self.data, &path)?;
        let request = self.request(Method::GET, uri, HttpBody::empty());
        let progress: Progress = self.ask(request).await?;
        Ok(progress.status)
    }

    /// Fetches a file from somebody's own server: guarded, and without the token.
    pub(crate) async fn outside(&self, url: &str, max: u64) -> Result<Bytes, Failure> {
        let invalid = || Failure::Http(HttpError::unsent(HttpErrorKind::Invalid));
        let mut request = Request::new(HttpBody::empty());
        *request.uri_mut() = url.parse().map_err(|_| invalid())?;
        let response = self.exchange(download(request, max).guarded()).await?;
        if response.status().is_success() {
            within(response, max)
        } else {
            Err(Failure::of_response(&response))
        }
    }

    fn uri(&self, base: &str, path: &str) -> Result<Uri, Failure> {
        // Every part of a path is checked before; this is a second look.
        let invalid = |_| Failure::Http(HttpError::unsent(HttpErrorKind::Invalid));
        format!("{base}{path}").parse().map_err(invalid)
    }
}

fn download(request: Request<HttpBody>, max: u64) -> HttpRequest {
    HttpRequest::new(request)
        .deadline(DOWNLOAD_DEADLINE + Duration::from_secs((max / SLOWEST).min(LONGEST_DOWNLOAD)))
        .max_response(usize::try_from(max.max(REFUSAL)).unwrap_or(usize::MAX))
}

/// The body of a response, if it is as small as it has to be.
fn within(response: Response<Bytes>, max: u64) -> Result<Bytes, Failure> {
    let body = response.into_body();
    if body.len() as u64 > max {
        return Err(Failure::Http(HttpError::sent(HttpErrorKind::TooLarge)));
    }
    Ok(body)
}

fn read<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, Failure> {
    let status = response.status().as_u16();
    serde_json::from_slice(response.body()).map_err(|_| Failure::Unreadable { status })
}
