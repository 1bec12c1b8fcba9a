//! Files, buttons and cards: how they are shown.

use channel_core::{
    Attachment, AttachmentKind, Button, Card, Channel as _, ErrorKind, Media as _, Upload,
    UploadSource,
};
use channel_testkit::Reply;
use serde_json::json;

use crate::fake::{Fake, GROUP, direct, message, with_session};
use crate::outbound::{HOUR_AND_A_HALF, came, kinds, to};

#[test]
fn files_are_uploaded_with_the_old_token_and_pictures_by_address_are_not() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let receipt = channel
            .send(
                &to(GROUP, "look")
                    .attach(Upload::image("a.png", "png"))
                    .attach(Upload::file("b.pdf", "pdf")),
            )
            .await
            .unwrap();
        assert_eq!(receipt.messages.len(), 3);
        assert_eq!(kinds(&fake), ["sampleText", "sampleImageMsg", "sampleFile"]);
        let query: Vec<_> = fake
            .calls("POST", "/media/upload")
            .iter()
            .map(|call| call.request.uri().query().unwrap().to_owned())
            .collect();
        assert_eq!(
            query,
            [
                "access_token=old%2D1&type=image",
                "access_token=old%2D1&type=file"
            ]
        );
        // The token ends, once.
        fake.state.lock().unwrap().old_tokens += 1;
        channel
            .send(&to(GROUP, "").attach(Upload::file("c", "x")))
            .await
            .unwrap();
        assert_eq!(fake.calls("GET", "/gettoken").len(), 2);
        let uploads = fake.calls("POST", "/media/upload").len();
        let url = UploadSource::Url("https://pictures.example/a.png".to_owned());
        channel
            .send(&to(GROUP, "").attach(Upload::new(AttachmentKind::Image, "a.png", url)))
            .await
            .unwrap();
        let photo = fake.sent().last().unwrap().content["photoURL"].clone();
        assert_eq!(photo, "https://pictures.example/a.png");
        assert_eq!(fake.calls("POST", "/media/upload").len(), uploads);
    });
}

#[test]
fn a_file_is_fetched_through_the_guard_and_without_a_token() {
    let fake = Fake::new();
    let channel = fake.channel();
    let file = ("a.bin".to_owned(), "content".into());
    fake.state
        .lock()
        .unwrap()
        .files
        .insert("dc1".to_owned(), file);
    let content = json!({"downloadCode": "dc1", "fileName": "a.bin"});
    let asked = came(&fake, &channel, &message("msg1", "file", content));
    fake.run(async {
        let bytes = channel.download(&asked.attachments[0], 7).await.unwrap();
        assert_eq!(bytes, "content");
        let call = fake.transport.http.requests_to("/files/").pop().unwrap();
        assert!(call.guarded && call.header("x-acs-dingtalk-access-token").is_none());
        let error = channel
            .download(&asked.attachments[0], 6)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let odd = Attachment::new("a b".into(), AttachmentKind::File);
        assert_eq!(
            channel.download(&odd, 10).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
    });
    // On the server that the settings name there is no guard to pass: an emulator is local.
    let local = fake.builder().api_base("http://127.0.0.1:9").build();
    let local = local.unwrap();
    fake.transport.http.post("/v1.0/robot/messageFiles", |_| {
        Reply::ok(&json!({"downloadUrl": "http://127.0.0.1:9/files/dc1"}))
    });
    fake.run(async {
        fake.transport.http.post("/v1.0/oauth2", |_| {
            Reply::ok(&json!({"accessToken": "at-1", "expireIn": 7200}))
        });
        local.download(&asked.attachments[0], 7).await.unwrap();
        assert!(
            !fake
                .transport
                .http
                .requests_to("/files/")
                .pop()
                .unwrap()
                .guarded
        );
    });
}

#[test]
fn buttons_that_open_addresses_are_a_card_and_others_are_words_without_a_template() {
    let fake = Fake::new();
    let channel = fake.channel();
    let ends = fake.millis() + HOUR_AND_A_HALF;
    let asked = came(
        &fake,
        &channel,
        &with_session(direct("msg1", "hi"), "direct", ends),
    );
    fake.run(async {
        let open = |n: u32| Button::open(format!("See {n}"), format!("https://e.x/{n}"));
        channel
            .send(&asked.reply("look").buttons([open(1)]))
            .await
            .unwrap();
        channel
            .send(&to(GROUP, "look").buttons([open(1)]))
            .await
            .unwrap();
        channel
            .send(&to(GROUP, "look").buttons([open(1), open(2)]))
            .await
            .unwrap();
        assert_eq!(
            kinds(&fake),
            ["actionCard", "sampleActionCard", "sampleActionCard2"]
        );
        let sent = fake.sent();
        assert_eq!(sent[0].content["btns"][0]["actionURL"], "https://e.x/1");
        assert_eq!(sent[1].content["singleURL"], "https://e.x/1");
        assert_eq!(sent[2].content["actionTitle2"], "See 2");
        let mixed = to(GROUP, "choose").buttons([Button::press("Yes", "y"), open(3)]);
        channel.send(&mixed).await.unwrap();
        let texts: Vec<_> = fake.sent()[3..]
            .iter()
            .map(|it| it.content["content"].clone())
            .collect();
        assert_eq!(texts, ["choose", "\u{b7} Yes\nSee 3: https://e.x/3"]);
        for wrong in [
            Button::press(" ", "x"),
            Button::open("x", "javascript:alert(1)"),
            Button::press("x", "y".repeat(513)),
        ] {
            let error = channel
                .send(&to(GROUP, "x").buttons([wrong]))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    });
}

#[test]
fn a_card_of_the_same_key_is_one_card() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        let card = Card::new("Deploy")
            .text("now?")
            .actions([Button::press("Go", "go")]);
        let message = to(GROUP, "").card(card).key("k1");
        let first = channel.send(&message).await.unwrap();
        assert_eq!(channel.send(&message).await.unwrap(), first);
        assert_eq!(fake.sent().len(), 1);
        let created = fake.calls("POST", "/v1.0/card/instances/createAndDeliver")[0].json();
        assert_eq!(created["callbackType"], "STREAM");
        assert_eq!(
            created["openSpaceId"],
            format!("dtv1.card//IM_GROUP.{GROUP}")
        );
        assert!(first.first().unwrap().id.as_str().starts_with("card:"));
        // A lost answer is asked for again, and makes no second card.
        fake.refuse("POST /v1.0/card/instances/createAndDeliver", 500, json!({}));
        channel.send(&message.clone().key("k2")).await.unwrap();
        assert_eq!(fake.sent().len(), 2);
        let undelivered =
            json!({"success": true, "result": {"deliverResults": [{"success": false}]}});
        fake.refuse(
            "POST /v1.0/card/instances/createAndDeliver",
            200,
            undelivered,
        );
        let error = channel.send(&message.key("k3")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}
