//! The channel's abilities, one line each.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Channel, ChannelInfo, Delete, Destination, Edit, Error, ErrorKind,
    Events, HttpBody, HttpRequest, Identity, Media, MessageRef, OutboundMessage, Parts, React,
    Receipt, ReplyStream, Result, SocketServer, Stream, Typing, Webhook, async_trait,
};

use crate::Standard;
use crate::message::{PLATFORM, media_id};
use crate::outbound::TYPING_SECONDS;
use crate::stream::Growing;

#[async_trait]
impl Channel for Standard {
    fn info(&self) -> &ChannelInfo {
        &self.0.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        self.post(&message.without_card())
    }
    async fn probe(&self) -> Result<Identity> {
        let config = &self.0.config;
        Ok(Identity::new(&config.bot_id, &config.bot_name).with_username(&config.bot_name))
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        Some(self)
    }
    fn as_events(&self) -> Option<&dyn Events> {
        Some(self)
    }
    fn as_socket_server(&self) -> Option<&dyn SocketServer> {
        Some(self)
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        Some(self)
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        Some(self)
    }
    fn as_react(&self) -> Option<&dyn React> {
        Some(self)
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        Some(self)
    }
    fn as_media(&self) -> Option<&dyn Media> {
        Some(self)
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        Some(self)
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        Some(self)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
}

#[async_trait]
impl Parts for Standard {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        Ok(self.count_parts(message))
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        self.post_part(message, part)
    }
}

#[async_trait]
impl Edit for Standard {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        self.change(target, &message.without_card())
    }
}

#[async_trait]
impl Delete for Standard {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        self.remove(target)
    }
}

#[async_trait]
impl React for Standard {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        self.publish_reaction(target, emoji, false)
    }
    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        self.publish_reaction(target, emoji, true)
    }
}

#[async_trait]
impl Typing for Standard {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        self.show_typing(to)
    }
    fn lasts(&self) -> Duration {
        Duration::from_secs(TYPING_SECONDS)
    }
}

#[async_trait]
impl Stream for Standard {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        Ok(Box::new(Growing::new(self.clone(), to)?))
    }
}

#[async_trait]
impl Actions for Standard {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        self.answer(action, notice)
    }
}

#[async_trait]
impl Media for Standard {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        let fail =
            |kind, message: &'static str| Error::new(kind, message).on(PLATFORM, "download file");
        let too_large = || fail(ErrorKind::Invalid, "the file is larger than allowed");
        let gone = || fail(ErrorKind::NotFound, "the file is no longer kept");
        if let Some(id) = media_id(&attachment.id) {
            let mut hub = self.0.hub();
            let size = hub.media.size(id).ok_or_else(gone)?;
            if size as u64 > max_bytes {
                return Err(too_large());
            }
            let now = hub.now;
            let blob = hub.media.get(id, now).ok_or_else(gone)?;
            return Ok(blob.bytes);
        }
        let request = http::Request::get(attachment.id.as_str())
            .body(HttpBody::empty())
            .map_err(|_| fail(ErrorKind::Invalid, "the file has no valid address"))?;
        let limit = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        // The address is the client's: only the guard may decide where it leads.
        let request = HttpRequest::new(request).max_response(limit).guarded();
        let response = self
            .0
            .transport
            .http
            .execute(request)
            .await
            .map_err(|error| error.into_error(true).on(PLATFORM, "download file"))?;
        match response.status().as_u16() {
            200 if response.body().len() <= limit => Ok(response.into_body()),
            200 => Err(too_large()),
            404 | 410 => Err(gone()),
            401 | 403 => Err(fail(ErrorKind::Forbidden, "the server refuses the file")),
            429 | 500.. => Err(fail(ErrorKind::Unavailable, "the server has no file now")),
            _ => Err(fail(
                ErrorKind::NotFound,
                "the server does not have the file",
            )),
        }
    }
}
