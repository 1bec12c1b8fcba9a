//! The bot on Feishu, against the emulator that both official SDKs certify.

use std::collections::BTreeMap;
use std::time::Duration;

use channel_emulator::feishu::{Feishu, FeishuConfig, FeishuServer, NewApp, Post};
use channel_kit::delivery::{EventState, PartState, SqliteStore, Store as _};

use crate::durable::Disk;
use crate::process::Echo;

const APP: &str = "cli_0000000000000001";
const SECRET: &str = "synthetic_app_secret_0001";
const KEY: &str = "ek-0123456789abcdef";
const TOKEN: &str = "vt-synthetic-0001";
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    feishu: FeishuServer,
    ada: String,
    echo: Option<Echo>,
}

impl Site {
    async fn open(mode: &str) -> Self {
        let mut site = Self::without_bot().await;
        let echo = site.start(&[("CHANNEL_FEISHU_MODE", mode)]);
        let echo = echo.ready("feishu");
        if mode == "webhook" {
            let base = format!("http://127.0.0.1:{}/feishu", echo.port);
            let (events, callbacks) = (format!("{base}/events"), format!("{base}/callback"));
            site.feishu
                .set_webhook(APP, Some(&events), Some(&callbacks))
                .unwrap();
        }
        site.echo = Some(echo);
        site
    }

    async fn without_bot() -> Self {
        let config = FeishuConfig::default()
            .rates(false)
            .connection(30, 1, 1)
            .redelivery(&[Duration::from_millis(250); 240]);
        let feishu = Feishu::start(config).await.unwrap();
        let app = NewApp::new(APP, SECRET, "Kit").keys(TOKEN, Some(KEY));
        feishu.add_app(&app).unwrap();
        let ada = feishu.user("Ada");
        Self {
            feishu,
            ada,
            echo: None,
        }
    }

    fn start(&self, more: &[(&str, &str)]) -> Echo {
        let api = self.feishu.api_base();
        let mut variables = vec![
            ("CHANNEL_FEISHU_APP_ID", APP),
            ("CHANNEL_FEISHU_APP_SECRET", SECRET),
            ("CHANNEL_FEISHU_VERIFICATION_TOKEN", TOKEN),
            ("CHANNEL_FEISHU_ENCRYPT_KEY", KEY),
            ("CHANNEL_FEISHU_API_BASE", &api),
        ];
        variables.extend(more);
        Echo::start(&variables)
    }

    /// A message of the bot's that holds these words.
    async fn hears(&self, words: &str) -> String {
        let found = self.feishu.wait_for(PATIENCE, |feishu| {
            let mut sent = feishu.sent(APP).into_iter();
            sent.find(|sent| sent.content.to_string().contains(words))
        });
        match found.await {
            Ok(sent) => sent.id,
            Err(_) => panic!("no {words:?} among {:?}", self.feishu.sent(APP)),
        }
    }

    async fn talks(&self) {
        self.feishu.say(APP, &self.ada, "hello").unwrap();
        self.hears("echo: hello").await;
        let group = self.feishu.group("Team", &[APP], &[&self.ada]).unwrap();
        self.feishu
            .post(&group, &self.ada, "not for the bot")
            .unwrap();
        self.feishu.post(&group, &self.ada, "@Kit hi").unwrap();
        self.hears("echo: hi").await;
        let file = Post::file("file", "hello.txt", "hello");
        self.feishu.say(APP, &self.ada, file).unwrap();
        self.hears(
            "file hello.txt 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        )
        .await;
        self.feishu.say(APP, &self.ada, "/buttons").unwrap();
        let shown = self
            .feishu
            .wait_for(PATIENCE, |feishu| {
                let mut sent = feishu.sent(APP).into_iter();
                sent.find(|sent| sent.kind == "interactive")
            })
            .await
            .unwrap();
        self.feishu.press(&shown.id, &self.ada, "A").unwrap();
        self.hears("pressed A").await;
        let all = self.feishu.sent(APP);
        assert!(!format!("{all:?}").contains("not for the bot"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feishu_user_gets_the_echo_over_the_long_connection() {
    let mut site = Site::open("websocket").await;
    site.talks().await;
    site.feishu.cut(APP);
    site.feishu.say(APP, &site.ada, "in the dark").unwrap();
    site.hears("echo: in the dark").await;
    assert_eq!(site.echo.take().unwrap().terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feishu_user_gets_the_echo_by_webhook() {
    let mut site = Site::open("webhook").await;
    let verified = site.feishu.verify_url(APP, "c0ffee").await.unwrap();
    assert_eq!(verified.0, Some(200));
    assert_eq!(verified.1["challenge"], "c0ffee");
    site.feishu.faults().wrong_signatures(1);
    site.talks().await;
    let refused = site.feishu.deliveries()[0].status;
    assert_eq!(refused, Some(401));
    assert_eq!(site.echo.take().unwrap().terminate(), Some(0));
}

/// The platform recognises a repeated send by its `uuid`, and delivers again what was not
/// acknowledged: whatever the bot was at when it died, each word is answered once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_thirty_times_it_answers_every_word_once() {
    let (site, disk) = (Site::without_bot().await, Disk::new());
    let start = || {
        let store = disk.variable();
        site.start(&[
            ("CHANNEL_FEISHU_MODE", "websocket"),
            ("CHANNEL_STORE", &store),
        ])
    };
    let heard = || {
        let mut heard = BTreeMap::<String, usize>::new();
        for sent in site.feishu.sent(APP) {
            *heard.entry(sent.content.to_string()).or_default() += 1;
        }
        heard
    };
    // So many that the limit of a chat keeps nobody waiting for long.
    let people: Vec<_> = (0..10)
        .map(|n| site.feishu.user(&format!("Person {n}")))
        .collect();
    let (mut said, mut at_work) = (0, 0);
    for round in 0..30_u64 {
        let echo = start().ready("feishu");
        let connected = site.feishu.wait_for(PATIENCE, |feishu| {
            (feishu.connections(APP) > 0).then_some(())
        });
        connected.await.unwrap();
        for person in people.iter().cycle().skip(said).take(5) {
            let text = format!("word {said}.");
            site.feishu.say(APP, person, text.as_str()).unwrap();
            said += 1;
        }
        // From "nothing has arrived" over "the first is on record" to "all is answered".
        tokio::time::sleep(Duration::from_micros(2011 * round)).await;
        echo.kill();
        at_work += u32::from(heard().len() < said);
    }
    assert!(at_work >= 10, "killed at work {at_work} times of 30");
    let echo = start().ready("feishu");
    let all = site.feishu.wait_for(Duration::from_secs(60), |_| {
        (heard().len() >= said).then_some(())
    });
    let is_whole = all.await.is_ok();
    assert_eq!(echo.terminate(), Some(0));
    let heard = heard();
    assert!(is_whole, "{} of {said}: {heard:?}", heard.len());
    for number in 0..said {
        let mut texts = heard.iter();
        let found = texts.find(|(text, _)| text.contains(&format!("echo: word {number}.")));
        assert_eq!(found.map(|(_, times)| *times), Some(1), "word {number}");
    }
    let store = SqliteStore::open(disk.store()).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.parts.get(&PartState::Uncertain), None);
    assert_eq!(
        counts.events.get(&EventState::Handled),
        Some(&(said as u64))
    );
}
