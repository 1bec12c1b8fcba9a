//! The bot on Slack, by the Events API and by Socket Mode, against the emulator that Slack's own SDKs certify.

use std::time::Duration;

use channel_emulator::slack::{
    Disconnect, Installation, NewApp, Post, Slack, SlackConfig, SlackServer, Target,
};

use crate::durable::Disk;
use crate::process::Echo;

const SECRET: &str = "slack-signing-secret-synthetic";
const TOKEN: &str = "xoxb-slack-token-synthetic";
const APP_TOKEN: &str = "xapp-slack-token-synthetic";
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Http,
    Socket,
}

struct Site {
    slack: SlackServer,
    way: Way,
    team: String,
    app: String,
    bot: Installation,
    ada: String,
    general: String,
    direct: String,
}

/// Settings under which no retry is waited for.
fn quick() -> SlackConfig {
    let waits = [
        Duration::ZERO,
        Duration::from_millis(100),
        Duration::from_millis(200),
    ];
    SlackConfig::default().rates(false).retries(&waits)
}

impl Site {
    async fn open(way: Way) -> Self {
        let slack = Slack::start(quick()).await.unwrap();
        let team = slack.workspace("Kit");
        let mut app = NewApp::new("kit", SECRET);
        if way == Way::Socket {
            app = app.socket_mode(APP_TOKEN);
        }
        let app = slack.add_app(&app).unwrap();
        let bot = slack.install(&app, &team, TOKEN).unwrap();
        let ada = slack.user(&team, "Ada").unwrap();
        let general = slack
            .channel(&team, "general", &[&ada, &bot.bot_user])
            .unwrap();
        let direct = slack.direct(&app, &ada).unwrap();
        Self {
            slack,
            way,
            team,
            app,
            bot,
            ada,
            general,
            direct,
        }
    }

    fn start(&self, variables: &[(&str, &str)]) -> Echo {
        let api = self.slack.api_base();
        let way = match self.way {
            Way::Http => ("CHANNEL_SLACK_SIGNING_SECRET", SECRET),
            Way::Socket => ("CHANNEL_SLACK_APP_TOKEN", APP_TOKEN),
        };
        let mut all = vec![
            ("CHANNEL_SLACK_BOT_TOKEN", TOKEN),
            ("CHANNEL_SLACK_API_BASE", &api),
            way,
        ];
        all.extend(variables);
        let echo = Echo::start(&all).ready("slack");
        let base = format!("http://127.0.0.1:{}/slack", echo.port);
        let (events, interactions) = (format!("{base}/events"), format!("{base}/interactions"));
        self.slack
            .set_urls(&self.app, &events, &interactions)
            .unwrap();
        echo
    }

    fn says(&self, text: &str) -> String {
        self.slack.say(&self.direct, &self.ada, text).unwrap()
    }

    async fn hears(&self, text: &str) {
        let found = self.slack.wait_for(PATIENCE, |slack| {
            slack
                .sent(&self.app)
                .into_iter()
                .find(|sent| sent.text == text)
        });
        if found.await.is_err() {
            let sent = self.slack.sent(&self.app);
            panic!(
                "no {text:?} among {sent:?}, deliveries {:?}",
                self.slack.deliveries()
            );
        }
    }

    /// How often a text was sent.
    fn count(&self, text: &str) -> usize {
        let sent = self.slack.sent(&self.app).into_iter();
        sent.filter(|sent| sent.text == text).count()
    }

    /// The `event_id` of the message that says this.
    fn event(&self, text: &str) -> String {
        let events = self.slack.events(&self.app);
        let event = events.iter().find(|event| event["event"]["text"] == text);
        event.unwrap()["event_id"].as_str().unwrap().to_owned()
    }

    /// Waits until an interaction is acknowledged.
    async fn settled(&self, number: u64) {
        let settled = self.slack.wait_for(PATIENCE, |slack| {
            slack.interaction(number).filter(|one| one.settled)
        });
        assert_eq!(settled.await.unwrap().error, None);
    }

    /// Waits until everything that was sent to the app is acknowledged.
    async fn acknowledged(&self, events: usize) {
        let all = self.slack.wait_for(PATIENCE, |slack| {
            let is_over = slack.acknowledged(&self.app) >= events && slack.pending(&self.app) == 0;
            is_over.then_some(())
        });
        all.await.unwrap();
    }
}

async fn keeps_its_contract(way: Way) {
    let site = Site::open(way).await;
    let echo = site.start(&[]);
    let asked = site.says("hello & <goodbye>");
    site.hears("echo: hello &amp; &lt;goodbye&gt;").await;
    site.slack
        .edit(&site.direct, &site.ada, &asked, "changed")
        .unwrap();
    site.hears("edited: changed").await;

    let mention = format!("<@{}> in public", site.bot.bot_user);
    let root = site
        .slack
        .say(&site.general, &site.ada, "not for you")
        .unwrap();
    let post = Post::text(&mention).in_thread(&root);
    site.slack.say(&site.general, &site.ada, post).unwrap();
    site.hears("echo: in public").await;
    let public = site.slack.history(&site.general);
    assert_eq!(
        public.last().unwrap().thread_ts.as_deref(),
        Some(root.as_str())
    );

    let file = Post::text("").file("hello.txt", "hello");
    site.slack.say(&site.direct, &site.ada, file).unwrap();
    site.hears("file hello.txt 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        .await;
    site.says("/file");
    let sent = site.slack.wait_for(PATIENCE, |slack| {
        slack
            .sent(&site.app)
            .into_iter()
            .find(|sent| !sent.files.is_empty())
    });
    let sent = sent.await.unwrap();
    assert_eq!(site.slack.file(&sent.files[0]).unwrap(), "hello");

    site.says("/buttons");
    site.hears("choose").await;
    let sent = site.slack.sent(&site.app);
    let choice = sent.iter().find(|sent| sent.text == "choose").unwrap();
    let number = site
        .slack
        .press(&choice.channel, &site.ada, &choice.ts, "B")
        .unwrap();
    site.hears("pressed B").await;
    site.settled(number).await;

    site.says("/stream 5");
    let streamed = site.slack.wait_for(PATIENCE, |slack| {
        let mut sent = slack.sent(&site.app).into_iter();
        sent.find(|sent| sent.text == "1 2 3 4 5" && !sent.streaming)
    });
    streamed.await.unwrap();

    let command = site
        .slack
        .command(&site.app, &site.general, &site.ada, "/kit", "a b");
    let answered = site.slack.wait_for(PATIENCE, |slack| {
        slack
            .ephemerals(&site.general)
            .into_iter()
            .find(|one| one.text == "echo: /kit a b")
    });
    answered.await.unwrap();
    site.settled(command.unwrap()).await;
    assert_eq!(
        site.count("echo: in public"),
        1,
        "a mention and its message are one"
    );
    assert_eq!(echo.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_its_contract_by_the_events_api() {
    keeps_its_contract(Way::Http).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_its_contract_by_socket_mode() {
    keeps_its_contract(Way::Socket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_signature_from_slack_reaches_no_handler() {
    let site = Site::open(Way::Http).await;
    let _echo = site.start(&[]);
    // Forged for the first try and every retry.
    site.slack.faults().wrong_signatures(4);
    site.says("forged");
    let refused = site.slack.wait_for(PATIENCE, |slack| {
        let refused = slack
            .deliveries()
            .into_iter()
            .filter(|one| one.status == Some(401));
        (refused.count() == 4).then_some(())
    });
    refused.await.unwrap();
    site.says("real");
    site.hears("echo: real").await;
    assert_eq!(site.count("echo: forged"), 0);
}

/// Issue 4: a redelivery, a socket refresh and a restart each yield exactly one handled event.
async fn one_event_is_handled_once(way: Way) {
    let (site, disk) = (Site::open(way).await, Disk::new());
    let store = disk.variable();
    let store = [("CHANNEL_STORE", store.as_str())];
    let echo = site.start(&store);
    site.says("once");
    site.hears("echo: once").await;
    let id = site.event("once");
    for _ in 0..3 {
        assert!(site.slack.resend(&site.app, &id));
    }
    // The event, three copies and the answer, which comes back to the app.
    site.acknowledged(5).await;
    if way == Way::Socket {
        site.slack
            .disconnect(&site.app, Disconnect::RefreshRequested);
        let other = site.slack.wait_for(PATIENCE, |slack| {
            (slack.sockets(&site.app) == 2).then_some(())
        });
        other.await.unwrap();
        assert!(site.slack.resend(&site.app, &id));
        site.acknowledged(6).await;
    }
    let before = site.slack.acknowledged(&site.app);
    echo.kill();
    let echo = site.start(&store);
    assert!(site.slack.resend(&site.app, &id));
    site.acknowledged(before + 1).await;
    site.says("fence");
    site.hears("echo: fence").await;
    assert_eq!(site.count("echo: once"), 1);
    assert_eq!(echo.terminate(), Some(0));
    assert_eq!(site.count("echo: once"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_by_http_is_handled_once() {
    one_event_is_handled_once(Way::Http).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_by_socket_is_handled_once() {
    one_event_is_handled_once(Way::Socket).await;
}

/// Issue 4: the acknowledgement is sent after the record and before the handler.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sleeping_handlers_delay_no_acknowledgement() {
    const SLEEPERS: usize = 200;
    const OTHERS: usize = 500;
    let (site, disk) = (Site::open(Way::Http).await, Disk::new());
    let store = disk.variable();
    let echo = site.start(&[("CHANNEL_STORE", &store)]);
    let mut chats = Vec::new();
    for number in 0..SLEEPERS {
        let user = site
            .slack
            .user(&site.team, &format!("User {number}"))
            .unwrap();
        let chat = site.slack.direct(&site.app, &user).unwrap();
        site.slack.say(&chat, &user, "/sleep 10").unwrap();
        chats.push((chat, user));
    }
    site.acknowledged(SLEEPERS).await;
    // All of them sleep; each further message waits behind a sleeper of its chat.
    for number in 0..OTHERS {
        let (chat, user) = &chats[number % SLEEPERS];
        site.slack
            .say(chat, user, format!("next {number}").as_str())
            .unwrap();
        // As fast as they are taken, and not all at once: this measures the bot, not a queue.
        site.acknowledged(SLEEPERS + number + 1).await;
    }
    let slept = site
        .slack
        .sent(&site.app)
        .into_iter()
        .filter(|sent| sent.text == "slept 10");
    let asleep = SLEEPERS - slept.count();
    let mut took: Vec<u64> = site
        .slack
        .deliveries()
        .into_iter()
        .filter(|one| one.target == Target::Events)
        .skip(SLEEPERS)
        .map(|one| {
            assert_eq!((one.attempt, one.status), (0, Some(200)), "{one:?}");
            one.took_ms
        })
        .collect();
    took.sort_unstable();
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!(
        "{} acknowledgements, {asleep} asleep at the end: p50 {p50} ms, p99 {p99} ms",
        took.len()
    );
    assert!(p99 < 100, "p99 {p99} ms");
    echo.kill();
}
