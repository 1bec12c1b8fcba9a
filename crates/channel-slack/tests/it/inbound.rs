//! What Slack's events become.

use channel_core::{
    AccountRef, Addressed, ChatKind, Event, EventKind, InboundMessage as _, MemberState,
    MessageRef, Platform, Proof, SenderKind, Webhook as _,
};
use channel_slack::{Lifecycle, LifecycleChange, Slack, SlackMessage};
use http::Request;
use serde_json::{Value, json};

use crate::conformance::press;
use crate::fake::{ADA, BOT, Fake, GROUP, ROOT, direct, envelope, grouped, percent};

const TS: &str = "1700000000.000100";

pub(crate) fn receive(slack: &Slack, request: Request<bytes::Bytes>, fake: &Fake) -> Vec<Event> {
    slack.receive(&request, fake.now()).unwrap().events
}

/// The one event of an inner event.
pub(crate) fn event(inner: Value) -> Event {
    let fake = Fake::new();
    let mut events = receive(&fake.channel(), fake.event(inner), &fake);
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn with(mut base: Value, fields: Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    base.as_object_mut().unwrap().extend(fields);
    base
}

#[test]
fn a_direct_message_is_read() {
    let event = event(direct(TS, "a & <b>"));
    assert_eq!(event.id.as_str(), format!("A1:T1:D1:{TS}"));
    let message = event.message().unwrap();
    assert_eq!(
        (message.text.as_str(), message.id.as_str()),
        ("a & <b>", TS)
    );
    assert_eq!(
        (message.chat.kind, message.addressed),
        (ChatKind::Direct, Addressed::Direct)
    );
    let account = AccountRef::new(Platform::new("slack"), ADA.into()).in_workspace("T1".into());
    assert_eq!(
        (&message.sender.account, message.proof()),
        (&account, Proof::Verified)
    );
    let native = message.native::<SlackMessage>().unwrap();
    assert_eq!((native.team_id(), native.event_id()), ("T1", Some("Ev1")));
}

#[test]
fn pain_9_2_a_post_that_mentions_the_bot_is_one_event_whichever_comes_first() {
    let text = format!("<@{BOT}> hi <@U2|bob>");
    let message = event(grouped(TS, &text));
    let mut mention = grouped(TS, &text);
    mention["type"] = json!("app_mention");
    mention.as_object_mut().unwrap().remove("channel_type");
    let mention = event(mention);
    assert_eq!(message.id, mention.id);
    for event in [message, mention] {
        let message = event.message().unwrap();
        assert_eq!(
            (message.text.as_str(), message.addressed),
            ("hi @bob", Addressed::Mention)
        );
        assert_eq!(message.chat.kind, ChatKind::Group);
    }
}

#[test]
fn a_mention_is_not_lost_while_the_bot_does_not_know_who_it_is() {
    let fake = Fake::new();
    let slack = fake.channel();
    let id = |kind: &str| {
        let mut inner = grouped(TS, &format!("<@{BOT}> hi"));
        inner["type"] = json!(kind);
        let mut envelope = envelope(fake.id(), inner);
        envelope["authorizations"] = json!([]);
        let request = fake.signed("/slack/events", "application/json", envelope.to_string());
        let event = receive(&slack, request, &fake).remove(0);
        let addressed = event.message().unwrap().addressed;
        (event.id, addressed)
    };
    let (message, mention) = (id("message"), id("app_mention"));
    assert_ne!(
        message.0, mention.0,
        "the first must not take the place of the second"
    );
    assert_eq!((message.1, mention.1), (Addressed::No, Addressed::Mention));
}

#[test]
fn pain_9_1_a_redelivery_is_taken_and_is_the_same_event() {
    let fake = Fake::new();
    let slack = fake.channel();
    let mut request = fake.event(direct(TS, "hello"));
    // The first copy that arrives may well be a retry.
    for retry in ["1", "2", "3"] {
        request
            .headers_mut()
            .insert("x-slack-retry-num", retry.parse().unwrap());
        request
            .headers_mut()
            .insert("x-slack-retry-reason", "http_timeout".parse().unwrap());
        let event = receive(&slack, request.clone(), &fake).remove(0);
        assert_eq!(event.id.as_str(), format!("A1:T1:D1:{TS}"));
    }
}

#[test]
fn pain_9_3_the_same_event_of_two_apps_or_workspaces_is_two() {
    let fake = Fake::new();
    let slack = fake.channel();
    let id = |team: &str, app: &str, inner: Value| {
        let mut envelope = envelope(7, inner);
        envelope["team_id"] = json!(team);
        envelope["api_app_id"] = json!(app);
        let request = fake.signed("/slack/events", "application/json", envelope.to_string());
        receive(&slack, request, &fake).remove(0).id
    };
    for inner in [grouped(TS, "hi"), json!({"type": "telepathy"})] {
        let ids = [
            id("T1", "A1", inner.clone()),
            id("T1", "A2", inner.clone()),
            id("T2", "A1", inner),
        ];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}

#[test]
fn threads_know_their_root_and_the_bot_knows_its_own() {
    let reply = |parent: &str| {
        event(with(
            grouped(TS, "more"),
            json!({"thread_ts": ROOT, "parent_user_id": parent}),
        ))
    };
    let mine = reply(BOT);
    let message = mine.message().unwrap();
    assert_eq!(message.thread.as_ref().unwrap().as_str(), ROOT);
    assert_eq!(message.addressed, Addressed::Reply);
    assert!(message.reply_to.as_ref().unwrap().mine);
    assert_eq!(message.return_address.target().thread, message.thread);
    let theirs = reply("U2");
    assert_eq!(theirs.message().unwrap().addressed, Addressed::No);
    let broadcast = with(
        grouped(TS, "x"),
        json!({"thread_ts": ROOT, "subtype": "thread_broadcast"}),
    );
    assert!(event(broadcast).message().unwrap().thread.is_some());
    let root = event(with(grouped(ROOT, "root"), json!({"thread_ts": ROOT})));
    assert!(root.message().unwrap().thread.is_none());
}

#[test]
fn a_message_that_is_shared_with_a_comment_is_told_of() {
    let shared = json!({"attachments": [{"is_share": true, "text": "from afar"}]});
    let shared = event(with(direct(TS, "look"), shared));
    let message = shared.message().unwrap();
    assert_eq!((message.text.as_str(), message.quotes), ("look", true));
    assert!(!event(direct(TS, "look")).message().unwrap().quotes);
}

#[test]
fn bots_are_bots_and_the_bot_itself_is_never_addressed() {
    let cases = [
        (json!({"user": BOT}), BOT),
        (json!({"user": "U9", "bot_id": "B9", "app_id": "A1"}), BOT),
        (json!({"user": "U9", "bot_id": "B9", "app_id": "A9"}), "U9"),
        (
            json!({"subtype": "bot_message", "bot_id": "B9", "user": null, "username": "ci"}),
            "B9",
        ),
    ];
    for (fields, sender) in cases {
        let event = event(with(direct(TS, "hi"), fields));
        let message = event.message().unwrap();
        assert_eq!(message.sender.kind, SenderKind::Bot);
        assert_eq!(message.sender.account.sender.as_str(), sender);
        let own = sender == BOT;
        assert_eq!(message.addressed.is_to_me(), !own);
    }
}

#[test]
fn edits_are_edits_only_if_the_words_changed() {
    let changed = |edited: Value, before: Value| {
        event(
            json!({"type": "message", "subtype": "message_changed", "hidden": true, "channel": GROUP,
            "channel_type": "channel", "ts": "1700000009.000100",
            "message": with(grouped(TS, "new"), json!({"edited": edited, "channel": null})),
            "previous_message": with(grouped(TS, "old"), json!({"edited": before}))}),
        )
    };
    let at = |ts: &str| json!({"user": ADA, "ts": ts});
    let event = changed(at("2.0"), Value::Null);
    let EventKind::Edited(message) = &event.kind else {
        panic!("{event:?}");
    };
    assert_eq!((message.id.as_str(), message.text.as_str()), (TS, "new"));
    assert_eq!(message.chat.id.as_str(), GROUP);
    assert_eq!(event.id.as_str(), "A1:T1:Ev1");
    assert_eq!(message.native::<SlackMessage>().unwrap().text(), "new");
    assert_eq!(changed(at("3.0"), at("2.0")).name(), "edited");
    // A preview of a link, a count of replies.
    assert_eq!(changed(at("2.0"), at("2.0")).name(), "unknown");
    assert_eq!(changed(Value::Null, Value::Null).name(), "unknown");
}

#[test]
fn deletions_reactions_and_members_are_read() {
    let at = MessageRef::new(GROUP.into(), TS.into());
    let deleted = event(
        json!({"type": "message", "subtype": "message_deleted", "channel": GROUP,
        "ts": "9.0", "deleted_ts": TS, "previous_message": {"type": "message", "ts": TS, "thread_ts": ROOT}}),
    );
    let EventKind::Deleted(deleted) = deleted.kind else {
        panic!()
    };
    assert_eq!(deleted.messages, std::slice::from_ref(&at));
    assert_eq!(deleted.thread.unwrap().as_str(), ROOT);

    let react = |kind: &str, name: &str| {
        let item = json!({"type": "message", "channel": GROUP, "ts": TS});
        let event = event(
            json!({"type": kind, "user": ADA, "reaction": name, "item": item, "event_ts": "2.0"}),
        );
        let EventKind::Reaction(reaction) = event.kind else {
            panic!()
        };
        reaction
    };
    let added = react("reaction_added", "eyes");
    assert_eq!(
        (&added.message, added.added),
        (&at, vec!["\u{1f440}".to_owned()])
    );
    assert_eq!(
        react("reaction_removed", "party-parrot").removed,
        ["party-parrot"]
    );

    let joined = event(
        json!({"type": "member_joined_channel", "user": BOT, "channel": GROUP,
        "channel_type": "C", "team": "T1", "inviter": ADA}),
    );
    let EventKind::Membership(joined) = joined.kind else {
        panic!()
    };
    assert!(joined.is_me && joined.state == MemberState::Joined);
    assert_eq!(joined.chat.kind, ChatKind::Group);
    let left = event(json!({"type": "member_left_channel", "user": ADA, "channel": GROUP}));
    let EventKind::Membership(left) = left.kind else {
        panic!()
    };
    assert!(!left.is_me && left.state == MemberState::Left);
}

#[test]
fn files_come_with_their_names_and_kinds() {
    let file = |id: &str, mime: &str, url: Value| json!({"id": id, "name": format!("{id}.x"), "mimetype": mime, "size": 5, "url_private_download": url});
    let url = "https://files.slack.com/files-pri/T1-F1/a.png";
    let message = with(
        direct(TS, "see"),
        json!({"subtype": "file_share", "files": [
            file("F1", "image/png", json!(url)),
            file("F2", "application/pdf", Value::Null),
        ]}),
    );
    let event = event(message);
    let files = &event.message().unwrap().attachments;
    assert_eq!(
        (files[0].id.as_str(), files[0].kind),
        (url, channel_core::AttachmentKind::Image)
    );
    // In a shared channel the address has to be asked for.
    assert_eq!((files[1].id.as_str(), files[1].bytes), ("F2", Some(5)));
}

#[test]
fn a_guest_of_a_shared_channel_is_of_its_own_workspace() {
    let fake = Fake::new();
    let slack = fake.channel();
    let team = |shared: bool| {
        let mut envelope = envelope(1, with(grouped(TS, "hi"), json!({"user_team": "T9"})));
        envelope["is_ext_shared_channel"] = json!(shared);
        let request = fake.signed("/slack/events", "application/json", envelope.to_string());
        let event = receive(&slack, request, &fake).remove(0);
        event
            .message()
            .unwrap()
            .sender
            .account
            .workspace
            .clone()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        (team(true), team(false)),
        ("T9".to_owned(), "T1".to_owned())
    );
}

#[test]
fn lifecycle_events_are_told_apart() {
    let revoked =
        event(json!({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": [BOT]}}));
    let lifecycle = Lifecycle::of(&revoked).unwrap();
    assert_eq!(
        (lifecycle.team_id.as_str(), lifecycle.app_id.as_str()),
        ("T1", "A1")
    );
    let change = LifecycleChange::TokensRevoked {
        bots: vec![BOT.to_owned()],
        users: vec!["U1".to_owned()],
    };
    assert_eq!(lifecycle.change, change);
    let gone = event(json!({"type": "app_uninstalled"}));
    assert_eq!(
        Lifecycle::of(&gone).unwrap().change,
        LifecycleChange::Uninstalled
    );
    assert_eq!(Lifecycle::of(&event(direct(TS, "hi"))), None);
}

#[test]
fn events_of_a_workspace_that_the_token_is_not_of_are_kept_and_not_handled() {
    use channel_core::Channel as _;
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async { slack.probe().await.unwrap() });
    let mut foreign = envelope(1, direct(TS, "hi"));
    foreign["team_id"] = json!("T2");
    let request = fake.signed("/slack/events", "application/json", foreign.to_string());
    let event = receive(&slack, request, &fake).remove(0);
    let EventKind::Unknown(unknown) = event.kind else {
        panic!()
    };
    assert_eq!(unknown.name, "other_workspace");
    let mut payload = press("3.0", "D1", TS, "v");
    payload["team"]["id"] = json!("T2");
    let event = receive(&slack, fake.interaction(payload), &fake).remove(0);
    assert_eq!(event.name(), "unknown");
}

#[test]
fn a_press_brings_its_value_and_its_place() {
    let fake = Fake::new();
    let mut payload = press("1700000003.000100", GROUP, TS, "yes");
    payload["container"]["thread_ts"] = json!(ROOT);
    payload["channel"]["name"] = json!("general");
    payload["state"] =
        json!({"values": {"b": {"note": {"type": "plain_text_input", "value": "why"}}}});
    let events = receive(&fake.channel(), fake.interaction(payload), &fake);
    let [
        Event {
            id,
            kind: EventKind::Action(action),
            ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(id.as_str(), "A1:T1:1700000003.000100:U1:kit-0-1");
    assert_eq!(
        (action.value.as_str(), action.chat.id.as_str()),
        ("yes", GROUP)
    );
    assert_eq!(action.chat.title.as_deref(), Some("general"));
    assert_eq!(action.message.as_ref().unwrap().as_str(), TS);
    assert_eq!(action.thread.as_ref().unwrap().as_str(), ROOT);
    assert_eq!(action.fields, [("note".to_owned(), "why".to_owned())]);
    assert!(!format!("{events:?}").contains("hooks.slack.com"));
    let mut several = press("1700000003.000100", GROUP, TS, "");
    several["actions"] = json!([{"type": "checkboxes", "action_id": "c", "action_ts": "4.0",
        "selected_options": [{"value": "a"}, {"value": "b"}]}]);
    let events = receive(&fake.channel(), fake.interaction(several), &fake);
    let EventKind::Action(action) = &events[0].kind else {
        panic!()
    };
    assert_eq!(action.value, "a,b");
}

#[test]
fn dialogs_and_shortcuts_are_actions() {
    let fake = Fake::new();
    let slack = fake.channel();
    let base = |kind: &str| {
        json!({"type": kind, "team": {"id": "T1"}, "user": {"id": ADA, "team_id": "T1"},
            "api_app_id": "A1", "trigger_id": "9.8.7", "callback_id": "ask"})
    };
    let action = |payload: Value| {
        let events = receive(&slack, fake.interaction(payload), &fake);
        match events.into_iter().next().unwrap().kind {
            EventKind::Action(action) => action,
            other => panic!("{other:?}"),
        }
    };
    let values = json!({"b1": {"name": {"type": "plain_text_input", "value": "Ada"}},
        "b2": {"where": {"type": "static_select", "selected_option": {"text": {"type": "plain_text", "text": "L"}, "value": "live"}}},
        "b3": {"who": {"type": "multi_users_select", "selected_users": ["U1", "U2"]}},
        "b4": {"empty": {"type": "plain_text_input", "value": null}}});
    let mut dialog = base("view_submission");
    dialog["view"] = json!({"id": "V1", "hash": "1.h", "callback_id": "deploy", "private_metadata": "42",
        "state": {"values": values}});
    let submitted = action(dialog);
    assert_eq!(submitted.value, "deploy");
    let fields: Vec<_> = submitted
        .fields
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("name", "Ada"),
            ("where", "live"),
            ("who", "U1,U2"),
            ("private_metadata", "42")
        ]
    );
    // A dialog is nowhere: the answer goes to whoever filled it in.
    assert_eq!(submitted.return_address.target().chat.as_str(), ADA);
    assert_eq!(action(base("shortcut")).value, "ask");
    let mut on_message = base("message_action");
    on_message["channel"] = json!({"id": GROUP, "name": "general"});
    on_message["message"] = json!({"ts": TS, "thread_ts": ROOT});
    let on_message = action(on_message);
    assert_eq!(
        (on_message.value.as_str(), on_message.chat.id.as_str()),
        ("ask", GROUP)
    );
    assert_eq!(on_message.message.as_ref().unwrap().as_str(), TS);
    let closed = receive(&slack, fake.interaction(base("view_closed")), &fake);
    assert_eq!(closed[0].name(), "unknown");
}

/// A slash command as Slack sends it.
pub(crate) fn slash(text: &str) -> String {
    format!(
        "token=x&team_id=T1&team_domain=kit&channel_id={GROUP}&channel_name=general&user_id={ADA}&user_name=ada\
         &command=%2Fkit&text={}&api_app_id=A1&is_enterprise_install=false\
         &response_url=https%3A%2F%2Fhooks.slack.com%2Factions%2FT1%2F2%2Fy&trigger_id=5.6.7",
        percent(text)
    )
}

#[test]
fn a_slash_command_is_a_message_for_the_bot() {
    let fake = Fake::new();
    let slack = fake.channel();
    let form = "application/x-www-form-urlencoded";
    let event = |text: &str| {
        let request = fake.signed("/slack/commands", form, slash(text));
        receive(&slack, request, &fake).remove(0)
    };
    let asked = event("deploy <@U2|bob> now");
    assert_eq!(asked.id.as_str(), "A1:T1:5.6.7");
    let message = asked.message().unwrap();
    assert_eq!(
        (message.text.as_str(), message.addressed),
        ("/kit deploy @bob now", Addressed::Command)
    );
    let command = message.command().unwrap();
    assert_eq!(
        (command.name, command.arguments),
        ("kit", "deploy @bob now")
    );
    assert_eq!(message.sender.account.sender.as_str(), ADA);
    assert_eq!(
        message.native::<SlackMessage>().unwrap().text(),
        message.text
    );
    assert_eq!(event("").message().unwrap().text, "/kit");
    // The same over a socket's JSON is tested with the socket.
    let probe = fake.signed("/slack/commands", form, "ssl_check=1&token=x");
    assert!(receive(&slack, probe, &fake).is_empty());
}

#[test]
fn slack_says_when_it_drops_events() {
    let fake = Fake::new();
    let body = json!({"token": "x", "type": "app_rate_limited", "team_id": "T1",
        "minute_rate_limited": 1_518_467_820, "api_app_id": "A1"});
    let request = fake.signed("/slack/events", "application/json", body.to_string());
    let events = receive(&fake.channel(), request, &fake);
    assert_eq!(events[0].id.as_str(), "A1:T1:app_rate_limited.1518467820");
    assert_eq!(events[0].name(), "unknown");
}
