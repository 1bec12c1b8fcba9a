//! What goes out: fields, parts, files, limits and lost answers.

use std::time::Duration;

use channel_core::{
    AttachmentKind, Button, Channel as _, CommandInfo, ErrorKind, HttpErrorKind, MessageRef,
    OutboundMessage, Target, Upload, UploadSource,
};
use channel_testkit::Reply;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::fake::{DIRECT, Fake, fields};

fn to(text: &str) -> OutboundMessage {
    OutboundMessage::new(Target::chat(DIRECT), text)
}

fn last(fake: &Fake) -> Value {
    let call = fake.calls(&Method::POST, "/messages").pop().unwrap();
    fields(&call.request).0
}

#[test]
fn nobody_is_called_by_what_the_bot_writes() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        discord
            .send(&to("hi @everyone <@42>").silent())
            .await
            .unwrap();
        let said = last(&fake);
        assert_eq!(
            said["allowed_mentions"],
            json!({"parse": [], "replied_user": false})
        );
        assert_eq!(said["flags"], 4096);
        assert_eq!(said["enforce_nonce"], true);
        let content = said["content"].as_str().unwrap();
        assert!(
            !content.contains("@everyone") && content.contains("\\<@42>"),
            "{content}"
        );
    });
}

#[test]
fn a_reply_quotes_and_a_thread_is_a_channel() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let channel = channel_core::ChannelId::new("discord");
        let reply = channel_core::ReplyTo::new(channel, Target::chat("701").thread("702"))
            .quoting("55".into());
        discord
            .send(&OutboundMessage::new(reply, "yes"))
            .await
            .unwrap();
        assert_eq!(
            last(&fake)["message_reference"],
            json!({"message_id": "55", "fail_if_not_exists": false})
        );
        assert_eq!(fake.sent()[0].chat, "702");
        let thread = discord
            .start_thread(&MessageRef::new("701".into(), "55".into()), "Talk")
            .await;
        assert_eq!(thread.unwrap().as_str(), "55");
        assert_eq!(
            discord.open_direct(&"42".into()).await.unwrap().as_str(),
            DIRECT
        );
    });
}

/// openclaw#100979: sends of an outage were dropped, or doubled, because nobody could tell.
#[test]
fn pain_13_a_message_whose_answer_was_lost_shows_once() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        // The server has it, and its answer is lost.
        let server = fake.clone();
        fake.transport.http.once(
            "/api/v10/channels/700/messages",
            Reply::later(async move {
                server.with(|state| {
                    let nonce = server_nonce(&server);
                    state.sent.push(crate::fake::Sent {
                        chat: DIRECT.to_owned(),
                        id: "77".to_owned(),
                        files: Vec::new(),
                        fields: json!({"content": "once", "nonce": nonce}),
                    });
                });
                Reply::Sent(HttpErrorKind::Interrupted)
            }),
        );
        let receipt = discord.send(&to("once").key("k")).await.unwrap();
        assert_eq!(receipt.first().unwrap().id.as_str(), "77");
        assert_eq!(fake.sent().len(), 1);
        // And so it does when the whole send is repeated.
        let again = discord.send(&to("once").key("k")).await.unwrap();
        assert_eq!(receipt, again);
        let nonces: Vec<_> = fake
            .calls(&Method::POST, "/messages")
            .iter()
            .map(|call| fields(&call.request).0["nonce"].clone())
            .collect();
        assert_eq!(nonces.len(), 3);
        assert!(
            nonces
                .iter()
                .all(|nonce| *nonce == nonces[0] && nonce.as_str().unwrap().len() <= 25)
        );
        assert!(
            !nonces[0].as_str().unwrap().contains('k'),
            "the key itself stays here"
        );
    });
}

fn server_nonce(fake: &Fake) -> Value {
    let call = fake.calls(&Method::POST, "/messages").pop().unwrap();
    fields(&call.request).0["nonce"].clone()
}

#[test]
fn files_go_with_the_words_and_larger_ones_are_refused() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let message = to("see")
            .attach(Upload::file("a.txt", "A"))
            .attach(Upload::image("b \".png", "B").with_mime("image/png"));
        discord.send(&message).await.unwrap();
        let sent = fake.sent();
        assert_eq!((sent.len(), sent[0].files.len()), (1, 2));
        assert_eq!(
            sent[0].fields["attachments"][0],
            json!({"id": 0, "filename": "a.txt"})
        );
        let many = (0..23).fold(to("many"), |message, n| {
            message.attach(Upload::file(format!("{n}"), "x"))
        });
        assert_eq!(discord.as_parts().unwrap().parts(&many).unwrap(), 3);
        let picture = Upload::new(
            AttachmentKind::Image,
            "p",
            UploadSource::Url("https://x.example/p.png".to_owned()),
        );
        discord.send(&to("").attach(picture)).await.unwrap();
        assert_eq!(
            last(&fake)["embeds"][0]["image"]["url"],
            "https://x.example/p.png"
        );
        let before = fake.transport.http.count();
        for (upload, kind) in [
            (
                Upload::file("x", vec![0; (10 << 20) + 1]),
                ErrorKind::Invalid,
            ),
            (Upload::file("x", ""), ErrorKind::Invalid),
            (
                Upload::new(
                    AttachmentKind::File,
                    "x",
                    UploadSource::Url("https://x.example".to_owned()),
                ),
                ErrorKind::Unsupported,
            ),
        ] {
            assert_eq!(
                discord
                    .send(&to("x").attach(upload))
                    .await
                    .unwrap_err()
                    .kind(),
                kind
            );
        }
        assert_eq!(fake.transport.http.count(), before, "nothing has left");
    });
}

#[test]
fn buttons_keep_to_their_limits() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let row: Vec<_> = (0..7)
            .map(|n| Button::press(format!("{n}"), format!("v{n}")))
            .collect();
        discord.send(&to("?").buttons(row)).await.unwrap();
        let rows = last(&fake)["components"].as_array().unwrap().clone();
        let sizes: Vec<_> = rows
            .iter()
            .map(|row| row["components"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [5, 2]);
        assert_eq!(
            rows[0]["components"][0],
            json!({"type": 2, "style": 2, "label": "0", "custom_id": "v0"})
        );
        for bad in [
            Button::press("x", ""),
            Button::press("x", "v".repeat(101)),
            Button::press(" ", "v"),
            Button::open("x", "javascript:1"),
        ] {
            assert_eq!(
                discord
                    .send(&to("?").buttons([bad]))
                    .await
                    .unwrap_err()
                    .kind(),
                ErrorKind::Invalid
            );
        }
        let twice = [Button::press("a", "v"), Button::press("b", "v")];
        assert_eq!(
            discord
                .send(&to("?").buttons(twice))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Invalid
        );
    });
}

#[test]
fn a_rate_limit_is_waited_for_and_a_long_one_is_told() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let limited = |seconds: f64, global: bool| {
            let body = json!({"message": "You are being rate limited.", "retry_after": seconds, "global": global});
            Reply::json(StatusCode::TOO_MANY_REQUESTS, &body).header(http::header::VIA, HeaderValue::from_static("1.1 google"))
        };
        fake.transport.http.once("/api/v10/channels/700", limited(0.65, false));
        let began = fake.elapsed();
        discord.send(&to("x")).await.unwrap();
        assert_eq!(fake.elapsed() - began, Duration::from_millis(650));
        fake.transport.http.once("/api/v10/channels/700", limited(60.0, true));
        let error = discord.send(&to("y")).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(60))));
        // A global pause is for every call.
        let count = fake.transport.http.count();
        assert_eq!(discord.probe().await.unwrap_err().kind(), ErrorKind::RateLimited);
        assert_eq!(fake.transport.http.count(), count);
        fake.transport.clock.advance(Duration::from_secs(60));
        discord.probe().await.unwrap();
    });
}

#[test]
fn a_bucket_is_kept_as_the_server_tells_it() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let made = json!({"id": "1", "channel_id": DIRECT});
        let pairs = [
            ("limit", "5"),
            ("remaining", "0"),
            ("reset-after", "2.5"),
            ("bucket", "b"),
        ];
        let reply = pairs
            .into_iter()
            .fold(Reply::ok(&made), |reply, (name, value)| {
                let name =
                    HeaderName::from_bytes(format!("x-ratelimit-{name}").as_bytes()).unwrap();
                reply.header(name, HeaderValue::from_static(value))
            });
        fake.transport.http.once("/api/v10/channels/700", reply);
        discord.send(&to("one")).await.unwrap();
        let began = fake.elapsed();
        discord.send(&to("two")).await.unwrap();
        assert_eq!(
            fake.elapsed() - began,
            Duration::from_millis(2500),
            "nothing was refused"
        );
        let other = OutboundMessage::new(Target::chat("701"), "elsewhere");
        let began = fake.elapsed();
        discord.send(&other).await.unwrap();
        assert_eq!(fake.elapsed(), began);
    });
}

#[test]
fn an_archived_thread_is_opened_again() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let refused = Reply::json(
            StatusCode::FORBIDDEN,
            &json!({"code": 50_083, "message": "x"}),
        );
        fake.transport
            .http
            .once("/api/v10/channels/702/messages", refused);
        fake.transport
            .http
            .once("/api/v10/channels/702", Reply::ok(&json!({"id": "702"})));
        let message = OutboundMessage::new(Target::chat("702"), "hello");
        // Handlers are asked in their order: the first call takes the refusal.
        discord.send(&message).await.unwrap();
        let call = fake.calls(&Method::PATCH, "/channels/702").remove(0);
        assert_eq!(fields(&call.request).0, json!({"archived": false}));
    });
}

#[test]
fn commands_and_ids_are_checked_before_anything_leaves() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let commands = discord.as_commands().unwrap();
        for (name, description) in [
            ("Ask", "x"),
            ("a b", "x"),
            ("", "x"),
            ("ask", ""),
            ("ask", &"x".repeat(101)),
        ] {
            let command = CommandInfo::new(name, description);
            let error = commands.publish_commands(&[command]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        for chat in ["", "general", "700/messages", "..", "-1", "700?x=1"] {
            let message = OutboundMessage::new(Target::chat(chat), "x");
            assert_eq!(
                discord.send(&message).await.unwrap_err().kind(),
                ErrorKind::Invalid,
                "{chat}"
            );
        }
        assert_eq!(fake.transport.http.count(), 0);
        let error = discord
            .as_media()
            .unwrap()
            .download(
                &channel_core::Attachment::new(
                    "https://169.254.169.254/x".into(),
                    AttachmentKind::File,
                ),
                100,
            )
            .await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    });
}

/// getsentry and others: what was refused as formatting was lost. Text is escaped instead.
#[test]
fn pain_33_text_shows_to_the_letter() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        let message = OutboundMessage::new(
            Target::chat(DIRECT),
            channel_core::Body::plain("*a* _b_ `c` ||d|| # e\n> f"),
        );
        discord.send(&message).await.unwrap();
        let (text, _) = crate::fake::look(&last(&fake));
        assert_eq!(text, "*a* _b_ `c` ||d|| # e\n> f");
    });
}
