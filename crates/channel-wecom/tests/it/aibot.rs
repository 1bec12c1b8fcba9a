//! The AI bot by callback: an answer that the platform comes to fetch.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Accepted, Actions as _, Answer, AttachmentKind, Body, Button, Card, Cards as _, Channel as _,
    Clock as _, ErrorKind, EventKind, Media as _, Message, OutboundMessage, Stream as _, Target,
    Upload, timeout,
};
use channel_testkit::{Reply, assert_absent};
use channel_wecom::{WecomAibot, WecomAibotBuilder};
use futures_util::future::join;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::sealing::{KEY, Platform, TOKEN, Wrap, now};
use crate::server::Server;

pub(crate) const URL: &str =
    "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=syntheticRESPONSEcanary";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of a picture";

pub(crate) fn builder(server: &Server) -> WecomAibotBuilder {
    WecomAibot::builder()
        .callback(TOKEN, KEY)
        .transport(server.fake.transport())
}

pub(crate) fn callbacks(server: &Server) -> Platform {
    let clock = server.fake.clock.clone();
    Platform::new(clock, "/webhook/wecom-aibot", Wrap::Json, "")
}

fn text(id: &str, words: &str) -> Value {
    json!({"msgid": id, "aibotid": "aib1", "chattype": "single", "from": {"userid": "zhangsan"},
        "response_url": URL, "msgtype": "text", "text": {"content": words}})
}

/// A message of which the request is over: the platform polls from now on.
fn asked(server: &Server, bot: &WecomAibot, id: &str) -> (Message, String) {
    let mut accepted = callbacks(server)
        .deliver(bot, &text(id, "hi").to_string())
        .unwrap();
    let message = accepted.events.remove(0).message().unwrap().clone();
    let first = server.run(answer(server, accepted));
    let first = callbacks(server).open_answer(&first);
    assert_eq!(first["stream"]["finish"], false, "{first}");
    (message, first["stream"]["id"].as_str().unwrap().to_owned())
}

/// What the host of a webhook answers with.
async fn answer(server: &Server, accepted: Accepted) -> Bytes {
    let response: Response<Bytes> = match accepted.answer {
        Answer::Now(response) => response,
        Answer::Held(held) => match timeout(&server.fake.clock, held.deadline, held.reply).await {
            Ok(Some(response)) => response,
            _ => held.otherwise,
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(response.status(), 200);
    response.into_body()
}

fn refresh(server: &Server, bot: &WecomAibot, stream: &str) -> Value {
    let ask = json!({"msgid": format!("r{}", server.fake.clock.elapsed().as_millis()), "aibotid": "aib1",
        "msgtype": "stream", "stream": {"id": stream}});
    let accepted = callbacks(server).deliver(bot, &ask.to_string()).unwrap();
    assert!(accepted.events.is_empty());
    callbacks(server).open_answer(now(&accepted).body())
}

/// The platform asks each second until the stream ends, or for so long.
async fn poll(server: &Server, bot: &WecomAibot, stream: &str, seconds: u64) -> Vec<Value> {
    let mut seen = Vec::new();
    for _ in 0..seconds {
        server.fake.clock.sleep(Duration::from_secs(1)).await;
        let state = refresh(server, bot, stream);
        let ends = state["stream"]["finish"] == true;
        seen.push(state);
        if ends {
            break;
        }
    }
    seen
}

#[test]
fn a_quick_answer_goes_with_the_request_that_asked() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let mut accepted = callbacks(&server)
        .deliver(&bot, &text("m1", "hi").to_string())
        .unwrap();
    let message = accepted.events.remove(0).message().unwrap().clone();
    let body = server.run(async {
        // The host waits for the handler a while before it looks at the answer.
        let receipt = bot.send(&message.reply("echo: hi")).await.unwrap();
        assert_eq!(receipt.messages.len(), 1);
        assert_eq!(server.fake.clock.elapsed(), Duration::ZERO);
        answer(&server, accepted).await
    });
    let shown = callbacks(&server).open_answer(&body);
    assert_eq!(shown["msgtype"], "stream");
    assert_eq!(shown["stream"]["finish"], true);
    assert_eq!(shown["stream"]["content"], "echo: hi");
    assert!(server.sent().is_empty());
}

/// WeCom quotes words and names no message.
#[test]
fn words_that_are_quoted_are_told_of() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    for (id, quotes) in [("m1", true), ("m2", false)] {
        let mut body = text(id, "what is this?");
        if quotes {
            body["quote"] = json!({"msgtype": "text", "text": {"content": "your code"}});
        }
        let accepted = callbacks(&server).deliver(&bot, &body.to_string()).unwrap();
        let message = accepted.events[0].message().unwrap();
        assert_eq!(
            (message.quotes, message.text.as_str()),
            (quotes, "what is this?")
        );
    }
}

#[test]
fn a_slow_answer_is_fetched() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let work = async {
        server.fake.clock.sleep(Duration::from_millis(5_500)).await;
        bot.send(&message.reply("late")).await.unwrap();
        server.fake.clock.elapsed()
    };
    let (done, seen) = server.run(join(work, poll(&server, &bot, &stream, 20)));
    assert_eq!(seen.last().unwrap()["stream"]["content"], "late");
    assert_eq!(seen.len(), 6);
    // The receipt is honest: it came once the platform had fetched the answer.
    assert_eq!(done, Duration::from_secs(7));
}

#[test]
fn a_growing_answer_shows_all_of_itself_each_time() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let work = async {
        let to = message.reply("").to;
        let mut growing = bot.stream(&to).await.unwrap();
        // Longer than an answer without a word may take.
        for number in 1..=60 {
            growing
                .show(&Body::plain("x".repeat(number)))
                .await
                .unwrap();
            server.fake.clock.sleep(Duration::from_secs(1)).await;
        }
        growing.finish(message.reply("the end")).await.unwrap();
    };
    let ((), seen) = server.run(join(work, poll(&server, &bot, &stream, 100)));
    let lengths: Vec<_> = seen
        .iter()
        .map(|it| it["stream"]["content"].as_str().unwrap().len())
        .collect();
    assert!(lengths[..59].is_sorted(), "{lengths:?}");
    assert_eq!(seen.last().unwrap()["stream"]["content"], "the end");
    assert!(
        seen[..seen.len() - 1]
            .iter()
            .all(|it| it["stream"]["finish"] == false)
    );
    assert!(server.sent().is_empty());
}

#[test]
fn an_answer_that_takes_long_follows_by_response_url() {
    let server = Server::new();
    let bot = builder(&server).late_text("wait for it").build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let seen = server.run(poll(&server, &bot, &stream, 100));
    assert_eq!(seen.len(), 29, "30 s, of which the request took one");
    assert_eq!(seen.last().unwrap()["stream"]["content"], "wait for it");
    server.run(bot.send(&message.reply("at last"))).unwrap();
    let sent = server.sent();
    assert_eq!(
        sent[0].body,
        json!({"msgtype": "markdown", "markdown": {"content": "at last"}})
    );
    let call = &server.calls("/cgi-bin/aibot/response")[0];
    assert_eq!(call.request.uri().to_string(), URL);
}

#[test]
fn a_response_url_is_used_once_and_for_an_hour() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    server.run(poll(&server, &bot, &stream, 100));
    let to = message.reply("").to;
    assert!(
        bot.explain(&to).starts_with("stream"),
        "{}",
        bot.explain(&to)
    );
    server.run(bot.send(&message.reply("one"))).unwrap();
    let error = server.run(bot.send(&message.reply("two"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(server.calls("/cgi-bin/aibot/response").len(), 1);
    assert!(bot.explain(&to).contains("used up"), "{}", bot.explain(&to));
    for (wait, open) in [(3_590, true), (3_610, false)] {
        let (message, stream) = asked(&server, &bot, &format!("m{wait}"));
        server.run(poll(&server, &bot, &stream, 31));
        let waited = 31;
        server
            .fake
            .clock
            .advance(Duration::from_secs(wait - waited));
        let sent = server.run(bot.send(&message.reply("late")));
        assert_eq!(sent.is_ok(), open, "{wait} {sent:?}");
    }
}

#[test]
fn a_platform_that_stops_asking_is_answered_by_response_url() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, _) = asked(&server, &bot, "m1");
    // Nobody asks any more: after a while the answer goes the other way, once.
    server.run(bot.send(&message.reply("x"))).unwrap();
    assert_eq!(server.fake.clock.elapsed(), Duration::from_secs(11));
    assert_eq!(server.sent().len(), 1);
    // Silent for long: nothing is waited for.
    let (message, _) = asked(&server, &bot, "m2");
    server.fake.clock.advance(Duration::from_secs(11));
    let before = server.fake.clock.elapsed();
    server.run(bot.send(&message.reply("x"))).unwrap();
    assert_eq!(server.fake.clock.elapsed(), before);
    assert_eq!(server.sent().len(), 2);
}

#[test]
fn a_message_that_comes_again_has_the_same_stream() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let again = callbacks(&server)
        .deliver(&bot, &text("m1", "hi").to_string())
        .unwrap();
    assert_eq!(again.events[0].message().unwrap().id, message.id);
    let state = callbacks(&server).open_answer(now(&again).body());
    assert_eq!(state["stream"]["id"], stream);
    let (sent, seen) = server.run(join(
        bot.send(&message.reply("x")),
        poll(&server, &bot, &stream, 3),
    ));
    sent.unwrap();
    assert_eq!(seen[0]["stream"]["content"], "x");
    // An answer that got lost on the way is there for the next who asks.
    let again = callbacks(&server)
        .deliver(&bot, &text("m1", "hi").to_string())
        .unwrap();
    let state = callbacks(&server).open_answer(now(&again).body());
    assert_eq!(
        (
            state["stream"]["content"].as_str(),
            state["stream"]["finish"].as_bool()
        ),
        (Some("x"), Some(true))
    );
}

#[test]
fn a_stream_that_nobody_knows_ends_with_fixed_words() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let state = refresh(&server, &bot, "<script>");
    assert_eq!(state["stream"]["finish"], true);
    assert_eq!(state["stream"]["id"], "<script>");
    assert!(
        state["stream"]["content"]
            .as_str()
            .unwrap()
            .starts_with("This answer is no longer")
    );
}

#[test]
fn a_stream_ends_before_the_platform_ends_it() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let mut growing = server.run(bot.stream(&message.reply("").to)).unwrap();
    server.run(growing.show(&Body::plain("so far"))).unwrap();
    let seen = server.run(poll(&server, &bot, &stream, 400));
    assert_eq!(seen.len(), 329);
    assert_eq!(seen.last().unwrap()["stream"]["content"], "so far");
    server
        .run(growing.finish(message.reply("so far and further")))
        .unwrap();
    assert_eq!(
        server.sent()[0].body["markdown"]["content"],
        "so far and further"
    );
}

#[test]
fn two_answers_take_both_ways_and_a_third_has_none() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let long = "word ".repeat(6000);
    let (sent, seen) = server.run(join(
        bot.send(&message.reply(long.as_str())),
        poll(&server, &bot, &stream, 3),
    ));
    assert_eq!(sent.unwrap().messages.len(), 2);
    let shown = seen.last().unwrap()["stream"]["content"]
        .as_str()
        .unwrap()
        .len();
    let sent = server.sent()[0].body["markdown"]["content"]
        .as_str()
        .unwrap()
        .len();
    assert!(shown <= 20_480 && sent <= 20_480);
    assert!(shown + sent + 2 >= long.trim_end().len());
    // One that takes three is refused before anything is shown.
    let (message, stream) = asked(&server, &bot, "m2");
    let error = server
        .run(bot.send(&message.reply("word ".repeat(9000))))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(refresh(&server, &bot, &stream)["stream"]["finish"], false);
}

#[test]
fn an_address_that_is_not_wecoms_is_not_posted_to() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    for (number, url) in [
        "https://evil.example/cgi-bin/aibot/response?response_code=x",
        "http://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com/cgi-bin/other?response_code=x",
        "http://127.0.0.1/cgi-bin/aibot/response?response_code=x",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        let mut json = text(&format!("m{number}"), "hi");
        json["response_url"] = json!(url);
        let event = callbacks(&server).event(&bot, &json.to_string());
        let message = event.message().unwrap();
        let error = server.run(bot.send(&message.reply("x"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{url}");
        let forged = serde_json::to_string(&message.reply("x")).unwrap();
        assert!(url.is_empty() || !forged.contains(url));
    }
    assert!(server.calls("/").is_empty());
}

#[test]
fn nobody_is_written_to_unasked() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let error = server.run(bot.send(&OutboundMessage::new(Target::chat("zhangsan"), "x")));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn cards_go_with_the_stream_and_change_in_the_answer_to_a_press() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let reply = message
        .reply("choose")
        .buttons([Button::press("A", "a"), Button::press("B", "b")]);
    let (sent, seen) = server.run(join(bot.send(&reply), poll(&server, &bot, &stream, 3)));
    let receipt = sent.unwrap();
    let shown = seen.last().unwrap();
    assert_eq!(shown["msgtype"], "stream_with_template_card");
    let task = shown["template_card"]["task_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(receipt.first().unwrap().id.as_str(), task);
    for (by_card, wanted) in [(false, "noted"), (true, "Done")] {
        let press = json!({"msgid": format!("p{by_card}"), "aibotid": "aib1", "chattype": "single", "from": {"userid": "zhangsan"},
            "msgtype": "event", "event": {"eventtype": "template_card_event",
            "template_card_event": {"card_type": "button_interaction", "event_key": "b", "task_id": task}}});
        let mut accepted = callbacks(&server)
            .deliver(&bot, &press.to_string())
            .unwrap();
        let EventKind::Action(action) = accepted.events.remove(0).kind else {
            panic!()
        };
        assert_eq!(
            (
                action.value.as_str(),
                action.message.as_ref().unwrap().as_str()
            ),
            ("b", task.as_str())
        );
        let body = server.run(async {
            if by_card {
                bot.update_card(receipt.first().unwrap(), &Card::new("Done"))
                    .await
                    .unwrap();
            } else {
                bot.answer_action(&action, Some("noted")).await.unwrap();
            }
            answer(&server, accepted).await
        });
        let change = callbacks(&server).open_answer(&body);
        assert_eq!(change["response_type"], "update_template_card");
        assert_eq!(change["userids"], json!(["zhangsan"]));
        assert_eq!(change["template_card"]["task_id"], task);
        assert!(
            change["template_card"].to_string().contains(wanted),
            "{change}"
        );
        // Too late now.
        let late = server
            .run(bot.answer_action(&action, Some("noted")))
            .unwrap_err();
        assert_eq!(late.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn people_are_greeted_when_they_open_the_chat() {
    let server = Server::new();
    let enter = json!({"msgid": "e1", "aibotid": "aib1", "chattype": "single", "from": {"userid": "zhangsan"},
        "msgtype": "event", "event": {"eventtype": "enter_chat"}}).to_string();
    let bot = builder(&server).welcome("welcome!").build().unwrap();
    let accepted = callbacks(&server).deliver(&bot, &enter).unwrap();
    let greeting = callbacks(&server).open_answer(now(&accepted).body());
    assert_eq!(
        greeting,
        json!({"msgtype": "text", "text": {"content": "welcome!"}})
    );
    assert!(matches!(accepted.events[0].kind, EventKind::Unknown(_)));
    let bot = builder(&server).build().unwrap();
    assert!(
        now(&callbacks(&server).deliver(&bot, &enter).unwrap())
            .body()
            .is_empty()
    );
}

#[test]
fn pictures_go_with_the_end_of_the_stream() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    let reply = message.reply("look").attach(Upload::image("a.png", PNG));
    let (sent, seen) = server.run(join(bot.send(&reply), poll(&server, &bot, &stream, 3)));
    sent.unwrap();
    assert_eq!(
        seen.last().unwrap()["stream"]["msg_item"][0]["msgtype"],
        "image"
    );
    let other = message
        .reply("x")
        .attach(Upload::file("a.txt", &b"hello!"[..]));
    assert_eq!(
        server.run(bot.send(&other)).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn files_are_decrypted_with_the_bots_key() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let sealed = callbacks(&server)
        .cipher
        .key()
        .seal_file(b"content")
        .unwrap();
    server.fake.http.get("/media", move |_| {
        Reply::bytes(StatusCode::OK, sealed.clone())
    });
    let mut json = text("m1", "");
    json["msgtype"] = json!("file");
    json["file"] = json!({"url": "https://cos.example/media?sign=x"});
    let event = callbacks(&server).event(&bot, &json.to_string());
    let file = &event.message().unwrap().attachments[0];
    assert_eq!(file.kind, AttachmentKind::File);
    assert_eq!(server.run(bot.download(file, 7)).unwrap(), "content");
    assert_eq!(
        server.run(bot.download(file, 6)).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert!(server.calls("/media")[0].guarded);
    server.fake.http.once(
        "/media",
        Reply::bytes(StatusCode::OK, &b"not encrypted"[..]),
    );
    assert_eq!(
        server.run(bot.download(file, 100)).unwrap_err().kind(),
        ErrorKind::Protocol
    );
}

#[test]
fn secrets_of_an_answer_are_not_shown() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    server.run(poll(&server, &bot, &stream, 100));
    server.refuse("/cgi-bin/aibot/", 40_058);
    let error = server.run(bot.send(&message.reply("words"))).unwrap_err();
    let shown = format!("{error} {error:?} {message:?} {bot:?}");
    for secret in ["syntheticRESPONSEcanary", TOKEN, KEY] {
        assert_absent(secret, &shown);
    }
}

#[test]
fn a_stored_address_is_checked_again() {
    let server = Server::new();
    let bot = builder(&server).build().unwrap();
    let (message, stream) = asked(&server, &bot, "m1");
    server.run(poll(&server, &bot, &stream, 100));
    let stored = serde_json::to_string(&message.reply("x")).unwrap();
    let forged = stored.replace("https://qyapi.weixin.qq.com", "https://evil.example");
    assert_ne!(stored, forged);
    let forged: OutboundMessage = serde_json::from_str(&forged).unwrap();
    let error = server.run(bot.send(&forged)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(server.calls("/").is_empty());
}
