//! The group bot, end to end.

use channel_core::{
    Attachment, AttachmentKind, Body, Button, Channel as _, Content, ErrorKind, EventKind, FileId,
    Inline, Media as _, Message, OutboundMessage, Target, Upload,
};
use channel_testkit::Reply;
use channel_wecom::WecomBot;
use http::StatusCode;
use serde_json::json;

use crate::sealing::{KEY, TOKEN};
use crate::server::{HOOK, Server};

fn xml(url: &str, kind: &str, inside: &str) -> String {
    format!(
        "<xml><WebhookUrl><![CDATA[{url}]]></WebhookUrl><MsgId>M1</MsgId><ChatId>wrC1</ChatId><ChatType>group</ChatType>\
        <From><UserId>zhangsan</UserId><Name>Z</Name><Alias>z</Alias></From><GetChatInfoUrl><![CDATA[https://x]]></GetChatInfoUrl>\
        <MsgType>{kind}</MsgType>{inside}</xml>"
    )
}

fn text(url: &str, words: &str) -> String {
    xml(
        url,
        "text",
        &format!("<Text><Content><![CDATA[{words}]]></Content></Text>"),
    )
}

fn message(server: &Server, bot: &WecomBot, plain: &str) -> Message {
    let event = server.bot_callbacks().event(bot, plain);
    event.message().unwrap().clone()
}

#[test]
fn a_mention_comes_in_and_a_reply_goes_out() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    let message = message(&server, &bot, &text(HOOK, "@RobotA hi"));
    assert_eq!(message.text, "hi");
    assert_eq!(message.chat.id.as_str(), "wrC1");
    assert_eq!(message.sender.name.as_deref(), Some("Z"));
    assert!(message.addressed.is_to_me());
    server.run(bot.send(&message.reply("echo: hi"))).unwrap();
    assert_eq!(
        server.sent()[0].body,
        json!({"msgtype": "text", "text": {"content": "echo: hi"}})
    );
}

#[test]
fn the_json_form_says_the_same() {
    let server = Server::new();
    let bot = server.bot().name("@Robot A").build().unwrap();
    let json = json!({"webhook_url": HOOK, "msgid": "M1", "chatid": "wrC1", "chattype": "group",
        "from": {"userid": "zhangsan", "name": "Z", "alias": "z"}, "msgtype": "text", "text": {"content": "@Robot A hi"}});
    let by_json = message(&server, &bot, &json.to_string());
    let by_xml = message(&server, &bot, &text(HOOK, "@Robot A hi"));
    assert_eq!(by_json.text, "hi");
    assert_eq!(by_json.text, by_xml.text);
    assert_eq!(by_json.sender, by_xml.sender);
    assert_eq!(by_json.return_address, by_xml.return_address);
}

#[test]
fn a_reply_goes_to_the_group_that_asked() {
    let server = Server::new();
    let other = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=another-group";
    // No webhook of its own: it lives off what the messages bring.
    let bot = WecomBot::builder()
        .callback(TOKEN, KEY)
        .transport(server.fake.transport())
        .build()
        .unwrap();
    let target = OutboundMessage::new(Target::chat("wrC1"), "x");
    let error = server.run(bot.send(&target)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let message = message(&server, &bot, &text(other, "hi"));
    assert!(!format!("{message:?}").contains("another-group"));
    for send in [message.reply("a"), target] {
        let error = server.run(bot.send(&send)).unwrap_err();
        assert_eq!(error.code(), Some("93000"));
    }
    let calls = server.calls("/cgi-bin/webhook/send");
    assert!(calls.iter().all(|call| *call.request.uri() == other));
    assert_eq!(calls.len(), 2);
}

#[test]
fn an_address_that_is_not_wecoms_is_not_written_to() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    for url in [
        "https://evil.example/cgi-bin/webhook/send?key=x",
        "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x",
        "https://qyapi.weixin.qq.com/cgi-bin/other?key=x",
        "https://qyapi.weixin.qq.com@evil.example/cgi-bin/webhook/send?key=x",
        "http://169.254.169.254/cgi-bin/webhook/send?key=x",
        "",
    ] {
        let message = message(&server, &bot, &text(url, "hi"));
        server.run(bot.send(&message.reply("x"))).unwrap();
        let call = server.calls("/").pop().unwrap();
        assert_eq!(call.request.uri().to_string(), HOOK, "{url}");
    }
}

#[test]
fn a_stored_address_is_checked_again() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    let message = message(&server, &bot, &text(HOOK, "hi"));
    let stored = serde_json::to_string(&message.reply("x")).unwrap();
    let forged = stored.replace("https://qyapi.weixin.qq.com", "https://evil.example");
    assert_ne!(stored, forged);
    let forged: OutboundMessage = serde_json::from_str(&forged).unwrap();
    server.run(bot.send(&forged)).unwrap();
    assert_eq!(server.calls("/")[0].request.uri().to_string(), HOOK);
}

#[test]
fn every_dialect_is_used_for_what_it_has() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    let mention = Content::paragraph([
        Inline::Mention {
            id: Some("lisi".into()),
            name: "@Li".to_owned(),
        },
        Inline::text(" look"),
    ]);
    for (body, kind) in [
        (Body::plain("**x**"), "text"),
        (Body::markdown("**x**"), "markdown_v2"),
        (Body::Content(mention), "markdown"),
    ] {
        server
            .run(bot.send(&OutboundMessage::new(Target::chat("wrC1"), body)))
            .unwrap();
        assert_eq!(server.sent().last().unwrap().body["msgtype"], kind);
    }
    assert_eq!(server.sent()[2].body["markdown"]["content"], "<@lisi> look");
}

#[test]
fn pictures_travel_inside_and_other_files_beside_the_message() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    let png = &b"\x89PNG\r\n\x1a\nrest"[..];
    let message = OutboundMessage::new(Target::chat("wrC1"), "")
        .attach(Upload::image("a.png", png))
        .attach(Upload::file("b.txt", &b"hello!"[..]));
    server.run(bot.send(&message)).unwrap();
    let sent = server.sent();
    // The digest is of RFC 1321's own making: checked with md5sum.
    assert_eq!(
        sent[0].body["image"]["md5"],
        "fe70374a342a551816afeafd712d358c"
    );
    assert_eq!(sent[0].body["image"]["base64"], "iVBORw0KGgpyZXN0");
    assert_eq!(sent[1].file.as_ref().unwrap().0, "b.txt");
    let upload = &server.calls("/cgi-bin/webhook/upload_media")[0];
    assert!(
        upload
            .request
            .uri()
            .query()
            .unwrap()
            .ends_with("&type=file")
    );
}

#[test]
fn buttons_become_words_where_there_are_none() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    let message = OutboundMessage::new(Target::chat("wrC1"), "choose").buttons([
        Button::press("A", "a"),
        Button::open("Docs", "https://x.example"),
    ]);
    server.run(bot.send(&message)).unwrap();
    let words: Vec<_> = server
        .sent()
        .iter()
        .map(crate::server::Sent::words)
        .collect();
    assert_eq!(words, ["choose", "\u{b7} A\nDocs: https://x.example"]);
}

#[test]
fn events_of_a_group_are_what_they_mean() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    let kind = |kind: &str, inside: &str| {
        server
            .bot_callbacks()
            .event(&bot, &xml(HOOK, kind, inside))
            .kind
    };
    let EventKind::Membership(joined) =
        kind("event", "<Event><EventType>add_to_chat</EventType></Event>")
    else {
        panic!()
    };
    assert!(joined.is_me);
    let press = "<Attachment><CallbackId>cb</CallbackId><Actions><Name>n</Name><Value>v</Value><Type>button</Type></Actions></Attachment>";
    let EventKind::Action(press) = kind("attachment", press) else {
        panic!()
    };
    assert_eq!(press.value, "v");
    let mixed = "<MixedMessage><MsgItem><MsgType>text</MsgType><Text><Content>a</Content></Text></MsgItem>\
        <MsgItem><MsgType>image</MsgType><Image><ImageUrl>https://i.example/1</ImageUrl></Image></MsgItem></MixedMessage>";
    let EventKind::Message(mixed) = kind("mixed", mixed) else {
        panic!()
    };
    assert_eq!((mixed.text.as_str(), mixed.attachments.len()), ("a", 1));
    for inside in [
        "<Event><EventType>enter_chat</EventType></Event>",
        "<Event><EventType>new</EventType></Event>",
        "",
    ] {
        assert!(matches!(kind("event", inside), EventKind::Unknown(_)));
    }
}

#[test]
fn pictures_are_fetched_through_the_guard() {
    let server = Server::new();
    let bot = server.bot().build().unwrap();
    server
        .fake
        .http
        .get("/p", |_| Reply::bytes(StatusCode::OK, &b"picture"[..]));
    let download = |id: &str| {
        let attachment = Attachment::new(FileId::new(id), AttachmentKind::Image);
        server.run(bot.download(&attachment, 100))
    };
    assert_eq!(download(" https://wework.example/p").unwrap(), "picture");
    assert!(server.calls("/p")[0].guarded);
    assert_eq!(
        download(" https://qyapi.weixin.qq.com/p").unwrap(),
        "picture"
    );
    assert!(!server.calls("/p")[1].guarded);
    assert_eq!(
        download("no-address").unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn settings_are_checked_when_the_channel_is_built() {
    let server = Server::new();
    let build = |builder: channel_wecom::WecomBotBuilder| {
        builder
            .transport(server.fake.transport())
            .build()
            .map(|_| ())
            .map_err(|error| {
                assert_eq!(error.kind(), ErrorKind::Config);
                error.to_string()
            })
    };
    assert!(
        build(WecomBot::builder())
            .unwrap_err()
            .contains("webhook_url")
    );
    assert!(build(WecomBot::builder().webhook_url(HOOK)).is_ok());
    assert!(build(WecomBot::builder().callback(TOKEN, KEY)).is_ok());
    assert!(
        build(WecomBot::builder().webhook_url("http://127.0.0.1:9/cgi-bin/webhook/send?key=x"))
            .is_ok()
    );
    for bad in [
        "",
        "x",
        "https://qyapi.weixin.qq.com/",
        "https://x/cgi-bin/webhook/send?key=a b",
    ] {
        let error = build(WecomBot::builder().webhook_url(bad)).unwrap_err();
        assert!(error.contains("webhook_url"), "{error}");
    }
    let shown = format!("{:?}", server.bot());
    assert!(!shown.contains("canary"), "{shown}");
}
