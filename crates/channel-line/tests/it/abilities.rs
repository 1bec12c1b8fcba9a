//! Loading animation, downloads, and what belongs to the account.

use bytes::Bytes;
use channel_core::{
    Attachment, AttachmentKind, Channel as _, Destination, Error, ErrorKind, Media as _, Target,
    Typing as _,
};
use channel_line::LineMessage;
use channel_testkit::Reply;
use http::StatusCode;
use serde_json::json;

use crate::fake::{ADA, BOT, Fake, GROUP, person};

fn to(chat: &str) -> Destination {
    Target::chat(chat).into()
}

#[test]
fn the_loading_animation_is_for_direct_chats() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(channel.start_typing(&to(ADA))).unwrap();
    let call = &fake.calls("/chat/loading/start")[0];
    assert_eq!(call.json(), json!({"chatId": ADA, "loadingSeconds": 60}));
    assert_eq!(channel.lasts().as_secs(), 60);
    let error = fake.run(channel.start_typing(&to(GROUP))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(fake.transport.http.count(), 1, "a group costs no call");
}

fn file(id: &str) -> Attachment {
    Attachment::new(id.into(), AttachmentKind::File)
}

fn download(fake: &Fake, id: &str, max: u64) -> Result<Bytes, Error> {
    let channel = fake.channel();
    fake.run(channel.download(&file(id), max))
}

#[test]
fn a_file_that_is_still_prepared_is_waited_for() {
    let fake = Fake::new();
    fake.state
        .lock()
        .unwrap()
        .files
        .insert("53".to_owned(), (3, Bytes::from_static(b"film")));
    assert_eq!(download(&fake, "53", 4).unwrap(), "film");
    let calls = fake.transport.http.requests();
    assert!(
        calls
            .iter()
            .all(|it| it.request.uri().host() == Some("api-data.line.me"))
    );
    let asked = fake.calls("/content").len();
    assert_eq!(asked, 4);
}

#[test]
fn a_file_that_is_never_ready_is_tried_later_and_one_that_failed_is_not() {
    let fake = Fake::new();
    fake.state
        .lock()
        .unwrap()
        .files
        .insert("53".to_owned(), (99, Bytes::new()));
    let error = download(&fake, "53", 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.retry_after().is_some());
    fake.state.lock().unwrap().transcoding = "failed";
    assert_eq!(
        download(&fake, "53", 4).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn what_is_gone_or_too_large_or_no_file_is_said_so() {
    let fake = Fake::new();
    fake.state
        .lock()
        .unwrap()
        .files
        .insert("53".to_owned(), (0, Bytes::from_static(b"12345")));
    let kind = |id: &str, max| download(&fake, id, max).unwrap_err().kind();
    assert_eq!(kind("53", 4), ErrorKind::Invalid);
    assert_eq!(kind("54", 4), ErrorKind::NotFound);
    fake.refuse("/content", 410, "Gone");
    assert_eq!(kind("53", 9), ErrorKind::NotFound);
    let calls = fake.transport.http.count();
    assert_eq!(kind("../../etc/passwd", 9), ErrorKind::Invalid);
    assert_eq!(kind("http://x.example/a", 9), ErrorKind::Invalid);
    assert_eq!(kind("sticker:446/1988", 9), ErrorKind::Unsupported);
    let mut large = file("53");
    large.bytes = Some(10);
    let error = fake.run(fake.channel().download(&large, 9)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        fake.transport.http.count(),
        calls,
        "none of them costs a call"
    );
}

#[test]
fn a_file_on_somebodys_server_is_fetched_behind_the_guard_and_without_the_token() {
    let fake = Fake::new();
    fake.transport
        .http
        .get("/a.m4a", |_| Reply::bytes(StatusCode::OK, "sound"));
    assert_eq!(
        download(&fake, "https://files.example/a.m4a", 9).unwrap(),
        "sound"
    );
    let call = &fake.transport.http.requests()[0];
    assert!(call.guarded && call.header("authorization").is_none());
}

#[test]
fn the_account_says_who_it_is_and_what_is_left() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let identity = channel.probe().await.unwrap();
        assert_eq!(identity.id, BOT);
        assert_eq!(
            (identity.username.as_deref(), &*identity.name),
            (Some("123abcde"), "Kit")
        );
        let left = identity.quota.and_then(|quota| quota.left());
        assert_eq!(left, Some(458), "a probe says what may still be pushed");
        let quota = channel.quota().await.unwrap();
        assert_eq!((quota.limit, quota.used), (Some(500), 42));
        let profile = channel.profile(&to(GROUP), ADA).await.unwrap();
        assert_eq!(profile.display_name, "Ada");
        channel.profile(&to(ADA), ADA).await.unwrap();
        assert!(channel.profile(&to(ADA), "../x").await.is_err());
        channel
            .set_webhook("https://bot.example/line/webhook")
            .await
            .unwrap();
        assert!(channel.set_webhook("ftp://x").await.is_err());
        fake.refuse("/quota", 401, "Authentication failed");
        let error = channel.quota().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        // A token that may not ask for it is no reason to take the account for dead.
        fake.refuse(
            "/quota",
            403,
            "Access to this API is not available for your account",
        );
        let identity = channel.probe().await.unwrap();
        assert_eq!((identity.id.as_str(), identity.quota), (BOT, None));
    });
    let paths: Vec<_> = fake
        .transport
        .http
        .requests()
        .iter()
        .map(|it| it.path().to_owned())
        .collect();
    assert!(paths.contains(&format!("/v2/bot/group/{GROUP}/member/{ADA}")));
    assert!(paths.contains(&format!("/v2/bot/profile/{ADA}")));
}

#[test]
fn messages_are_marked_as_read_by_their_token() {
    let fake = Fake::new();
    let channel = fake.channel();
    let fields = json!({"type": "text", "text": "x", "markAsReadToken": "mt"});
    let message = fake.deliver_message(&channel, fake.message(person(), fields));
    let native = message.native::<LineMessage>().unwrap();
    fake.run(channel.mark_as_read(native.mark_as_read_token().unwrap()))
        .unwrap();
    assert_eq!(
        fake.calls("/markAsRead")[0].json(),
        json!({"markAsReadToken": "mt"})
    );
    assert!(!native.is_redelivery());
}
