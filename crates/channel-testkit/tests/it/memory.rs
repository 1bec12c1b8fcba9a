//! The in-memory channel as a subject of the suite.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use channel_core::{
    Channel as _, Clock, Edit as _, History as _, Message, MessageRef, OutboundMessage, Repeat,
    Secret, Target, TextLimit, TextUnit, UploadSource, async_trait,
};
use channel_testkit::conformance::{
    Ability, Challenge, FakePlatform, Happened, Happening, Place, Setup, Shown, Signing, Subject,
    check_names, run,
};
use channel_testkit::{Failure, MemoryChannel, MemoryMessage, MemoryUser, VirtualClock, canary};
use http::header::HeaderName;

/// Makes in-memory channels, with or without a webhook.
pub(crate) struct Memory {
    pub(crate) clock: VirtualClock,
    pub(crate) webhook: bool,
}

impl Memory {
    pub(crate) fn new(webhook: bool) -> Self {
        Self {
            clock: VirtualClock::new(),
            webhook,
        }
    }

    /// A channel whose texts have at most `max` UTF-16 code units, and its secret.
    pub(crate) fn channel(&self, max: usize) -> (MemoryChannel, String) {
        let secret = canary();
        let mut limits = MemoryChannel::new().info().limits.clone();
        limits.text = TextLimit::new(max, TextUnit::Utf16);
        let builder = MemoryChannel::builder()
            .clock(Arc::new(self.clock.clone()))
            .limits(limits)
            .secret(Secret::new(secret.as_str()));
        // Both kinds of guarantee, so that no check of them is left out between the two.
        let builder = if self.webhook {
            builder.webhook().read_back()
        } else {
            builder.keyed()
        };
        (builder.build(), secret)
    }
}

#[async_trait]
impl Subject for Memory {
    async fn start(&self) -> Setup {
        let (channel, secret) = self.channel(1_000);
        let platform = MemoryPlatform::new(channel.clone(), self.webhook, &secret);
        Setup::new(Arc::new(channel), platform)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

pub(crate) struct MemoryPlatform {
    channel: MemoryChannel,
    webhook: bool,
    secret: String,
    last: Mutex<Option<http::Request<Bytes>>>,
    /// What the adapter is not meant to have.
    pub(crate) without: Option<Ability>,
    /// The name under which the platform echoes what the bot writes.
    pub(crate) bot: &'static str,
}

impl MemoryPlatform {
    pub(crate) fn new(channel: MemoryChannel, webhook: bool, secret: &str) -> Self {
        Self {
            channel,
            webhook,
            secret: secret.to_owned(),
            last: Mutex::default(),
            without: None,
            bot: "bot",
        }
    }

    fn user(&self, place: Place) -> MemoryUser {
        match place {
            Place::Thread => self.channel.user("ada").in_group("team").in_thread("7"),
            _ => self.channel.user("ada"),
        }
    }

    fn happened(&self) -> Happened {
        match self.channel.take_requests().pop() {
            Some(request) => {
                *self.last.lock().unwrap() = Some(request.clone());
                Happened::requested(request)
            }
            None => Happened::queued(),
        }
    }
}

#[async_trait]
impl FakePlatform for MemoryPlatform {
    fn claims(&self) -> Vec<Ability> {
        let mut claims = Ability::ALL.to_vec();
        let not = if self.webhook {
            Ability::Events
        } else {
            Ability::Webhook
        };
        claims.retain(|ability| {
            ![Some(not), Some(Ability::SocketServer), self.without].contains(&Some(*ability))
        });
        claims
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.secret.clone()]
    }

    fn place(&self, place: Place) -> Option<Target> {
        Some(match place {
            Place::Thread => Target::chat("team").thread("7"),
            _ => Target::chat("ada"),
        })
    }

    async fn shown(&self) -> Vec<Shown> {
        let shown = |sent: channel_testkit::SentMessage| {
            let mut shown = Shown::new(sent.at, sent.thread, sent.text);
            for file in sent.files {
                if let UploadSource::Bytes(bytes) = file.source {
                    shown = shown.file(file.name, bytes);
                }
            }
            for button in sent.buttons.into_iter().flatten() {
                shown = shown.button(button.label);
            }
            shown
        };
        self.channel.sent().into_iter().map(shown).collect()
    }

    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        let user = self.user(Place::Direct);
        let mut message = None;
        match what {
            Happening::Text { place, text } => message = Some(self.user(place).says(text)),
            Happening::File { name, bytes } => {
                message = Some(user.sends_file(name, bytes.to_vec(), ""));
            }
            Happening::Press { message, value } => user.presses(message, value),
            Happening::OwnText { text } => drop(self.channel.user(self.bot).says(text)),
            Happening::Unknown => self
                .channel
                .deliver_raw(r#"{"id":"event-x","kind":"poll_closed","answer":42}"#),
            Happening::Malformed => self.channel.deliver_raw(&b"{\"id\":\xff"[..]),
            Happening::Again => {
                let last = self.last.lock().unwrap().clone();
                return last.map(Happened::requested);
            }
            _ => return None,
        }
        let queued = if self.webhook {
            self.happened()
        } else {
            Happened::queued()
        };
        Some(match message {
            Some(at) => queued.message(at.id).sender("ada"),
            None => queued,
        })
    }

    async fn fail(&self, calls: usize, failure: Option<Failure>) -> bool {
        match failure {
            Some(failure) => self.channel.fail_after(calls, failure),
            None => self.channel.mend(),
        }
        true
    }

    async fn disconnect(&self) -> bool {
        self.channel.disconnect();
        true
    }

    fn calls(&self) -> Option<u64> {
        Some(self.channel.calls())
    }

    fn signing(&self) -> Option<Signing> {
        let signing = Signing::header(HeaderName::from_static("memory-signature"))
            .and_header(HeaderName::from_static("memory-timestamp"))
            .over_body()
            .valid_for(std::time::Duration::from_secs(300));
        self.webhook.then_some(signing)
    }

    fn challenge(&self) -> Option<Challenge> {
        let request = http::Request::get("/memory/webhook?challenge=abc");
        let challenge = Challenge::new(request.body(Bytes::new()).ok()?, "abc");
        self.webhook.then_some(challenge)
    }

    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        Some(
            match (
                came.native::<MemoryMessage>(),
                stored.native::<MemoryMessage>(),
            ) {
                (Ok(came), Ok(stored)) if came == stored => Ok(()),
                (Ok(_), Ok(_)) => Err("they differ".to_owned()),
                _ => Err("it cannot be decoded".to_owned()),
            },
        )
    }

    async fn reactions(&self, to: &MessageRef) -> Option<Vec<String>> {
        Some(self.channel.reactions(to))
    }

    async fn typing(&self) -> Option<usize> {
        Some(self.channel.typing().len())
    }

    async fn answered(&self) -> Option<usize> {
        Some(self.channel.answered().len())
    }

    async fn commands(&self) -> Option<Vec<String>> {
        let commands = self.channel.commands().into_iter();
        Some(commands.map(|command| command.name).collect())
    }

    fn shows_files(&self) -> bool {
        true
    }

    fn shows_buttons(&self) -> bool {
        true
    }
}

#[test]
fn the_in_memory_channel_passes_every_check_that_applies() {
    for webhook in [false, true] {
        let subject = Memory::new(webhook);
        let report = subject.clock.block_on(run(&subject));
        report.assert_conforms();
        assert!(report.passed().len() >= 60, "{report}");
    }
}

#[test]
fn between_its_two_ways_to_receive_no_check_is_left_out() {
    let passed: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|webhook| {
            let subject = Memory::new(webhook);
            subject.clock.block_on(run(&subject)).passed()
        })
        .collect();
    for name in check_names() {
        assert!(passed.contains(&name), "{name} is never passed");
    }
}

#[test]
fn without_a_word_about_repeats_the_platform_shows_a_message_as_often_as_it_is_sent() {
    let channel = MemoryChannel::new();
    let message = OutboundMessage::new(Target::chat("ada"), "twice").key("key-1");
    VirtualClock::new().block_on(async {
        channel.send(&message).await.unwrap();
        channel.send(&message).await.unwrap();
        assert_eq!(channel.find(&message).await.unwrap(), None);
    });
    assert_eq!(channel.texts(), ["twice", "twice"]);
    assert_eq!(channel.info().guarantees.send(), Repeat::Doubles);
}

#[test]
fn the_history_of_a_chat_holds_both_sides_as_they_read_now() {
    let channel = MemoryChannel::new();
    let ada = channel.user("ada");
    let question = ada.says("what?");
    let gone = ada.says("gone");
    channel.user("bob").says("elsewhere");
    ada.edits(&question, "what now?");
    ada.deletes(&gone);
    let to = Target::chat("ada");
    let history = VirtualClock::new().block_on(async {
        let answer = OutboundMessage::new(to.clone(), "this");
        let sent = channel.send(&answer).await.unwrap();
        let changed = OutboundMessage::new(to.clone(), "that");
        let at = sent.first().unwrap();
        channel.edit(at, &changed).await.unwrap();
        channel.history(&to, None, 10).await.unwrap()
    });
    let said: Vec<_> = history
        .iter()
        .map(|it| (it.sender.account.sender.as_str(), it.text.as_str()))
        .collect();
    assert_eq!(said, [("bot", "that"), ("ada", "what now?")]);
}

/// Shows what was sent, and can do nothing else.
pub(crate) struct MutePlatform(pub(crate) Box<dyn FakePlatform>);

#[async_trait]
impl FakePlatform for MutePlatform {
    fn claims(&self) -> Vec<Ability> {
        self.0.claims()
    }
    fn secrets(&self) -> Vec<String> {
        self.0.secrets()
    }
    fn place(&self, place: Place) -> Option<Target> {
        self.0.place(place)
    }
    async fn shown(&self) -> Vec<Shown> {
        self.0.shown().await
    }
}
