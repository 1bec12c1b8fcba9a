use std::time::Duration;

use channel_emulator::telegram::{
    Group, MessageView, Place, Post, Telegram, TelegramConfig, TelegramServer,
};

use crate::process::Echo;

pub(crate) const TOKEN: &str = "123456:TEST-TOKEN-SYNTHETIC";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Site {
    pub(crate) telegram: TelegramServer,
    pub(crate) bot: i64,
    pub(crate) ada: i64,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let telegram = Telegram::start(TelegramConfig::default()).await.unwrap();
        let bot = telegram.add_bot(TOKEN, "kit_bot").unwrap();
        let ada = telegram.user(42, "Ada");
        Self { telegram, bot, ada }
    }

    pub(crate) fn start(&self) -> Echo {
        self.start_with(&[]).ready("telegram")
    }

    /// Starts the bot with more variables, and does not wait for it.
    pub(crate) fn start_with(&self, more: &[(&str, &str)]) -> Echo {
        let base = self.telegram.api_base();
        let own = [
            ("CHANNEL_TELEGRAM_BOT_TOKEN", TOKEN),
            ("CHANNEL_TELEGRAM_API_BASE", base.as_str()),
        ];
        Echo::start(&[own.as_slice(), more].concat())
    }

    fn private(&self) -> Place {
        Place::Private {
            bot: self.bot,
            user: self.ada,
        }
    }

    pub(crate) fn says(&self, text: &str) -> i64 {
        self.telegram
            .private_text(self.bot, self.ada, text)
            .unwrap()
    }

    /// Waits for a message of the bot whose text is this.
    pub(crate) async fn hears(&self, text: &str) -> MessageView {
        let bot = self.bot;
        let found = self.telegram.wait_for(PATIENCE, |view| {
            view.sent(bot)
                .into_iter()
                .find(|sent| sent.text.as_deref() == Some(text))
        });
        match found.await {
            Ok(message) => message,
            Err(_) => panic!(
                "no {text:?} among {:?}",
                self.telegram
                    .sent(bot)
                    .iter()
                    .map(|sent| sent.text.clone())
                    .collect::<Vec<_>>()
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_is_echoed_to_the_letter_as_a_reply() {
    let site = Site::open().await;
    let echo = site.start();
    let text = "**not bold** <b>nor this _x_ [a](b) \u{202e}\u{0}👩‍👩‍👧 end";
    let asked = site.says(text);
    let answer = site.hears(&format!("echo: {text}")).await;
    assert_eq!(answer.reply_to, Some(asked));
    assert!(
        answer.content.get("entities").is_none(),
        "{:?}",
        answer.content
    );
    assert_eq!(echo.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_a_stream_and_a_file_are_answered() {
    let site = Site::open().await;
    let _echo = site.start();
    let asked = site.says("hello");
    site.hears("echo: hello").await;
    site.telegram
        .edit(site.private(), asked, "hello 2")
        .unwrap();
    site.hears("edited: hello 2").await;

    site.says("/stream 12");
    let stream = site.hears("1 2 3 4 5 6 7 8 9 10 11 12").await;
    assert!(!stream.earlier.is_empty(), "it was shown while it grew");

    site.says("/file");
    let bot = site.bot;
    let file = site.telegram.wait_for(PATIENCE, |view| {
        view.sent(bot)
            .into_iter()
            .find(|sent| !sent.content["document"].is_null())
    });
    let file = file.await.unwrap();
    assert_eq!(file.content["document"]["file_name"], "hello.txt");
    assert_eq!(file.content["document"]["file_size"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buttons_are_offered_and_a_press_is_answered() {
    let site = Site::open().await;
    let _echo = site.start();
    site.says("/buttons");
    let menu = site.hears("choose").await;
    let query = site
        .telegram
        .press(site.private(), menu.message_id, site.ada, "A")
        .unwrap();
    site.hears("pressed A").await;
    let answered = site
        .telegram
        .wait_for(PATIENCE, |view| view.callback(&query)?.answer.clone());
    answered.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_is_downloaded_and_measured() {
    let site = Site::open().await;
    let _echo = site.start();
    let post = Post::document("a b.txt", "text/plain", &b"hello"[..]).caption("look");
    site.telegram.post(site.private(), site.ada, post).unwrap();
    site.hears("file a b.txt 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_answered_when_the_bot_is_meant_and_in_their_topic() {
    let site = Site::open().await;
    let mut group = Group::new(-1_001_234_567_890, "Kit").admin(site.bot);
    group.forum = true;
    let group = site.telegram.group(&group).unwrap();
    let place = Place::Shared(group);
    let _echo = site.start();
    let topic = site.telegram.topic(group, site.ada, "Plans").unwrap();
    let say = |text: &str| {
        site.telegram
            .post(place, site.ada, Post::text(text))
            .unwrap()
    };

    say("among ourselves");
    say("/echo@other_bot hi");
    say("@KIT_BOT hi");
    site.hears("echo: @KIT_BOT hi").await;
    let in_topic = Post::text("@kit_bot in the topic").in_topic(topic);
    site.telegram.post(place, site.ada, in_topic).unwrap();
    let answer = site.hears("echo: @kit_bot in the topic").await;
    assert_eq!(answer.thread, Some(topic));
    let mut reply = Post::text("as a reply");
    reply.reply_to = Some(answer.message_id);
    reply.thread = Some(topic);
    site.telegram.post(place, site.ada, reply).unwrap();
    site.hears("echo: as a reply").await;
    say("/stream@kit_bot 2");
    site.hears("1 2").await;
    let sent = site.telegram.sent(site.bot);
    assert_eq!(sent.len(), 4, "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeping_or_panicking_chat_holds_nobody_else() {
    let site = Site::open().await;
    let bob = site.telegram.user(43, "Bob");
    let echo = site.start();
    site.says("/panic");
    site.says("/sleep 60");
    for n in 0..20 {
        let text = format!("quick {n}");
        site.telegram.private_text(site.bot, bob, &text).unwrap();
        site.hears(&format!("echo: {text}")).await;
    }
    site.says("/help");
    let answers = site.telegram.sent(site.bot);
    assert_eq!(answers.len(), 20, "Ada still waits: {answers:?}");
    // Told to stop, it does not wait for the sleeper for a minute.
    assert_eq!(echo.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_tells_the_platform_what_was_handled() {
    let site = Site::open().await;
    let echo = site.start();
    site.says("hello");
    site.hears("echo: hello").await;
    assert_eq!(echo.terminate(), Some(0));
    assert!(site.telegram.updates_pending(site.bot).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_webhook_takes_the_place_of_polling() {
    let site = Site::open().await;
    let base = site.telegram.api_base();
    let echo = Echo::start(&[
        ("CHANNEL_TELEGRAM_BOT_TOKEN", TOKEN),
        ("CHANNEL_TELEGRAM_API_BASE", &base),
        ("CHANNEL_TELEGRAM_WEBHOOK_SECRET", "s3cret_TOKEN-1"),
    ])
    .ready("telegram");
    let url = format!("http://127.0.0.1:{}/telegram/webhook", echo.port);
    let http = channel_kit::http::transport().http;
    let call = |method: &'static str, body: String| {
        let request = http::Request::post(format!("{base}/bot{TOKEN}/{method}"))
            .header("content-type", "application/json")
            .body(channel_kit::core::HttpBody::from(body.into_bytes()))
            .unwrap();
        http.execute(channel_kit::core::HttpRequest::new(request))
    };
    let wrong = format!(r#"{{"url":"{url}","secret_token":"wrong"}}"#);
    assert_eq!(call("setWebhook", wrong).await.unwrap().status(), 200);
    site.says("hello");
    let refused = site.telegram.wait_for(PATIENCE, |view| {
        view.deliveries().find_map(|delivery| delivery.status)
    });
    assert_eq!(refused.await.unwrap(), 401);
    assert!(site.telegram.sent(site.bot).is_empty());
    let right = format!(r#"{{"url":"{url}","secret_token":"s3cret_TOKEN-1"}}"#);
    assert_eq!(call("setWebhook", right).await.unwrap().status(), 200);
    site.hears("echo: hello").await;
    // It knows its own name without having polled.
    let group = Group::new(-1_001_234_567_890, "Kit").admin(site.bot);
    let group = Place::Shared(site.telegram.group(&group).unwrap());
    for text in ["among ourselves", "@kit_bot hi", "/stream@kit_bot 2"] {
        site.telegram
            .post(group, site.ada, Post::text(text))
            .unwrap();
    }
    site.hears("echo: @kit_bot hi").await;
    site.hears("1 2").await;
}
