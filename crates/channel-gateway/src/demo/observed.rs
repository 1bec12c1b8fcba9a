//! A channel around a channel: writes down each call with what it put on the wire.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Action, Actions, Body, Cards, Channel, ChannelId, ChannelInfo, ChatId, Clock, Commands, Delete,
    Destination, Edit, Error, ErrorKind, Events, History, Identity, Media, MessageId, MessageRef,
    OutboundMessage, Parts, React, Receipt, ReplyStream, Result, SocketServer, Stream, Typing,
    Webhook, async_trait,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::platforms::Emulated;
use super::recorder::{Call, Recorder, words};
use super::wire::{EXCHANGES, collecting, milliseconds};

/// Keeps every ability of the inner channel.
#[derive(Debug)]
pub(crate) struct Observed {
    inner: Arc<dyn Channel>,
    pen: Pen,
}

/// Writes the calls of one channel down.
#[derive(Debug, Clone)]
struct Pen {
    channel: ChannelId,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    /// Who tells of frames.
    platform: Option<Arc<dyn Emulated>>,
}

impl Observed {
    pub(crate) fn new(
        inner: Arc<dyn Channel>,
        platform: Option<Arc<dyn Emulated>>,
        recorder: Recorder,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let channel = inner.info().id.clone();
        Self {
            inner,
            pen: Pen {
                channel,
                recorder,
                clock,
                platform,
            },
        }
    }
}

/// An ability that the inner channel is known to have: nobody gets at it otherwise.
fn able<T: ?Sized>(ability: Option<&T>) -> Result<&T> {
    ability.ok_or_else(|| Error::new(ErrorKind::Unsupported, "the channel cannot do this"))
}

impl Pen {
    async fn call<T>(
        &self,
        chat: &ChatId,
        operation: &'static str,
        asked: Value,
        call: impl Future<Output = Result<T>>,
        messages: impl FnOnce(&T) -> Vec<MessageId>,
    ) -> Result<T> {
        let began = self.clock.elapsed();
        let frames = |after| self.platform.as_ref().map(|it| it.frames(after));
        let before = frames(u64::MAX).map_or(0, |(last, _)| last);
        let (result, mut exchanges) = collecting(call).await;
        if let Some((_, frames)) = frames(before)
            && exchanges.is_empty()
        {
            exchanges = frames;
            exchanges.truncate(EXCHANGES);
        }
        // A preview that came too early left nothing on the wire, and is no news.
        if operation == PREVIEW && exchanges.is_empty() {
            return result;
        }
        let took = self.clock.elapsed().saturating_sub(began);
        let call = Call {
            operation,
            at_ms: 0.0,
            took_ms: milliseconds(took),
            asked,
            messages: result.as_ref().map(messages).unwrap_or_default(),
            error: result.as_ref().err().map(words),
            exchanges,
        };
        self.recorder.called(&self.channel, chat, call);
        result
    }
}

const PREVIEW: &str = "preview";

fn ids(receipt: &Receipt) -> Vec<MessageId> {
    receipt.messages.iter().map(|at| at.id.clone()).collect()
}

fn none<T>(_: &T) -> Vec<MessageId> {
    Vec::new()
}

fn tree(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A message for people: bytes of files are only counted.
fn shown(message: &OutboundMessage) -> Value {
    let mut message = message.clone();
    let files: Vec<Value> = message
        .attachments
        .iter()
        .map(|upload| json!({"name": upload.name, "kind": upload.kind, "bytes": upload.bytes()}))
        .collect();
    message.attachments.clear();
    let mut value = tree(&message);
    if let Some(fields) = value.as_object_mut()
        && !files.is_empty()
    {
        fields.insert("attachments".to_owned(), files.into());
    }
    value
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Channel for Observed {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        let (chat, call) = (&message.to.target().chat, self.inner.send(message));
        let receipt = self.pen.call(chat, "send", shown(message), call, ids);
        let receipt = receipt.await?;
        self.pen
            .recorder
            .keep_files(&self.pen.channel, message, &ids(&receipt));
        Ok(receipt)
    }
    async fn probe(&self) -> Result<Identity> {
        self.inner.probe().await
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        self.inner.as_webhook()
    }
    fn as_events(&self) -> Option<&dyn Events> {
        self.inner.as_events()
    }
    fn as_socket_server(&self) -> Option<&dyn SocketServer> {
        self.inner.as_socket_server()
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        self.inner.as_edit().map(|_| self as &dyn Edit)
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        self.inner.as_delete().map(|_| self as &dyn Delete)
    }
    fn as_react(&self) -> Option<&dyn React> {
        self.inner.as_react().map(|_| self as &dyn React)
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        self.inner.as_typing().map(|_| self as &dyn Typing)
    }
    fn as_media(&self) -> Option<&dyn Media> {
        self.inner.as_media()
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        self.inner.as_stream().map(|_| self as &dyn Stream)
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        self.inner.as_actions().map(|_| self as &dyn Actions)
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        self.inner.as_commands()
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        // The wire view shows whole messages, so they are sent whole.
        None
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        self.inner.as_cards()
    }
    fn as_history(&self) -> Option<&dyn History> {
        self.inner.as_history()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Edit for Observed {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        let asked = json!({"message": target, "to": shown(message)});
        let call = able(self.inner.as_edit())?.edit(target, message);
        self.pen.call(&target.chat, "edit", asked, call, none).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Delete for Observed {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        let call = able(self.inner.as_delete())?.delete(target);
        self.pen
            .call(&target.chat, "delete", tree(target), call, none)
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl React for Observed {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        let asked = json!({"message": target, "emoji": emoji});
        let call = able(self.inner.as_react())?.react(target, emoji);
        self.pen
            .call(&target.chat, "react", asked, call, none)
            .await
    }
    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        let asked = json!({"message": target, "emoji": emoji});
        let call = able(self.inner.as_react())?.unreact(target, emoji);
        self.pen
            .call(&target.chat, "unreact", asked, call, none)
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Typing for Observed {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        let call = able(self.inner.as_typing())?.start_typing(to);
        self.pen
            .call(&to.target().chat, "typing", tree(to), call, none)
            .await
    }
    fn lasts(&self) -> Duration {
        self.inner.as_typing().map_or(Duration::MAX, Typing::lasts)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Actions for Observed {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        let asked = json!({"action": action.id, "notice": notice});
        let call = able(self.inner.as_actions())?.answer_action(action, notice);
        self.pen
            .call(&action.chat.id, "answer action", asked, call, none)
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Stream for Observed {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        let inner = able(self.inner.as_stream())?.stream(to).await?;
        Ok(self.observed(inner, to))
    }
    async fn resume(
        &self,
        to: &Destination,
        shown: &Receipt,
    ) -> Result<Option<Box<dyn ReplyStream>>> {
        let inner = able(self.inner.as_stream())?.resume(to, shown).await?;
        Ok(inner.map(|inner| self.observed(inner, to)))
    }
}

impl Observed {
    fn observed(&self, inner: Box<dyn ReplyStream>, to: &Destination) -> Box<dyn ReplyStream> {
        Box::new(ObservedStream {
            inner,
            pen: self.pen.clone(),
            chat: to.target().chat.clone(),
        })
    }
}

/// A growing reply around a growing reply.
struct ObservedStream {
    inner: Box<dyn ReplyStream>,
    pen: Pen,
    chat: ChatId,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ReplyStream for ObservedStream {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let call = self.inner.show(body);
        self.pen
            .call(&self.chat, PREVIEW, tree(body), call, none)
            .await
    }
    fn shown(&self) -> Option<Receipt> {
        self.inner.shown()
    }
    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let asked = shown(&message);
        let call = self.inner.finish(message);
        self.pen
            .call(&self.chat, "finish stream", asked, call, ids)
            .await
    }
}
