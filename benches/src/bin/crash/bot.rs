//! The bot that is killed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    AccountRef, Acknowledge, Addressed, AllowEveryone, Body, Channel, ChannelId, ChannelInfo, Chat,
    ChatKind, Connection, Error, ErrorKind, Event, EventKind, Events, Guarantees, History,
    HttpBody, HttpRequest, Identity, Limits, Message, MessageId, MessageRef, OutboundMessage,
    Parts, Proof, Receipt, Received, Redelivery, Repeat, ReplyTo, Sender, Target, TextLimit,
    TextUnit, Transport,
};
use channel_delivery::{OnUncertain, OutboxSettings, SqliteStore};
use channel_runtime::Bot;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform::{Kind, Said, Send};

const PLATFORM: channel_core::Platform = channel_core::Platform::new("ledger");

pub(crate) fn run(base: &str) -> Result<()> {
    let database = std::env::var_os("CRASH_DATABASE").context("CRASH_DATABASE is not set")?;
    let life = std::env::var("CRASH_LIFE").context("CRASH_LIFE is not set")?;
    let kind = std::env::var("CRASH_KIND").context("CRASH_KIND is not set")?;
    let kind = Kind::named(&kind).context("CRASH_KIND is no kind")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = SqliteStore::open(std::path::PathBuf::from(database)).await?;
        let choice = match kind {
            Kind::Marked => OnUncertain::ResendMarked,
            _ => OnUncertain::Hold,
        };
        Bot::new(AllowEveryone)
            .store(store)
            .delivery(OutboxSettings::default().on_uncertain(choice).note(NOTE))
            .channel(Ledger::new(base, &life, kind))
            .on_message(|message| async move {
                let number = message.text.parse().context("a number is wanted")?;
                for answer in answers(number) {
                    message.reply(answer.join(BREAK)).await?;
                }
                Ok(())
            })
            .run()
            .await?;
        Ok(())
    })
}

/// Stands between the parts of a message.
const BREAK: &str = "\u{c}";
/// Stands above what may be there already.
pub(crate) const NOTE: &str = "(again)";

/// What answers begin with.
pub(crate) const FIRST: &str = "echo: ";
pub(crate) const SECOND: &str = "more: ";

/// What is said in answer to a message: messages of one or two parts.
pub(crate) fn answers(number: u64) -> Vec<Vec<String>> {
    let part = |word: &str| format!("{word}{number}");
    match number % 4 {
        0 => vec![vec![part(FIRST), part(SECOND)]],
        1 => vec![vec![part(FIRST)], vec![part(SECOND)]],
        _ => vec![vec![part(FIRST)]],
    }
}

/// The parts that a stored message has.
pub(crate) fn parts(message: &OutboundMessage) -> Vec<&str> {
    match &message.body {
        Body::Plain(text) => text.split(BREAK).collect(),
        _ => Vec::new(),
    }
}

/// A shown text, and whether the note stood above it.
pub(crate) fn without_note(text: &str) -> (&str, bool) {
    match text.strip_prefix(NOTE) {
        Some(rest) => (rest.trim_start(), true),
        None => (text, false),
    }
}

/// The channel to the platform of this test.
struct Ledger(Arc<Inner>);

struct Inner {
    info: ChannelInfo,
    base: String,
    poll: String,
    transport: Transport,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inner")
    }
}

impl Ledger {
    fn new(base: &str, life: &str, kind: Kind) -> Self {
        let limits = Limits::new(TextLimit::new(4096, TextUnit::CodePoints));
        let repeat = match kind {
            Kind::Keyed => Repeat::Keyed(Duration::from_secs(86_400)),
            Kind::Reading => Repeat::ReadBack,
            Kind::Marked | Kind::Held => Repeat::Doubles,
        };
        let info = ChannelInfo::new(ChannelId::new("ledger"), PLATFORM, limits)
            .guarantees(Guarantees::new(Redelivery::UntilAcknowledged, repeat));
        Self(Arc::new(Inner {
            info,
            base: base.to_owned(),
            poll: format!("/poll/{life}"),
            transport: channel_http::transport(),
        }))
    }
}

impl Inner {
    async fn call<T: DeserializeOwned>(
        &self,
        method: http::Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> channel_core::Result<T> {
        let wrong = |_| Error::new(ErrorKind::Protocol, "not what was agreed");
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(wrong)?,
            None => Vec::new(),
        };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(HttpBody::from(bytes))
            .map_err(|_| Error::new(ErrorKind::Protocol, "no such address"))?;
        let request = HttpRequest::new(request);
        let response = self.transport.http.execute(request).await;
        let response = response.map_err(|error| error.into_error(false))?;
        let body: &Bytes = response.body();
        if body.is_empty() {
            return serde_json::from_str("null").map_err(wrong);
        }
        serde_json::from_slice(body).map_err(wrong)
    }

    fn event(&self, said: &Said) -> Event {
        let chat = Chat::new(said.chat.to_string().into(), ChatKind::Direct);
        let account = AccountRef::new(PLATFORM, said.chat.to_string().into());
        let sender = Sender::new(account, Proof::Asserted);
        let to = ReplyTo::new(self.info.id.clone(), Target::chat(chat.id.clone()));
        let mut message = Message::new(said.id.to_string().into(), chat, sender, to);
        message.text.clone_from(&said.text);
        message.addressed = Addressed::Direct;
        Event::new(
            said.id.to_string().into(),
            self.info.id.clone(),
            EventKind::Message(Box::new(message)),
        )
    }
}

#[async_trait]
impl Acknowledge for Inner {
    async fn ack(&self, token: u64) -> channel_core::Result<()> {
        self.call::<()>(http::Method::POST, "/ack", Some(&[token]))
            .await
    }
    async fn nak(&self, _: u64) -> channel_core::Result<()> {
        Ok(())
    }
    fn abandon(&self, _: u64) {}
}

#[async_trait]
impl Channel for Ledger {
    fn info(&self) -> &ChannelInfo {
        &self.0.info
    }

    async fn send(&self, message: &OutboundMessage) -> channel_core::Result<Receipt> {
        let all = async {
            let mut receipt = Receipt::default();
            for part in 0..parts(message).len() {
                receipt
                    .messages
                    .extend(self.send_part(message, part).await?.messages);
            }
            Ok(receipt)
        };
        all.await
    }

    async fn probe(&self) -> channel_core::Result<Identity> {
        Ok(Identity::new("bot", "Bot"))
    }

    fn as_events(&self) -> Option<&dyn Events> {
        Some(self)
    }

    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }

    fn as_history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

#[async_trait]
impl Parts for Ledger {
    fn parts(&self, message: &OutboundMessage) -> channel_core::Result<usize> {
        Ok(parts(message).len())
    }

    async fn send_part(
        &self,
        message: &OutboundMessage,
        part: usize,
    ) -> channel_core::Result<Receipt> {
        let parts = parts(message);
        let text = parts
            .get(part)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "there is no such part"))?;
        let chat = message.to.target().chat.clone();
        let send = Send {
            key: message
                .key
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            chat: chat.to_string(),
            text: (*text).to_owned(),
        };
        let id: u64 = self
            .0
            .call(http::Method::POST, "/send", Some(&send))
            .await?;
        Ok(Receipt::new(vec![MessageRef::new(
            chat,
            id.to_string().into(),
        )]))
    }
}

#[async_trait]
impl History for Ledger {
    async fn history(
        &self,
        _: &Target,
        _: Option<&MessageId>,
        _: usize,
    ) -> channel_core::Result<Vec<Message>> {
        Ok(Vec::new())
    }

    async fn find(&self, sent: &OutboundMessage) -> channel_core::Result<Option<MessageRef>> {
        let Some(key) = &sent.key else {
            return Ok(None);
        };
        let key = key.to_string();
        let id: Option<u64> = self.0.call(http::Method::POST, "/find", Some(&key)).await?;
        let chat = sent.to.target().chat.clone();
        Ok(id.map(|id| MessageRef::new(chat, id.to_string().into())))
    }
}

#[async_trait]
impl Events for Ledger {
    fn events(&self) -> BoxStream<'static, channel_core::Result<Received>> {
        let inner = Arc::clone(&self.0);
        futures_util::stream::unfold(inner, |inner| async move {
            let page = inner
                .call::<Vec<Said>>(http::Method::GET, &inner.poll, None::<&()>)
                .await;
            let items: Vec<_> = match page {
                Ok(page) if page.is_empty() => {
                    let alive = Received::connection(inner.info.id.clone(), Connection::Alive);
                    vec![Ok(alive)]
                }
                Ok(page) => page
                    .iter()
                    .map(|said| {
                        let duty: Arc<dyn Acknowledge> = Arc::clone(&inner) as _;
                        Ok(Received::new(inner.event(said), duty, said.id))
                    })
                    .collect(),
                Err(error) => vec![Err(error)],
            };
            Some((futures_util::stream::iter(items), inner))
        })
        .flatten()
        .boxed()
    }

    async fn close(&self) -> channel_core::Result<()> {
        async { Ok(()) }.boxed().await
    }
}
