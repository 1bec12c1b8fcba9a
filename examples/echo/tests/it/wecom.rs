//! The bot on WeCom, against the emulator that WeCom's own SDK certifies.

use std::time::Duration;

use channel_emulator::wecom::{NewBot, Post, Wecom, WecomConfig, WecomServer};

use crate::process::Echo;

const TOKEN: &str = "syntheticTOKEN1";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const CORP: &str = "wwcorp00000000001";
const SECRET: &str = "wecom-secret-synthetic";
const ADA: &str = "AdaL";
const PATIENCE: Duration = Duration::from_secs(20);

async fn platform() -> WecomServer {
    let wecom = Wecom::start(WecomConfig::default()).await.unwrap();
    wecom.user(ADA, "Ada");
    wecom
}

/// Waits for a finished message of the bot with these words in it.
async fn hears(wecom: &Wecom, bot: &str, words: &str) {
    let found = wecom.wait_for(PATIENCE, |wecom| {
        let mut sent = wecom.sent(bot).into_iter();
        sent.find(|sent| sent.is_finished && sent.body.to_string().contains(words))
    });
    if found.await.is_err() {
        panic!("no {words:?} among {:?}", wecom.sent(bot));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ai_bot_answers_over_its_connection() {
    let wecom = platform().await;
    let bot = wecom.add_bot(&NewBot::link("aib1", SECRET)).unwrap();
    let echo = Echo::start(&[
        ("CHANNEL_WECOM_AIBOT_BOT_ID", "aib1"),
        ("CHANNEL_WECOM_AIBOT_SECRET", SECRET),
        ("CHANNEL_WECOM_AIBOT_WS_URL", &wecom.link_url()),
    ])
    .ready("wecom");
    wecom.say(&bot, ADA, "hello").unwrap();
    hears(&wecom, &bot, "echo: hello").await;
    wecom
        .say(&bot, ADA, Post::file("hello.txt", "hello"))
        .unwrap();
    hears(
        &wecom,
        &bot,
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    )
    .await;
    wecom.say(&bot, ADA, "/stream 30").unwrap();
    hears(&wecom, &bot, "28 29 30").await;
    assert_eq!(echo.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_an_ai_bot_and_a_group_bot_share_a_process() {
    let wecom = platform().await;
    let app = wecom
        .add_bot(&NewBot::app(CORP, SECRET, 1_000_002))
        .unwrap();
    let aibot = wecom.add_bot(&NewBot::ai("aib1")).unwrap();
    let group = wecom.add_bot(&NewBot::group("group-key")).unwrap();
    let team = wecom.group("Team", &[&group], &[ADA]).unwrap();
    let base = wecom.api_base();
    let webhook = format!("{base}/cgi-bin/webhook/send?key=group-key");
    let echo = Echo::start(&[
        ("CHANNEL_WECOM_APP_CORP_ID", CORP),
        ("CHANNEL_WECOM_APP_CORP_SECRET", SECRET),
        ("CHANNEL_WECOM_APP_AGENT_ID", "1000002"),
        ("CHANNEL_WECOM_APP_TOKEN", TOKEN),
        ("CHANNEL_WECOM_APP_ENCODING_AES_KEY", KEY),
        ("CHANNEL_WECOM_APP_API_BASE", &base),
        ("CHANNEL_WECOM_AIBOT_TOKEN", TOKEN),
        ("CHANNEL_WECOM_AIBOT_ENCODING_AES_KEY", KEY),
        ("CHANNEL_WECOM_AIBOT_API_BASE", &base),
        ("CHANNEL_WECOM_BOT_WEBHOOK_URL", &webhook),
        ("CHANNEL_WECOM_BOT_TOKEN", TOKEN),
        ("CHANNEL_WECOM_BOT_ENCODING_AES_KEY", KEY),
    ])
    .ready("wecom");
    for (bot, path) in [
        (&app, "/webhook/wecom-app"),
        (&aibot, "/webhook/wecom-aibot"),
        (&group, "/webhook/wecom"),
    ] {
        let url = format!("http://127.0.0.1:{}{path}", echo.port);
        wecom.set_callback(bot, &url, TOKEN, KEY).unwrap();
        assert!(wecom.check(bot).await.unwrap(), "{path}");
    }
    wecom.say(&app, ADA, "to the app").unwrap();
    wecom.say(&aibot, ADA, "/stream 40").unwrap();
    wecom.post(&group, &team, ADA, "to the group").unwrap();
    hears(&wecom, &app, "echo: to the app").await;
    hears(&wecom, &aibot, "38 39 40").await;
    hears(&wecom, &group, "echo: to the group").await;
    for bot in [&app, &aibot, &group] {
        assert_eq!(wecom.sent(bot).len(), 1, "{bot}");
    }
    wecom.faults().wrong_signatures(4);
    wecom.say(&app, ADA, "forged").unwrap();
    // All four tries are over: a later one would have the right signature again.
    let refused = wecom.wait_for(PATIENCE, |wecom| {
        let tries = wecom.deliveries();
        let refused = tries.iter().filter(|one| one.status == Some(401)).count();
        (refused == 4).then_some(())
    });
    refused.await.unwrap();
    wecom.say(&app, ADA, "real").unwrap();
    hears(&wecom, &app, "echo: real").await;
    assert_eq!(wecom.sent(&app).len(), 2);
    assert_eq!(echo.terminate(), Some(0));
}
