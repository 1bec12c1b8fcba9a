//! An answer that grows: by Slack's own streams in threads, else by edits of one message.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Destination, ErrorKind, MessageRef, OutboundMessage, Receipt, ReplyStream, Result,
    async_trait,
};
use channel_text::{content_of, to_markdown};
use serde::Serialize;

use crate::address::Address;
use crate::change::{self, Done, is_gone, is_pointless};
use crate::client::{Method, Payload};
use crate::outbound::{self, Envelope, MIDWAY_PATIENCE, Posted};
use crate::plan::{self, Post};
use crate::shared::{Fault, Shared};
use crate::{limits, render};

/// How often the end of a stream is tried again while nothing has left.
const RETRIES: u32 = 3;

/// Opens a streamed reply.
pub(crate) fn open(shared: &Arc<Shared>, to: &Destination) -> Result<Box<dyn ReplyStream>> {
    Ok(Box::new(growing(shared, to)?))
}

fn growing(shared: &Arc<Shared>, to: &Destination) -> Result<Growing> {
    let envelope = Envelope::new(shared, to, Method::PostMessage)?;
    let knows_reader = envelope.context.user.is_some() && envelope.context.team.is_some();
    let can_stream = envelope.thread.is_some() && (envelope.at.is_direct() || knows_reader);
    let native = if shared.config.native_streams && can_stream {
        Native::Ready
    } else {
        Native::Off
    };
    Ok(Growing {
        // An answer to a slash command cannot be edited.
        blind: envelope.response().is_some(),
        shared: Arc::clone(shared),
        to: to.clone(),
        native,
        shown: Vec::new(),
        last: None,
    })
}

/// Goes on with messages that another stream has shown: what they show cannot be told.
pub(crate) fn resume(
    shared: &Arc<Shared>,
    to: &Destination,
    shown: &Receipt,
) -> Result<Box<dyn ReplyStream>> {
    let mut growing = growing(shared, to)?;
    growing.native = Native::Off;
    let unknown = |at: &MessageRef| Shown {
        at: at.clone(),
        post: None,
    };
    growing.shown = shown.messages.iter().map(unknown).collect();
    Ok(Box::new(growing))
}

struct Growing {
    shared: Arc<Shared>,
    to: Destination,
    native: Native,
    /// The messages that hold the answer so far: all but the last are full.
    shown: Vec<Shown>,
    last: Option<Duration>,
    /// A preview is, or may have become, a message that we cannot name. No further one is
    /// sent before the end, so that there is at most one of them.
    blind: bool,
}

/// The stream of Slack's own.
enum Native {
    /// Not here, or not any more.
    Off,
    /// With the first words.
    Ready,
    Open(Flow),
}

struct Flow {
    at: MessageRef,
    /// The Markdown that Slack has.
    text: String,
    since: Duration,
}

struct Shown {
    at: MessageRef,
    /// What it shows; `None` if that cannot be told.
    post: Option<Post>,
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let now = self.shared.elapsed();
        let pause = self.shared.info.limits.edit_pause_group;
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < pause)
        {
            return Ok(());
        }
        let posts: Vec<Post> = render::words(body).iter().map(Post::of).collect();
        if posts.is_empty() || self.blind {
            return Ok(());
        }
        self.last = Some(now);
        let is_one = posts.len() == 1;
        let shown = match self.flow(body, is_one).await {
            Ok(true) => Ok(()),
            Ok(false) => self.preview(posts).await,
            Err(fault) => Err(fault),
        };
        match shown {
            Err(fault) if is_pointless(&fault) => Err(fault.error),
            // The next preview, or the end, makes up for it.
            Err(fault) => {
                tracing::debug!(error = %fault.error, "preview skipped");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn shown(&self) -> Option<Receipt> {
        let mut receipt = self.receipt();
        if let Native::Open(flow) = &self.native {
            receipt.messages.push(flow.at.clone());
        }
        (!self.blind).then_some(receipt)
    }

    async fn finish(mut self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        if let Some(receipt) = self.finish_flow(&message).await {
            return Ok(receipt);
        }
        if self.shown.is_empty() {
            return outbound::send(&self.shared, &message).await;
        }
        let posts = plan::posts(&message)?;
        let count = posts.len() + message.attachments.len();
        let surplus = self.shown.split_off(posts.len().min(self.shown.len()));
        for (index, post) in posts.into_iter().enumerate() {
            if let Err(error) = self.settle(index, post).await {
                return Err(error.broken_off(self.receipt(), index, count));
            }
        }
        for shown in surplus {
            // A preview that is left over is ugly and no more.
            if let Err(error) = change::delete(&self.shared, &shown.at).await {
                tracing::debug!(%error, "a preview is left over");
            }
        }
        let mut receipt = self.receipt();
        if message.attachments.is_empty() {
            return Ok(receipt);
        }
        let mut files = OutboundMessage::new(message.to, "");
        files.attachments = message.attachments;
        match outbound::send(&self.shared, &files).await {
            Ok(sent) => {
                receipt.messages.extend(sent.messages);
                Ok(receipt)
            }
            Err(error) => {
                let sent = error.delivered().map(|sent| sent.messages.clone());
                receipt.messages.extend(sent.unwrap_or_default());
                Err(error.broken_off(receipt, count - 1, count))
            }
        }
    }
}

/// What Slack's streams take: Markdown. `None` if something in it could call somebody.
fn markdown(body: &Body) -> Option<String> {
    let text = match body {
        Body::Markdown(text) => text.clone(),
        _ => to_markdown(&content_of(body)),
    };
    let controls = ["<!", "<@", "<#"];
    let plain = text.replace('\\', "");
    (!controls.iter().any(|control| plain.contains(control))).then_some(text)
}

impl Growing {
    fn receipt(&self) -> Receipt {
        Receipt::new(self.shown.iter().map(|shown| shown.at.clone()).collect())
    }

    /// Goes on with Slack's own stream; says whether it did.
    async fn flow(&mut self, body: &Body, is_one: bool) -> Result<bool, Fault> {
        if matches!(self.native, Native::Off) {
            return Ok(false);
        }
        let now = self.shared.elapsed();
        let text = markdown(body).filter(|_| is_one);
        let (Native::Open(flow), Some(text)) = (&mut self.native, &text) else {
            return match text {
                Some(text) if text.len() <= limits::MARKDOWN => self.start(text, now).await,
                _ => {
                    self.roll_over(true).await;
                    Ok(false)
                }
            };
        };
        let delta = text.strip_prefix(flow.text.as_str());
        let is_young = now.saturating_sub(flow.since) < limits::STREAM_LASTS;
        let Some(delta) = delta.filter(|it| is_young && it.len() <= limits::MARKDOWN) else {
            self.roll_over(true).await;
            return Ok(false);
        };
        if delta.is_empty() {
            return Ok(true);
        }
        let fields = FlowFields::of(&flow.at, Some(delta));
        match call::<Done>(&self.shared, Method::AppendStream, &self.to, &fields, None).await {
            Ok(Done {}) => {
                flow.text.clone_from(text);
                Ok(true)
            }
            // It has not left: the next one carries it.
            Err(fault) if fault.error.kind() == ErrorKind::RateLimited => Ok(true),
            Err(fault) if is_pointless(&fault) => Err(fault),
            Err(fault) => {
                tracing::debug!(error = %fault.error, "the stream goes on by edits");
                self.roll_over(true).await;
                Ok(false)
            }
        }
    }

    async fn start(&mut self, text: String, now: Duration) -> Result<bool, Fault> {
        let method = Method::StartStream;
        let envelope = Envelope::new(&self.shared, &self.to, method)?;
        let fields = StartFields {
            channel: envelope.at.channel,
            thread_ts: envelope.thread,
            markdown_text: &text,
            recipient_user_id: envelope.context.user.as_deref(),
            recipient_team_id: envelope.context.team.as_deref(),
        };
        let payload = Payload::json(&fields);
        let started: Result<Posted, Fault> = self
            .shared
            .call_chat(method, envelope.at, payload, None)
            .await;
        match started {
            Ok(posted) => {
                let chat = Address::chat(envelope.at.workspace, &posted.channel);
                self.native = Native::Open(Flow {
                    at: MessageRef::new(chat, posted.ts.into()),
                    text,
                    since: now,
                });
                Ok(true)
            }
            Err(fault) => {
                self.native = Native::Off;
                if fault.error.kind() == ErrorKind::Uncertain {
                    self.blind = true;
                    return Err(fault);
                }
                tracing::debug!(error = %fault.error, "slack does not stream here");
                Ok(false)
            }
        }
    }

    /// Leaves Slack's stream; its message lives on and is edited from now on.
    async fn roll_over(&mut self, stop: bool) {
        let native = std::mem::replace(&mut self.native, Native::Off);
        let Native::Open(flow) = native else {
            return;
        };
        if stop {
            let fields = FlowFields::of(&flow.at, None);
            let patience = Some(self.shared.patience());
            let method = Method::StopStream;
            let done = call::<Done>(&self.shared, method, &self.to, &fields, patience).await;
            if let Err(fault) = done {
                tracing::debug!(error = %fault.error, "the stream was not stopped");
            }
        }
        self.shown.push(Shown {
            at: flow.at,
            post: None,
        });
    }

    /// Ends Slack's stream with the last words, if they are all that is to be said.
    async fn finish_flow(&mut self, message: &OutboundMessage) -> Option<Receipt> {
        let Native::Open(flow) = &self.native else {
            return None;
        };
        let is_plain = message.attachments.is_empty()
            && message.buttons.iter().all(Vec::is_empty)
            && message.card.is_none();
        let is_young = self.shared.elapsed().saturating_sub(flow.since) < limits::STREAM_LASTS;
        let is_one = render::words(&message.body).len() == 1;
        let text = markdown(&message.body).filter(|_| is_plain && is_young && is_one);
        let delta = text
            .as_deref()
            .and_then(|text| text.strip_prefix(flow.text.as_str()));
        let Some(delta) = delta.filter(|it| it.len() <= limits::MARKDOWN) else {
            self.roll_over(true).await;
            return None;
        };
        let fields = FlowFields::of(&flow.at, Some(delta).filter(|it| !it.is_empty()));
        let patience = Some(self.shared.patience().max(MIDWAY_PATIENCE));
        let method = Method::StopStream;
        match call::<Done>(&self.shared, method, &self.to, &fields, patience).await {
            Ok(Done {}) => Some(Receipt::new(vec![flow.at.clone()])),
            Err(fault) => {
                tracing::debug!(error = %fault.error, "the stream ends by an edit");
                self.roll_over(false).await;
                None
            }
        }
    }

    /// Shows what has changed since the last preview.
    async fn preview(&mut self, posts: Vec<Post>) -> Result<(), Fault> {
        for (index, post) in posts.into_iter().enumerate() {
            match self.shown.get_mut(index) {
                Some(shown) if shown.post.as_ref() == Some(&post) => {}
                Some(shown) => {
                    let edited = change::update(&self.shared, &shown.at, &post, None).await;
                    match edited {
                        Ok(()) => shown.post = Some(post),
                        Err(fault) => {
                            if fault.error.kind() == ErrorKind::Unavailable {
                                // It may show either version now.
                                shown.post = None;
                            }
                            return Err(fault);
                        }
                    }
                }
                None if self.blind => {}
                None => {
                    let envelope = Envelope::new(&self.shared, &self.to, Method::PostMessage)?;
                    let sent =
                        outbound::post_in_turn(&self.shared, &envelope, &post, None, None).await;
                    if let Err(fault) = &sent {
                        self.blind = fault.error.kind() == ErrorKind::Uncertain;
                    }
                    let at = sent?;
                    self.shown.push(Shown {
                        at,
                        post: Some(post),
                    });
                }
            }
        }
        Ok(())
    }

    /// Brings one message of the answer into its final state, patiently: the person sees
    /// half an answer until then.
    async fn settle(&mut self, index: usize, post: Post) -> Result<()> {
        let patience = self.shared.patience().max(MIDWAY_PATIENCE);
        let mut retries = 0;
        loop {
            let fault = match self.shown.get(index) {
                Some(shown) if shown.post.as_ref() == Some(&post) => return Ok(()),
                Some(shown) => {
                    match change::update(&self.shared, &shown.at, &post, Some(patience)).await {
                        Ok(()) => return Ok(()),
                        Err(fault) if is_gone(&fault) => {
                            let at = self.send(&post, patience).await?;
                            if let Some(shown) = self.shown.get_mut(index) {
                                shown.at = at;
                            }
                            return Ok(());
                        }
                        Err(fault) => fault,
                    }
                }
                None => match self.send(&post, patience).await {
                    Ok(at) => {
                        let post = Some(post);
                        self.shown.push(Shown { at, post });
                        return Ok(());
                    }
                    Err(fault) => fault,
                },
            };
            if fault.error.kind() != ErrorKind::Unavailable || retries >= RETRIES {
                return Err(fault.error);
            }
            retries += 1;
            let wait = Duration::from_millis(250) * 2_u32.saturating_pow(retries);
            self.shared.client.transport.clock.sleep(wait).await;
        }
    }

    async fn send(&self, post: &Post, patience: Duration) -> Result<MessageRef, Fault> {
        let envelope = Envelope::new(&self.shared, &self.to, Method::PostMessage)?;
        outbound::post_in_turn(&self.shared, &envelope, post, None, Some(patience)).await
    }
}

/// <https://docs.slack.dev/reference/methods/chat.startStream/>
#[derive(Serialize)]
struct StartFields<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    markdown_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_team_id: Option<&'a str>,
}

/// <https://docs.slack.dev/reference/methods/chat.appendStream/>
#[derive(Serialize)]
struct FlowFields<'a> {
    channel: &'a str,
    ts: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown_text: Option<&'a str>,
}

impl<'a> FlowFields<'a> {
    fn of(at: &'a MessageRef, markdown_text: Option<&'a str>) -> Self {
        let chat = at.chat.as_str();
        Self {
            channel: chat.rsplit_once('/').map_or(chat, |(_, channel)| channel),
            ts: at.id.as_str(),
            markdown_text,
        }
    }
}

async fn call<T: serde::de::DeserializeOwned>(
    shared: &Shared,
    method: Method,
    to: &Destination,
    fields: &FlowFields<'_>,
    patience: Option<Duration>,
) -> Result<T, Fault> {
    let chat = &to.target().chat;
    let at = Address::parse(chat, shared.is_many(), method.operation())?;
    shared
        .call_chat(method, at, Payload::json(fields), patience)
        .await
}
