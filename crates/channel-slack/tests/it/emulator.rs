//! End to end over real connections, against the emulator that Slack's own SDKs certify.

mod answers;
mod dialogs;
mod refreshes;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use channel_core::{
    Action, Body, Button, Channel, Connection, Destination, ErrorKind, Event, EventKind,
    Events as _, Message, OutboundMessage, Received, SenderKind, Target, Upload,
};
use channel_emulator::slack::{
    Fault, Installation, NewApp, Post, Slack as Emulator, SlackConfig, SlackServer,
};
use channel_slack::Slack;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::json;

const TOKEN: &str = "xoxb-synthetic-kit";
const APP_TOKEN: &str = "xapp-synthetic-kit";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) server: SlackServer,
    pub(crate) app: String,
    pub(crate) bot: Installation,
    pub(crate) ada: String,
    pub(crate) general: String,
    pub(crate) direct: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(SlackConfig::default()).await
    }

    pub(crate) async fn with(config: SlackConfig) -> Self {
        let app = NewApp::new("kit", "secret").socket_mode(APP_TOKEN);
        Self::of(config, app).await
    }

    /// One whose app takes requests, as soon as it has said where.
    pub(crate) async fn hooked() -> Self {
        Self::of(SlackConfig::default(), NewApp::new("kit", "secret")).await
    }

    async fn of(config: SlackConfig, app: NewApp) -> Self {
        let server = Emulator::start(config).await.unwrap();
        let team = server.workspace("Kit");
        let app = server.add_app(&app).unwrap();
        let bot = server.install(&app, &team, TOKEN).unwrap();
        let ada = server.user(&team, "Ada").unwrap();
        let general = server.channel(&team, "general", &[&ada, &bot.bot_user]);
        let direct = server.direct(&app, &ada).unwrap();
        Self {
            general: general.unwrap(),
            server,
            app,
            bot,
            ada,
            direct,
        }
    }

    pub(crate) fn channel(&self) -> Slack {
        let builder = Slack::builder().bot_token(TOKEN).app_token(APP_TOKEN);
        builder.api_base(self.server.api_base()).build().unwrap()
    }

    fn to(&self, body: impl Into<Body>) -> OutboundMessage {
        OutboundMessage::new(Target::chat(self.direct.as_str()), body)
    }

    fn says(&self, text: &str) -> String {
        self.server.say(&self.direct, &self.ada, text).unwrap()
    }

    /// The last message of the direct chat.
    fn last(&self) -> channel_emulator::slack::MessageView {
        self.server.history(&self.direct).pop().unwrap()
    }
}

pub(crate) struct Inbox(BoxStream<'static, channel_core::Result<Received>>);

impl Inbox {
    pub(crate) async fn open(channel: &Slack) -> Self {
        let mut inbox = Self(channel.events());
        let received = inbox.item().await;
        let kind = &received.event().unwrap().kind;
        assert!(
            matches!(kind, EventKind::Connection(Connection::Ready)),
            "{kind:?}"
        );
        inbox
    }

    async fn item(&mut self) -> Received {
        let next = tokio::time::timeout(PATIENCE, self.0.next());
        next.await.unwrap().unwrap().unwrap()
    }

    /// The next event, acknowledged.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            let mut received = self.item().await;
            let event = received.take().unwrap();
            received.ack().await.unwrap();
            if !matches!(event.kind, EventKind::Connection(_)) {
                return event;
            }
        }
    }

    async fn message(&mut self) -> Message {
        match self.event().await.kind {
            EventKind::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }

    async fn action(&mut self) -> Action {
        loop {
            match self.event().await.kind {
                EventKind::Action(action) => return *action,
                // What the bot itself posts comes back.
                EventKind::Message(message) if message.sender.kind == SenderKind::Bot => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn logs_in_and_answers_in_place_and_in_the_thread() {
    let world = World::new().await;
    let channel = world.channel();
    let identity = channel.probe().await.unwrap();
    assert_eq!(identity.id, world.bot.bot_user);
    let mut inbox = Inbox::open(&channel).await;
    world.says("hi & <you>");
    let message = inbox.message().await;
    assert_eq!(message.text, "hi & <you>");
    let answer = message.reply(Body::markdown("**hi** <!channel>"));
    let receipt = channel.send(&answer).await.unwrap();
    let shown = world.last();
    assert_eq!(shown.text, "*hi* &lt;!channel&gt;");
    assert_eq!(receipt.messages[0].id.as_str(), shown.ts);
    assert_eq!(shown.thread_ts, None);

    let root = world
        .server
        .say(&world.general, &world.ada, "root")
        .unwrap();
    inbox.event().await;
    inbox.event().await;
    let text = format!("<@{}> hello", world.bot.bot_user);
    let post = Post::text(&text).in_thread(&root);
    world.server.say(&world.general, &world.ada, post).unwrap();
    let (one, two) = (inbox.event().await, inbox.event().await);
    assert_eq!(one.id, two.id, "a mention and its message are one event");
    let EventKind::Message(message) = one.kind else {
        panic!("{one:?}");
    };
    assert!(
        message.addressed.is_to_me() && message.text == "hello",
        "{message:?}"
    );
    channel.send(&message.reply("in the thread")).await.unwrap();
    let shown = world.server.history(&world.general).pop().unwrap();
    assert_eq!(shown.thread_ts.as_deref(), Some(root.as_str()));
    drop(inbox);
    channel.close().await.unwrap();
}

#[tokio::test]
async fn files_go_both_ways() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let post = Post::text("look").file("a.png", &b"a small picture"[..]);
    world.server.say(&world.direct, &world.ada, post).unwrap();
    let message = inbox.message().await;
    let attachment = &message.attachments[0];
    assert_eq!(
        (
            message.text.as_str(),
            attachment.name.as_deref(),
            attachment.mime.as_deref()
        ),
        ("look", Some("a.png"), Some("image/png"))
    );
    let media = channel.as_media().unwrap();
    let bytes = media.download(attachment, 1 << 20).await.unwrap();
    assert_eq!(bytes, Bytes::from_static(b"a small picture"));
    let error = media.download(attachment, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let file = Upload::file("hello.txt", "hello");
    channel
        .send(&world.to("take this").attach(file))
        .await
        .unwrap();
    let shown = world.server.sent(&world.app);
    let with_file = shown.iter().find(|sent| !sent.files.is_empty()).unwrap();
    assert_eq!(world.server.file(&with_file.files[0]).unwrap(), "hello");
    assert!(
        shown.iter().any(|sent| sent.text == "take this"),
        "{shown:?}"
    );
    let large = Upload::file("large.bin", vec![7; 3_000_000]);
    channel.send(&world.to("").attach(large)).await.unwrap();
}

#[tokio::test]
async fn buttons_are_pressed_and_answered() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let offer = world
        .to("choose")
        .buttons([Button::press("A", "a"), Button::press("B", "b")]);
    let receipt = channel.send(&offer).await.unwrap();
    let ts = receipt.messages[0].id.as_str();
    let number = world
        .server
        .press(&world.direct, &world.ada, ts, "B")
        .unwrap();
    let action = inbox.action().await;
    assert_eq!(
        (action.value.as_str(), action.sender.account.sender.as_str()),
        ("b", world.ada.as_str())
    );
    let settled = world.server.wait_for(PATIENCE, |slack| {
        slack.interaction(number).filter(|one| one.settled)
    });
    assert_eq!(settled.await.unwrap().error, None);
    let actions = channel.as_actions().unwrap();
    actions.answer_action(&action, Some("done")).await.unwrap();
    assert_eq!(world.server.ephemerals(&world.direct)[0].text, "done");
    let answer = OutboundMessage::new(action.return_address.clone(), "pressed b");
    channel.send(&answer).await.unwrap();
    assert_eq!(world.last().text, "pressed b");
}

#[tokio::test]
async fn messages_are_edited_reacted_to_and_deleted() {
    let world = World::new().await;
    let channel = world.channel();
    let table = Body::markdown("# One\n\n| a | b |\n|---|---|\n| 1 | 2 |");
    let receipt = channel.send(&world.to(table)).await.unwrap();
    assert!(world.last().blocks.is_array());
    let target = receipt.first().unwrap();
    let edit = channel.as_edit().unwrap();
    edit.edit(target, &world.to("two")).await.unwrap();
    let shown = world.last();
    assert_eq!(shown.text, "two");
    // Slack keeps the blocks that an update does not name, and shows them in place of the text.
    assert!(
        shown.blocks.is_null() || shown.blocks.to_string().contains("two"),
        "{shown:?}"
    );
    edit.edit(target, &world.to("two")).await.unwrap();

    let react = channel.as_react().unwrap();
    react.react(target, "👀").await.unwrap();
    react.react(target, "👀").await.unwrap();
    assert_eq!(world.last().reactions[0].0, "eyes");
    react.unreact(target, "👀").await.unwrap();
    react.unreact(target, "👀").await.unwrap();
    assert!(world.last().reactions.is_empty());
    let delete = channel.as_delete().unwrap();
    delete.delete(target).await.unwrap();
    assert!(world.server.history(&world.direct).is_empty());
    let error = edit.edit(target, &world.to("three")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let hers = world.says("hers");
    let hers = channel_core::MessageRef::new(world.direct.as_str().into(), hers.as_str().into());
    let error = edit.edit(&hers, &world.to("mine")).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::Invalid),
        "{error}"
    );
}

#[tokio::test]
async fn what_people_do_becomes_events() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let ts = world.says("hello");
    inbox.message().await;
    world
        .server
        .edit(&world.direct, &world.ada, &ts, "hello there")
        .unwrap();
    let EventKind::Edited(edited) = inbox.event().await.kind else {
        panic!("expected an edit");
    };
    assert_eq!(
        (edited.id.as_str(), edited.text.as_str()),
        (ts.as_str(), "hello there")
    );
    world
        .server
        .react(&world.direct, &world.ada, &ts, "tada", true)
        .unwrap();
    let EventKind::Reaction(reaction) = inbox.event().await.kind else {
        panic!("expected a reaction");
    };
    assert_eq!(reaction.message.id.as_str(), ts);
    world.server.unsay(&world.direct, &world.ada, &ts).unwrap();
    let EventKind::Deleted(deleted) = inbox.event().await.kind else {
        panic!("expected a deletion");
    };
    assert_eq!(deleted.messages[0].id.as_str(), ts);
    world
        .server
        .kick(&world.general, &world.bot.bot_user)
        .unwrap();
    let EventKind::Membership(left) = inbox.event().await.kind else {
        panic!("expected a membership");
    };
    assert!(left.is_me);
    let event = json!({"type": "something_new", "event_ts": "1.2"});
    world.server.event(&world.app, &world.bot.team, &event);
    let unknown = inbox.event().await;
    assert!(matches!(unknown.kind, EventKind::Unknown(_)), "{unknown:?}");
}

#[tokio::test]
async fn a_command_is_answered_by_its_response_url_and_then_by_posting() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let command = world
        .server
        .command(&world.app, &world.general, &world.ada, "/kit", "a b");
    let message = inbox.message().await;
    assert_eq!(message.text, "/kit a b");
    let settled = world.server.wait_for(PATIENCE, |slack| {
        slack
            .interaction(*command.as_ref().unwrap())
            .filter(|one| one.settled)
    });
    assert_eq!(settled.await.unwrap().error, None);
    for number in 0..7 {
        channel
            .send(&message.reply(format!("answer {number}")))
            .await
            .unwrap();
    }
    let whispered = world.server.ephemerals(&world.general);
    let posted = world.server.sent(&world.app);
    assert_eq!(
        (whispered.len(), posted.len()),
        (5, 2),
        "{whispered:?} {posted:?}"
    );
    assert_eq!(posted[1].text, "answer 6");
}

#[tokio::test]
async fn a_modal_opens_and_its_inputs_come_back() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let text = |text: &str| json!({"type": "plain_text", "text": text});
    let view = json!({"type": "modal", "callback_id": "form", "title": text("Form"), "submit": text("Go"),
        "blocks": [{"type": "input", "block_id": "name", "label": text("Name"),
            "element": {"type": "plain_text_input", "action_id": "value"}}]});
    let offer = world.to("open?").buttons([Button::press("Open", "open")]);
    let receipt = channel.send(&offer).await.unwrap();
    let ts = receipt.messages[0].id.as_str();
    world
        .server
        .press(&world.direct, &world.ada, ts, "Open")
        .unwrap();
    let action = inbox.action().await;
    let id = channel.open_view(&action, &view).await.unwrap();
    let error = channel.open_view(&action, &view).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "a trigger works once");
    let mut renamed = view.clone();
    renamed["title"] = text("Renamed");
    channel
        .update_view(&action.chat.id, &id, &renamed)
        .await
        .unwrap();
    assert_eq!(
        world.server.views(&world.ada)[0]["title"]["text"],
        "Renamed"
    );
    let values = json!({"name": {"value": {"type": "plain_text_input", "value": "Ada L"}}});
    world.server.submit(&id, &values).unwrap();
    let submitted = inbox.action().await;
    assert_eq!(submitted.value, "form");
    assert_eq!(submitted.fields[0].1, "Ada L");
    let closed = world.server.wait_for(PATIENCE, |slack| {
        slack.views(&world.ada).is_empty().then_some(())
    });
    closed.await.unwrap();
    let home = json!({"type": "home", "blocks": [{"type": "divider"}]});
    channel
        .publish_home(&action.chat.id, &action.sender.account.sender, &home)
        .await
        .unwrap();
    assert_eq!(world.server.views(&world.ada)[0]["type"], "home");
}

#[tokio::test]
async fn answers_are_streamed_in_threads_until_slack_ends_the_stream() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let root = world
        .server
        .say(&world.general, &world.ada, "root")
        .unwrap();
    inbox.event().await;
    let text = format!("<@{}> tell me", world.bot.bot_user);
    world
        .server
        .say(
            &world.general,
            &world.ada,
            Post::text(&text).in_thread(&root),
        )
        .unwrap();
    let EventKind::Message(message) = inbox.event().await.kind else {
        panic!("expected a message");
    };
    let to = message.reply("").to;
    let stream = channel.as_stream().unwrap();
    let mut reply = stream.stream(&to).await.unwrap();
    reply.show(&Body::markdown("one")).await.unwrap();
    reply.show(&Body::markdown("one two")).await.unwrap();
    let end = OutboundMessage::new(to.clone(), Body::markdown("one two **three**"));
    reply.finish(end).await.unwrap();
    let shown = world.server.history(&world.general);
    let streamed = shown
        .iter()
        .find(|one| one.via == "chat.startStream")
        .unwrap();
    assert!(
        !streamed.streaming && streamed.text.contains("three"),
        "{streamed:?}"
    );
    assert_eq!(streamed.thread_ts.as_deref(), Some(root.as_str()));

    let mut reply = stream.stream(&to).await.unwrap();
    reply.show(&Body::markdown("begun")).await.unwrap();
    world.server.advance(Duration::from_secs(301));
    let end = OutboundMessage::new(to, Body::markdown("begun and ended late"));
    reply.finish(end).await.unwrap();
    let shown = world.server.history(&world.general);
    assert!(
        shown.iter().any(|one| one.text.contains("ended late")),
        "pain 18: nothing of the text is lost: {shown:?}"
    );
}

#[tokio::test]
async fn slacks_own_methods_reach_it() {
    let world = World::new().await;
    let channel = world.channel();
    let in_general = || OutboundMessage::new(Target::chat(world.general.as_str()), "psst");
    let ada = world.ada.as_str().into();
    channel.send_ephemeral(&ada, &in_general()).await.unwrap();
    assert_eq!(world.server.ephemerals(&world.general)[0].text, "psst");
    let soon = SystemTime::now() + Duration::from_secs(600);
    let first = channel.schedule(&in_general(), soon).await.unwrap();
    channel.schedule(&in_general(), soon).await.unwrap();
    channel.cancel_scheduled(&first).await.unwrap();
    let error = channel.cancel_scheduled(&first).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    world.server.advance(Duration::from_secs(601));
    let posted = world
        .server
        .wait_for(PATIENCE, |slack| slack.history(&world.general).pop());
    assert_eq!(posted.await.unwrap().via, "chat.scheduleMessage");
    let root = world.says("think");
    let thread: Destination = Target::chat(world.direct.as_str())
        .thread(root.as_str())
        .into();
    channel.set_status(&thread, "is thinking").await.unwrap();
    assert_eq!(
        world.server.status(&world.direct, &root).as_deref(),
        Some("is thinking")
    );
    channel.set_status(&thread, "").await.unwrap();
    assert_eq!(world.server.status(&world.direct, &root), None);
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_and_a_lost_answer_is_found() {
    let world = World::new().await;
    let channel = world.channel();
    world
        .server
        .faults()
        .next("chat.postMessage", 1, Fault::RateLimited { retry_after: 1 });
    channel.send(&world.to("after all")).await.unwrap();
    assert_eq!(world.last().text, "after all");
    world.server.faults().next(
        "chat.postMessage",
        1,
        Fault::RateLimited { retry_after: 600 },
    );
    let error = channel
        .send(&world.to("too long a wait"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));

    let message =
        OutboundMessage::new(Target::chat(world.general.as_str()), "once").key("order 66");
    world
        .server
        .faults()
        .next("chat.postMessage", 1, Fault::LoseAnswer);
    let error = channel.send(&message).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    let found = channel.as_history().unwrap().find(&message).await.unwrap();
    let shown = world.server.history(&world.general).pop().unwrap();
    assert_eq!(found.unwrap().id.as_str(), shown.ts);
    world
        .server
        .faults()
        .next("chat.postMessage", 1, Fault::DropBefore);
    let other = OutboundMessage::new(Target::chat(world.general.as_str()), "never").key("order 67");
    let _ = channel.send(&other).await.unwrap_err();
    assert_eq!(
        channel.as_history().unwrap().find(&other).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn slacks_refusals_are_named_after_what_to_do() {
    let world = World::new().await;
    let channel = world.channel();
    let cases = [
        ("channel_not_found", ErrorKind::NotFound),
        ("not_in_channel", ErrorKind::Forbidden),
        ("invalid_blocks", ErrorKind::Invalid),
        ("token_revoked", ErrorKind::Unauthenticated),
    ];
    for (code, kind) in cases {
        let fault = Fault::Refuse {
            error: code.to_owned(),
        };
        world.server.faults().next("chat.postMessage", 1, fault);
        let error = channel.send(&world.to("x")).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)), "{error}");
    }
    world.server.archive(&world.general);
    let message = OutboundMessage::new(Target::chat(world.general.as_str()), "x");
    let error = channel.send(&message).await.unwrap_err();
    assert_eq!(error.code(), Some("is_archived"));
}
