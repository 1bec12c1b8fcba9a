//! The bot on LINE, against the emulator that LINE's own SDKs certify.

use std::time::Duration;

use channel_emulator::line::{Line, LineConfig, LineServer, NewBot, Post};

use crate::process::Echo;

const SECRET: &str = "8c570fa6dd201bb328f1c1eac23a96d8";
const TOKEN: &str = "line-token-synthetic";
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    line: LineServer,
    bot: String,
    ada: String,
    echo: Option<Echo>,
}

impl Site {
    async fn open() -> Self {
        let line = Line::start(LineConfig::default()).await.unwrap();
        let bot = line.add_bot(&NewBot::new(SECRET, TOKEN, "Kit")).unwrap();
        let ada = line.user("Ada");
        let (api, data) = (line.api_base(), line.data_api_base());
        let echo = Echo::start(&[
            ("CHANNEL_LINE_CHANNEL_SECRET", SECRET),
            ("CHANNEL_LINE_CHANNEL_ACCESS_TOKEN", TOKEN),
            ("CHANNEL_LINE_API_BASE", &api),
            ("CHANNEL_LINE_DATA_API_BASE", &data),
        ])
        .ready("line");
        let hook = format!("http://127.0.0.1:{}/line/webhook", echo.port);
        line.set_webhook(&bot, &hook).unwrap();
        line.use_webhook(&bot, true);
        line.follow(&bot, &ada).unwrap();
        Self {
            line,
            bot,
            ada,
            echo: Some(echo),
        }
    }

    async fn hears(&self, text: &str) {
        let found = self.line.wait_for(PATIENCE, |line| {
            line.sent(&self.bot)
                .into_iter()
                .find(|sent| sent.message["text"] == text)
        });
        if found.await.is_err() {
            panic!("no {text:?} among {:?}", self.line.sent(&self.bot));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_user_gets_the_echo_by_reply_token() {
    let mut site = Site::open().await;
    site.line.say(&site.bot, &site.ada, "hello").unwrap();
    site.hears("echo: hello").await;
    let replies = site.line.calls();
    assert!(
        replies.iter().any(|call| call.method == "reply"),
        "{replies:?}"
    );
    assert!(
        replies.iter().all(|call| call.method != "push"),
        "{replies:?}"
    );
    assert_eq!(site.echo.take().unwrap().terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_file_is_downloaded_and_hashed() {
    let site = Site::open().await;
    site.line
        .say(&site.bot, &site.ada, Post::file("hello.txt", "hello"))
        .unwrap();
    site.hears("file hello.txt 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_signature_from_line_reaches_no_handler() {
    let site = Site::open().await;
    // The follow event is through by then.
    site.line.say(&site.bot, &site.ada, "first").unwrap();
    site.hears("echo: first").await;
    site.line.faults().wrong_signatures(1);
    site.line.say(&site.bot, &site.ada, "forged").unwrap();
    site.line.say(&site.bot, &site.ada, "real").unwrap();
    site.hears("echo: real").await;
    let sent = format!("{:?}", site.line.sent(&site.bot));
    assert!(!sent.contains("forged"), "{sent}");
}
