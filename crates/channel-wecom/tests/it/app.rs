//! The custom app, end to end.

use std::time::Duration;

use channel_core::{
    Body, Button, Card, Cards as _, Channel as _, Clock as _, ErrorKind, EventKind, MemberState,
    Message, OutboundMessage, Parts as _, Target, Upload,
};
use channel_wecom::{WecomApp, WecomAppConfig};
use futures_util::future::join_all;

use crate::sealing::{CORP, KEY, TOKEN, seconds};
use crate::server::{AGENT, SECRET, Server};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of a picture";

fn text(server: &Server, id: &str, text: &str) -> String {
    let at = seconds(&server.fake.clock);
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[ZhangSan]]></FromUserName><CreateTime>{at}</CreateTime>\
        <MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content><MsgId>{id}</MsgId><AgentID>{AGENT}</AgentID></xml>"
    )
}

fn event(server: &Server, inside: &str) -> String {
    let at = seconds(&server.fake.clock);
    format!(
        "<xml><ToUserName>{CORP}</ToUserName><FromUserName>ZhangSan</FromUserName><CreateTime>{at}</CreateTime>\
        <MsgType>event</MsgType>{inside}<AgentID>{AGENT}</AgentID></xml>"
    )
}

fn message(server: &Server, app: &WecomApp, words: &str) -> Message {
    let event = server
        .app_callbacks()
        .event(app, &text(server, "18446744073709551615", words));
    event.message().unwrap().clone()
}

#[test]
fn a_callback_comes_in_and_a_reply_goes_out() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let message = message(&server, &app, "hi");
    // All digits of the id, and the user as written.
    assert_eq!(message.id.as_str(), "18446744073709551615");
    assert_eq!(
        message.sender.account.to_string(),
        format!("wecom:{CORP}:ZhangSan")
    );
    assert_eq!(message.text, "hi");
    let receipt = server.run(app.send(&message.reply("echo: hi"))).unwrap();
    let sent = server.sent();
    assert_eq!(sent[0].body["touser"], "ZhangSan");
    assert_eq!(sent[0].body["agentid"], AGENT);
    assert_eq!(sent[0].body["text"]["content"], "echo: hi");
    assert_eq!(receipt.first().unwrap().id.as_str(), sent[0].id);
}

#[test]
fn characters_go_out_as_they_are() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let message = OutboundMessage::new(Target::chat("u"), "\u{4f60}\u{597d} \u{1f600}");
    server.run(app.send(&message)).unwrap();
    let raw = server.calls("/cgi-bin/message/send")[0].text();
    assert!(raw.contains("\u{4f60}\u{597d} \u{1f600}"), "{raw}");
}

#[test]
fn a_crowd_shares_one_token() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let message = OutboundMessage::new(Target::chat("u"), "x");
    let sends = (0..10).map(|_| app.send(&message));
    let sent = server.run(join_all(sends));
    assert!(sent.iter().all(Result::is_ok));
    assert_eq!(server.calls("/cgi-bin/gettoken").len(), 1);
    // Renewed 300 s before its end, and not a moment sooner.
    for (wait, tokens) in [(6_899, 1), (2, 2)] {
        server.fake.clock.advance(Duration::from_secs(wait));
        server.run(app.send(&message)).unwrap();
        assert_eq!(server.calls("/cgi-bin/gettoken").len(), tokens, "{wait}");
    }
}

#[test]
fn a_token_that_died_is_replaced_once_for_all() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let message = OutboundMessage::new(Target::chat("u"), "x");
    server.run(app.send(&message)).unwrap();
    server.state.lock().unwrap().expired = 1;
    let sent = server.run(join_all((0..5).map(|_| app.send(&message))));
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(server.calls("/cgi-bin/gettoken").len(), 2);
    assert_eq!(server.sent().len(), 6);
}

#[test]
fn pain_a_token_that_stays_invalid_ends_in_an_error_and_no_loop() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    for _ in 0..9 {
        server.refuse("/cgi-bin/message/send", 40_014);
    }
    let message = OutboundMessage::new(Target::chat("u"), "x");
    let error = server.run(app.send(&message)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(error.code(), Some("40014"));
    assert_eq!(server.calls("/cgi-bin/message/send").len(), 2);
    assert_eq!(server.calls("/cgi-bin/gettoken").len(), 2);
}

#[test]
fn a_wrong_secret_is_asked_once_by_a_crowd() {
    let server = Server::new();
    let app = server.app().corp_secret("another").build().unwrap();
    let message = OutboundMessage::new(Target::chat("u"), "x");
    let sent = server.run(join_all((0..8).map(|_| app.send(&message))));
    for result in sent {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    assert_eq!(server.calls("/cgi-bin/gettoken").len(), 1);
    // Asked again later: somebody may have mended it.
    server.fake.clock.advance(Duration::from_secs(6));
    let _ = server.run(app.send(&message));
    assert_eq!(server.calls("/cgi-bin/gettoken").len(), 2);
}

#[test]
fn a_message_for_everybody_is_not_sent_by_accident() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    for to in ["@all", "@ALL", "a|b", ""] {
        let error = server.run(app.send(&OutboundMessage::new(Target::chat(to), "x")));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid, "{to}");
    }
    assert!(server.calls("/cgi-bin/").is_empty());
}

#[test]
fn codes_say_what_to_do_next() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let message = OutboundMessage::new(Target::chat("u"), "x");
    for (code, kind) in [
        (-1, ErrorKind::Unavailable),
        (81_013, ErrorKind::NotFound),
        (60_011, ErrorKind::Forbidden),
        (60_020, ErrorKind::Config),
        (45_009, ErrorKind::RateLimited),
        (45_033, ErrorKind::RateLimited),
        (301_002, ErrorKind::Unauthenticated),
        (44_004, ErrorKind::Invalid),
        (45_002, ErrorKind::Invalid),
        (99_999, ErrorKind::Invalid),
    ] {
        server.refuse("/cgi-bin/message/send", code);
        let error = server.run(app.send(&message)).unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert_eq!(error.code(), Some(code.to_string().as_str()));
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
        let waits = kind == ErrorKind::RateLimited;
        assert_eq!(
            error.retry_after(),
            waits.then_some(Duration::from_secs(60))
        );
    }
}

#[test]
fn files_go_as_what_wecom_takes_them_for() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let to = Target::chat("u");
    let mut large = PNG.to_vec();
    large.resize((10 << 20) + 1, 0);
    let uploads = [
        Upload::image("a.png", PNG),
        Upload::image("b.gif", &b"GIF89a rest"[..]),
        Upload::image("c.png", large),
        Upload::file("d.txt", &b"hello!"[..]),
    ];
    for (upload, kind) in uploads.into_iter().zip(["image", "file", "file", "file"]) {
        let name = upload.name.clone();
        let message = OutboundMessage::new(to.clone(), "").attach(upload);
        server.run(app.send(&message)).unwrap();
        let sent = server.sent().pop().unwrap();
        assert_eq!(sent.body["msgtype"], kind, "{name}");
        assert_eq!(sent.file.unwrap().0, name);
    }
    let uploads = server.calls("/cgi-bin/media/upload");
    assert!(
        uploads[0]
            .request
            .uri()
            .query()
            .unwrap()
            .ends_with("&type=image")
    );
    for bad in [&b""[..], &b"hello"[..]] {
        let message = OutboundMessage::new(to.clone(), "").attach(Upload::file("x", bad));
        let error = server.run(app.send(&message)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    server.refuse("/cgi-bin/media/upload", 40_006);
    let message = OutboundMessage::new(Target::chat("u"), "words")
        .attach(Upload::file("bad.txt", &b"refused"[..]))
        .attach(Upload::file("good.txt", &b"taken ok"[..]));
    let error = server.run(app.send(&message)).unwrap_err();
    assert_eq!(error.delivered().unwrap().messages.len(), 2);
    let names: Vec<_> = server
        .sent()
        .into_iter()
        .filter_map(|sent| sent.file)
        .collect();
    assert_eq!(names[0].0, "good.txt");
}

#[test]
fn parts_are_those_of_the_whole_message() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let long = OutboundMessage::new(Target::chat("u"), "word ".repeat(1000))
        .attach(Upload::file("d.txt", &b"hello!"[..]));
    let count = app.parts(&long).unwrap();
    assert_eq!(count, 4);
    for part in 0..count {
        let receipt = server.run(app.send_part(&long, part)).unwrap();
        assert_eq!(receipt.messages.len(), 1);
    }
    assert_eq!(server.sent().len(), count);
    let error = server.run(app.send_part(&long, count)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn formatted_text_is_markdown_unless_people_read_in_wechat() {
    for (markdown, kind) in [(true, "markdown"), (false, "text")] {
        let server = Server::new();
        let app = server.app().markdown(markdown).build().unwrap();
        let body = Body::markdown("**bold** [x](https://x.example)");
        server
            .run(app.send(&OutboundMessage::new(Target::chat("u"), body)))
            .unwrap();
        assert_eq!(server.sent()[0].body["msgtype"], kind);
    }
}

#[test]
fn events_of_an_app_are_what_they_mean() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let kind = |inside: &str| {
        server
            .app_callbacks()
            .event(&app, &event(&server, inside))
            .kind
    };
    let EventKind::Membership(joined) = kind("<Event>subscribe</Event>") else {
        panic!()
    };
    assert_eq!(joined.state, MemberState::Joined);
    let EventKind::Membership(left) = kind("<Event>unsubscribe</Event>") else {
        panic!()
    };
    assert_eq!(left.state, MemberState::Removed);
    let EventKind::Action(click) = kind("<Event>click</Event><EventKey>K</EventKey>") else {
        panic!()
    };
    assert_eq!((click.value.as_str(), click.message), ("K", None));
    let chosen = "<Event>template_card_event</Event><EventKey>submit</EventKey><TaskId>t1</TaskId ><ResponseCode>RC</ResponseCode>\
        <SelectedItems><SelectedItem><QuestionKey>q</QuestionKey><OptionIds><OptionId>a</OptionId><OptionId>b</OptionId></OptionIds></SelectedItem></SelectedItems>";
    let EventKind::Action(action) = kind(chosen) else {
        panic!()
    };
    assert_eq!(action.value, "a,b");
    assert_eq!(action.message.as_ref().unwrap().as_str(), "t1");
    assert!(!format!("{action:?}").contains("RC"), "{action:?}");
    for name in [
        "LOCATION",
        "enter_agent",
        "view",
        "batch_job_result",
        "something_new",
    ] {
        let EventKind::Unknown(_) = kind(&format!("<Event>{name}</Event>")) else {
            panic!("{name}")
        };
    }
}

#[test]
fn events_without_an_id_have_one_that_a_retry_repeats() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let callbacks = server.app_callbacks();
    let first = event(&server, "<Event>click</Event><EventKey>A</EventKey>");
    let other = event(&server, "<Event>click</Event><EventKey>B</EventKey>");
    let id = |xml: &str| callbacks.event(&app, xml).id;
    assert_eq!(id(&first), id(&first));
    assert_ne!(id(&first), id(&other));
    server.fake.clock.advance(Duration::from_secs(1));
    assert_ne!(
        id(&first),
        id(&event(
            &server,
            "<Event>click</Event><EventKey>A</EventKey>"
        ))
    );
}

#[test]
fn every_kind_of_message_is_read() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let read = |kind: &str, inside: &str| {
        let at = seconds(&server.fake.clock);
        let xml = format!(
            "<xml><ToUserName>{CORP}</ToUserName><FromUserName>u</FromUserName><CreateTime>{at}</CreateTime>\
            <MsgType>{kind}</MsgType>{inside}<MsgId>5</MsgId><AgentID>{AGENT}</AgentID></xml>"
        );
        server.app_callbacks().event(&app, &xml)
    };
    for (kind, inside, text, files) in [
        (
            "image",
            "<PicUrl>http://p</PicUrl><MediaId>M</MediaId>",
            "",
            1,
        ),
        ("voice", "<MediaId>M</MediaId><Format>amr</Format>", "", 1),
        (
            "video",
            "<MediaId>M</MediaId><ThumbMediaId>T</ThumbMediaId>",
            "",
            1,
        ),
        (
            "file",
            "<FileName>a.txt</FileName><MediaId>M</MediaId>",
            "",
            1,
        ),
        (
            "location",
            "<Location_X>23.1</Location_X><Location_Y>113.3</Location_Y><Label>L</Label>",
            "L (23.1, 113.3)",
            0,
        ),
        (
            "link",
            "<Title>T</Title><Description>D</Description><Url>https://u</Url>",
            "T\nD\nhttps://u",
            0,
        ),
    ] {
        let event = read(kind, inside);
        let message = event.message().unwrap();
        assert_eq!(
            (message.text.as_str(), message.attachments.len()),
            (text, files),
            "{kind}"
        );
    }
    assert!(matches!(read("telepathy", "").kind, EventKind::Unknown(_)));
}

#[test]
fn a_callback_of_another_app_is_refused() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let other = text(&server, "1", "x").replace(&AGENT.to_string(), "1000003");
    let refused = server.app_callbacks().deliver(&app, &other).unwrap_err();
    assert_eq!(
        (refused.status().as_u16(), refused.reason()),
        (401, "agent")
    );
}

#[test]
fn without_a_token_nothing_comes_in() {
    let server = Server::new();
    let config = WecomAppConfig::new(CORP, SECRET, AGENT);
    let app = channel_wecom::WecomAppBuilder::from(config)
        .transport(server.fake.transport())
        .build()
        .unwrap();
    assert!(app.as_webhook().is_none());
    let request = server.app_callbacks().request(&text(&server, "1", "x"));
    assert!(channel_core::Webhook::receive(&app, &request, server.fake.clock.now()).is_err());
}

#[test]
fn settings_are_checked_when_the_channel_is_built() {
    let server = Server::new();
    let build = |change: fn(channel_wecom::WecomAppBuilder) -> channel_wecom::WecomAppBuilder| {
        change(server.app()).build().map(|_| ()).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Config);
            error.to_string()
        })
    };
    assert!(build(|app| app).is_ok());
    assert!(
        build(|app| app.corp_id(""))
            .unwrap_err()
            .contains("corp_id")
    );
    assert!(build(|app| app.corp_id("a b")).is_err());
    assert!(
        build(|app| app.corp_secret(""))
            .unwrap_err()
            .contains("corp_secret")
    );
    assert!(
        build(|app| app.callback("", KEY))
            .unwrap_err()
            .contains("token")
    );
    assert!(
        build(|app| app.callback(TOKEN, "short"))
            .unwrap_err()
            .contains("encoding_aes_key")
    );
    assert!(
        build(|app| app.api_base("ftp://x"))
            .unwrap_err()
            .contains("api_base")
    );
    assert!(build(|app| app.api_base("https://u@x")).is_err());
    assert!(
        build(|app| app.webhook_path("x"))
            .unwrap_err()
            .contains("webhook_path")
    );
    let shown = format!("{:?} {:?}", server.app(), server.app().build().unwrap());
    for secret in [TOKEN, KEY, SECRET] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_message_that_breaks_off_is_not_to_be_sent_again_as_a_whole() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let failure = channel_testkit::Failure::RateLimited(Duration::from_secs(3));
    server.state.lock().unwrap().failure = Some((1, failure));
    let long = OutboundMessage::new(Target::chat("u"), "word ".repeat(1000));
    let error = server.run(app.send(&long)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    assert_eq!(error.delivered().unwrap().messages.len(), 1);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert!(error.message().starts_with("part 2 of 3"), "{error}");
    // Nothing had arrived: the whole may be tried again.
    server.state.lock().unwrap().failure = Some((0, failure));
    let error = server.run(app.send(&long)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
}

#[test]
fn a_later_part_that_has_not_left_is_tried_again() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let long = OutboundMessage::new(Target::chat("u"), "word ".repeat(1000));
    server.state.lock().unwrap().failure = Some((1, channel_testkit::Failure::ServerError));
    let mend = async {
        server.fake.clock.sleep(Duration::from_millis(600)).await;
        server.state.lock().unwrap().failure = None;
    };
    let sent = server
        .run(futures_util::future::join(app.send(&long), mend))
        .0;
    assert_eq!(sent.unwrap().messages.len(), 3);
    assert_eq!(server.sent().len(), 3);
}

#[test]
fn a_body_over_the_bound_is_not_read() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let mut request = server.app_callbacks().request(&text(&server, "1", "x"));
    *request.body_mut() = vec![b' '; (4 << 20) + 1].into();
    let refused = channel_core::Webhook::receive(&app, &request, server.fake.clock.now());
    assert_eq!(refused.unwrap_err().status().as_u16(), 413);
}

#[test]
fn a_card_can_be_changed_once_it_was_sent() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let card = Card::new("Deploy?").actions([Button::press("Yes", "y")]);
    let message = OutboundMessage::new(Target::chat("u"), "").card(card);
    let at = server.run(app.send(&message)).unwrap().messages.remove(0);
    // A failure that changed nothing uses nothing up.
    server.refuse("/cgi-bin/message/update_template_card", -1);
    let done = Card::new("Done").note("by ada");
    let error = server.run(app.update_card(&at, &done)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    server.run(app.update_card(&at, &done)).unwrap();
    assert!(server.sent()[0].words().contains("Done"));
    // What WeCom gave for it works once.
    let error = server.run(app.update_card(&at, &done)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
