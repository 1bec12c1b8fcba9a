//! The bot on DingTalk, against the emulator that its official SDKs certify.

use std::time::Duration;

use channel_emulator::dingtalk::{Dingtalk, DingtalkConfig, DingtalkServer, NewApp, Post, Via};
use serde_json::json;

use crate::process::Echo;

const APP: &str = "ding0001";
const SECRET: &str = "appSecret-synthetic-0001";
const TEMPLATE: &str = "tpl-0001.schema";
const ADA: &str = "staff1";
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    dingtalk: DingtalkServer,
    echo: Option<Echo>,
}

impl Site {
    async fn open(is_webhook: bool) -> Self {
        let config = DingtalkConfig::default()
            .rates(false)
            .redelivery(Duration::from_secs(1), 60);
        let dingtalk = Dingtalk::start(config).await.unwrap();
        let app = NewApp::new(APP, SECRET, "Kit").template(TEMPLATE, &["msgContent"]);
        dingtalk.add_app(&app).unwrap();
        dingtalk.user(ADA, "Ada");
        let api = dingtalk.api_base();
        let echo = Echo::start(&[
            ("CHANNEL_DINGTALK_CLIENT_ID", APP),
            ("CHANNEL_DINGTALK_CLIENT_SECRET", SECRET),
            (
                "CHANNEL_DINGTALK_ROBOT_SECRET",
                if is_webhook { SECRET } else { "" },
            ),
            ("CHANNEL_DINGTALK_CARD_TEMPLATE_ID", TEMPLATE),
            ("CHANNEL_DINGTALK_API_BASE", &api),
        ])
        .ready("dingtalk");
        if is_webhook {
            let url = format!("http://127.0.0.1:{}/dingtalk/webhook", echo.port);
            dingtalk.set_webhook(APP, Some(&url)).unwrap();
        }
        Self {
            dingtalk,
            echo: Some(echo),
        }
    }

    /// A message of the bot's that holds these words; the way that it came.
    async fn hears(&self, words: &str) -> Via {
        let found = self.dingtalk.wait_for(PATIENCE, |dingtalk| {
            let mut sent = dingtalk.sent(APP).into_iter();
            sent.find(|sent| sent.content.to_string().contains(words))
        });
        match found.await {
            Ok(sent) => sent.via,
            Err(_) => panic!("no {words:?} among {:?}", self.dingtalk.sent(APP)),
        }
    }

    /// A card that shows these words and is at its end.
    async fn shows(&self, words: &str) -> String {
        let found = self.dingtalk.wait_for(PATIENCE, |dingtalk| {
            let mut cards = dingtalk.cards(APP).into_iter();
            cards.find(|card| {
                let variables = &card.variables;
                variables["flowStatus"] == "3" && variables["msgContent"].contains(words)
            })
        });
        match found.await {
            Ok(card) => card.id,
            Err(_) => panic!("no {words:?} among {:?}", self.dingtalk.cards(APP)),
        }
    }

    async fn talks(&self) {
        self.dingtalk.say(APP, ADA, "hello").unwrap();
        assert_eq!(self.hears("echo: hello").await, Via::Session);
        let group = self.dingtalk.group("Team", &[APP], &[ADA]).unwrap();
        self.dingtalk.post(&group, ADA, "not for the bot").unwrap();
        self.dingtalk.post(&group, ADA, "@Kit hi").unwrap();
        assert_eq!(self.hears("echo: hi").await, Via::Session);
        let file = Post::file("file", "hello.txt", "hello");
        self.dingtalk.say(APP, ADA, file).unwrap();
        self.hears(
            "file hello.txt 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        )
        .await;
        let all = self.dingtalk.sent(APP);
        assert!(!format!("{all:?}").contains("not for the bot"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dingtalk_user_gets_the_echo_over_the_stream() {
    let mut site = Site::open(false).await;
    site.talks().await;
    site.dingtalk.say(APP, ADA, "/buttons").unwrap();
    let card = site.shows("choose").await;
    site.dingtalk.press(&card, ADA, "A", &json!({})).unwrap();
    site.hears("pressed A").await;
    site.dingtalk.say(APP, ADA, "/stream 5").unwrap();
    site.shows("1 2 3 4 5").await;
    site.dingtalk.cut(APP);
    site.dingtalk.say(APP, ADA, "in the dark").unwrap();
    site.hears("echo: in the dark").await;
    assert_eq!(site.echo.take().unwrap().terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dingtalk_user_gets_the_echo_by_signed_requests() {
    let mut site = Site::open(true).await;
    site.dingtalk.faults().wrong_signatures(1);
    site.dingtalk.say(APP, ADA, "forged").unwrap();
    // What is said next may overtake it.
    let refused = site
        .dingtalk
        .wait_for(PATIENCE, |server| server.deliveries().first()?.status);
    assert_eq!(refused.await.unwrap(), 401);
    site.talks().await;
    let all = site.dingtalk.sent(APP);
    assert!(!format!("{all:?}").contains("forged"));
    assert_eq!(site.echo.take().unwrap().terminate(), Some(0));
}
