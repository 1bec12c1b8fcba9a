//! Dialogs that are judged, menus that are filled and signs that are shown, over both ways.

use std::sync::Arc;

use channel_core::{
    Action, Channel as _, Event, EventKind, Intake, OutboundMessage, Refused, Result, Target,
    async_trait,
};
use channel_emulator::slack::Interaction;
use channel_slack::{
    MenuOption, MenuOptions, OptionQuery, OptionSource, Slack, SlackBuilder, SubmissionAnswer,
    SubmissionJudge,
};
use channel_webhook::{Host, Server};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{APP_TOKEN, Inbox, PATIENCE, TOKEN, World};

fn text(text: &str) -> Value {
    json!({"type": "plain_text", "text": text})
}

fn view(title: &str) -> Value {
    json!({"type": "modal", "callback_id": "form", "title": text(title), "submit": text("Go"), "blocks": [
        {"type": "input", "block_id": "name", "label": text("Name"),
            "element": {"type": "plain_text_input", "action_id": "value"}},
        {"type": "input", "block_id": "place", "label": text("City"),
            "element": {"type": "external_select", "action_id": "city", "min_query_length": 1}}]})
}

/// Wants two letters at least, and then does what the name says.
#[derive(Debug)]
struct Strict;

#[async_trait]
impl SubmissionJudge for Strict {
    async fn judge(&self, submission: &Action) -> Result<SubmissionAnswer> {
        let name = submission.fields.iter().find(|(field, _)| field == "value");
        match name.map(|(_, value)| value.as_str()) {
            Some("more") => SubmissionAnswer::update(view("More")),
            Some("above") => SubmissionAnswer::push(view("Above")),
            Some("clear") => Ok(SubmissionAnswer::clear()),
            Some("wrong") => SubmissionAnswer::refuse([("nowhere", "no such input")]),
            Some("panic") => panic!("the judge panics"),
            Some(name) if name.len() > 1 => Ok(SubmissionAnswer::close()),
            _ => SubmissionAnswer::refuse([("name", "too short")]),
        }
    }
}

#[async_trait]
impl OptionSource for Strict {
    async fn options(&self, asked: &OptionQuery) -> Result<MenuOptions> {
        let cities = ["Bern", "Berlin", "Aachen"].into_iter();
        let fits = cities.filter(|city| city.starts_with(&asked.typed));
        let options = fits.map(|city| MenuOption::new(city, city.to_lowercase()));
        MenuOptions::grouped([("Cities", options.collect::<Vec<_>>())])
    }
}

fn asking(builder: SlackBuilder) -> SlackBuilder {
    let strict = Arc::new(Strict);
    builder
        .submission_judge(strict.clone())
        .option_source(strict)
}

/// Where the events of an app arrive, whichever way they take.
struct Arrivals(mpsc::UnboundedReceiver<Event>);

impl Arrivals {
    /// What the person has done, by the name that the dialog or shortcut has.
    async fn action(&mut self, name: &str) -> Action {
        let next = tokio::time::timeout(PATIENCE, self.0.recv());
        match next.await.unwrap().unwrap().kind {
            EventKind::Action(action) if action.value == name => *action,
            other => panic!("{other:?}"),
        }
    }
}

async fn settled(world: &World, number: u64) -> Interaction {
    let settled = world.server.wait_for(PATIENCE, |slack| {
        slack.interaction(number).filter(|one| one.settled)
    });
    settled.await.unwrap()
}

/// Sends the dialog off with a name; gives what Slack made of the answer.
async fn submit(world: &World, id: &str, name: &str) -> Interaction {
    let values = json!({"name": {"value": {"type": "plain_text_input", "value": name}}});
    settled(world, world.server.submit(id, &values).unwrap()).await
}

fn titles(world: &World) -> Vec<Value> {
    let views = world.server.views(&world.ada).into_iter();
    views.map(|view| view["title"]["text"].clone()).collect()
}

/// Opens a dialog by a shortcut.
async fn open(world: &World, channel: &Slack, arrivals: &mut Arrivals) -> String {
    let server = &world.server;
    server.shortcut(&world.app, &world.ada, "start").unwrap();
    let action = arrivals.action("start").await;
    channel.open_view(&action, &view("Form")).await.unwrap()
}

async fn people_are_answered(world: &World, channel: &Slack, mut arrivals: Arrivals) {
    let id = open(world, channel, &mut arrivals).await;
    let number = world.server.suggest_in_view(&id, "city", "Ber").unwrap();
    let offered = settled(world, number).await;
    assert_eq!(offered.error, None, "{offered:?}");
    let group = &offered.answer["option_groups"][0];
    let options = group["options"].as_array().unwrap().iter();
    let values: Vec<_> = options.map(|it| it["value"].clone()).collect();
    assert_eq!(values, ["bern", "berlin"]);

    for (name, words) in [("x", "too short"), ("wrong", "no such input")] {
        let refused = submit(world, &id, name).await;
        assert_eq!(refused.error, None, "{refused:?}");
        assert_eq!(refused.answer["errors"]["name"], words);
        assert_eq!(titles(world), ["Form"], "it stays");
    }
    for (name, shown) in [
        ("more", &["More"][..]),
        ("above", &["More", "Above"]),
        ("clear", &[]),
    ] {
        let done = submit(world, &id, name).await;
        assert_eq!(done.error, None, "{done:?}");
        assert_eq!(titles(world), shown, "{name}");
        // What was refused before it has not arrived.
        assert_eq!(arrivals.action("form").await.fields[0].1, name);
    }
    let id = open(world, channel, &mut arrivals).await;
    let done = submit(world, &id, "panic").await;
    assert_eq!(done.error, None);
    assert!(done.answer.get("response_action").is_none());
    assert!(titles(world).is_empty());
    assert_eq!(arrivals.action("form").await.fields[0].1, "panic");
}

#[tokio::test]
async fn dialogs_are_judged_and_menus_filled_over_a_socket() {
    let world = World::new().await;
    let builder = Slack::builder().bot_token(TOKEN).app_token(APP_TOKEN);
    let builder = builder.api_base(world.server.api_base());
    let channel = asking(builder).build().unwrap();
    let mut inbox = Inbox::open(&channel).await;
    let (events, taken) = mpsc::unbounded_channel();
    // Whoever listens to a socket goes on listening while people are answered.
    let listening = tokio::spawn(async move { while events.send(inbox.event().await).is_ok() {} });
    people_are_answered(&world, &channel, Arrivals(taken)).await;
    listening.abort();
}

/// Hands events over as they are taken.
#[derive(Debug)]
struct Taken(mpsc::UnboundedSender<Event>);

#[async_trait]
impl Intake for Taken {
    async fn take(&self, events: Vec<Event>) -> Result<(), Refused> {
        for event in events {
            self.0.send(event).map_err(|_| Refused::Stopping)?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn dialogs_are_judged_and_menus_filled_behind_a_webhook() {
    let world = World::hooked().await;
    let builder = Slack::builder().bot_token(TOKEN).signing_secret("secret");
    let builder = builder.api_base(world.server.api_base());
    let channel = asking(builder).build().unwrap();
    let (events, taken) = mpsc::unbounded_channel();
    let clock = channel_http::transport().clock;
    let host = Host::new(clock).mount(Arc::new(channel.clone()), Arc::new(Taken(events)));
    let address = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(address, host.router()).await.unwrap();
    let url = |path: &str| format!("http://{}/slack/{path}", server.address());
    let (events, interactions) = (url("events"), url("interactions"));
    let app = &world.app;
    world.server.set_urls(app, &events, &interactions).unwrap();
    people_are_answered(&world, &channel, Arrivals(taken)).await;
}

#[tokio::test]
async fn a_thread_shows_that_an_answer_is_written_until_it_is_there() {
    let world = World::new().await;
    let channel = world.channel();
    let typing = channel.as_typing().unwrap();
    let root = world.says("tell me");
    let to = Target::chat(world.direct.as_str()).thread(root.as_str());
    let shown = || world.server.status(&world.direct, &root);
    typing.start_typing(&to.clone().into()).await.unwrap();
    assert_eq!(shown().as_deref(), Some("is typing..."));
    let answer = OutboundMessage::new(to, "there");
    channel.send(&answer).await.unwrap();
    assert_eq!(shown(), None);
    let nowhere = Target::chat(world.direct.as_str()).thread("1.000001");
    typing.start_typing(&nowhere.into()).await.unwrap();
}
