//! The sign that an answer is being written.

use std::time::Duration;

use channel_core::{
    Channel as _, Clock as _, Destination, ErrorKind, MessageId, ReplyTo, Result, Target,
};
use channel_slack::Slack;
use serde_json::json;

use crate::fake::{DIRECT, Fake, GROUP, ROOT, SECRET};

const SET: &str = "assistant.threads.setStatus";

async fn start(slack: &Slack, to: impl Into<Destination>) -> Result<()> {
    slack.as_typing().unwrap().start_typing(&to.into()).await
}

#[test]
fn a_thread_shows_who_types_and_a_chat_without_one_has_no_place_for_it() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        start(&slack, Target::chat(DIRECT)).await.unwrap();
        assert!(fake.calls(SET).is_empty());
        start(&slack, Target::chat(GROUP).thread(ROOT))
            .await
            .unwrap();
        let shown = json!({"channel_id": GROUP, "thread_ts": ROOT, "status": "is typing..."});
        assert_eq!(fake.last(SET), shown);
        // An answer that opens a thread is announced there.
        let threads = fake.builder().signing_secret(SECRET).start_threads(true);
        let threads = threads.build().unwrap();
        let message = MessageId::from("1700000000.000500");
        let reply = ReplyTo::new(threads.info().id.clone(), Target::chat(GROUP));
        start(&threads, reply.quoting(message)).await.unwrap();
        assert_eq!(fake.last(SET)["thread_ts"], "1700000000.000500");
    });
    let lasts = slack.as_typing().unwrap().lasts();
    assert_eq!(lasts, Duration::from_secs(120));
}

#[test]
fn where_slack_shows_no_status_nobody_is_bothered_and_it_is_not_asked_again_for_a_while() {
    let fake = Fake::new();
    let slack = fake.channel();
    let thread = |root: &str| Target::chat(GROUP).thread(root);
    fake.run(async {
        for code in [
            "invalid_thread_ts",
            "channel_not_found",
            "something_new",
            "not_allowed_token_type",
        ] {
            fake.refuse(SET, code);
            start(&slack, thread(ROOT)).await.unwrap();
            let asked = fake.calls(SET).len();
            start(&slack, thread(ROOT)).await.unwrap();
            assert_eq!(fake.calls(SET).len(), asked, "{code}: asked again");
            start(&slack, thread("1700000000.000900")).await.unwrap();
            assert_eq!(
                fake.calls(SET).len(),
                asked + 1,
                "another thread is another matter"
            );
            fake.transport.clock.sleep(Duration::from_secs(600)).await;
            start(&slack, thread(ROOT)).await.unwrap();
            assert_eq!(
                fake.calls(SET).len(),
                asked + 2,
                "{code}: never asked again"
            );
        }
        // Without the scope no thread of the workspace has one.
        fake.refuse(SET, "missing_scope");
        start(&slack, thread(ROOT)).await.unwrap();
        let asked = fake.calls(SET).len();
        start(&slack, thread("1700000000.000900")).await.unwrap();
        assert_eq!(fake.calls(SET).len(), asked);
    });
}

#[test]
fn what_is_no_refusal_of_the_status_is_told() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        let to = Target::chat(GROUP).thread(ROOT);
        fake.refuse(SET, "token_revoked");
        let error = start(&slack, to.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        fake.refuse(SET, "service_unavailable");
        let error = start(&slack, to.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // Nothing of that is remembered.
        let asked = fake.calls(SET).len();
        start(&slack, to).await.unwrap();
        assert_eq!(fake.calls(SET).len(), asked + 1);
    });
}
