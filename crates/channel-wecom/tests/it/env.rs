//! Channels from the environment, each in a process of its own: the environment of a test's
//! process belongs to all tests.

use channel_core::Result;
use channel_wecom::{WecomApp, WecomBot};

use crate::sealing::{CORP, KEY, TOKEN};

/// What a child process says that has these variables and no other.
fn outcome(name: &str, variables: &[(&str, &str)]) -> String {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "env::child", "--nocapture", "--ignored"])
        .env_clear()
        .env("CHILD_MAKES", name)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("made: "));
    line.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

fn make(name: &str) -> Result<String> {
    let id = |channel: &dyn channel_core::Channel| {
        let way = match (channel.as_webhook(), channel.as_events()) {
            (Some(webhook), _) => webhook.routes()[0].path.clone(),
            (None, Some(_)) => "connection".to_owned(),
            (None, None) => "sends only".to_owned(),
        };
        format!("{} {way}", channel.info().id)
    };
    Ok(match name {
        "app" => id(&WecomApp::from_env()?),
        "bot" => id(&WecomBot::from_env()?),
        _ => id(channel_wecom::aibot_from_env()?.as_ref()),
    })
}

#[test]
#[ignore = "run by the tests of this module"]
fn child() {
    let Ok(name) = std::env::var("CHILD_MAKES") else {
        return;
    };
    println!(
        "made: {}",
        make(&name).unwrap_or_else(|error| error.to_string())
    );
}

#[test]
fn an_app_is_made_of_its_variables() {
    let all = [
        ("CHANNEL_WECOM_APP_CORP_ID", CORP),
        ("CHANNEL_WECOM_APP_CORP_SECRET", "s"),
        ("CHANNEL_WECOM_APP_AGENT_ID", "1000002"),
        ("CHANNEL_WECOM_APP_TOKEN", TOKEN),
        ("CHANNEL_WECOM_APP_ENCODING_AES_KEY", KEY),
        ("CHANNEL_WECOM_APP_API_BASE", "http://127.0.0.1:9"),
    ];
    assert_eq!(outcome("app", &all), "wecom-app /webhook/wecom-app");
    assert_eq!(outcome("app", &all[..3]), "wecom-app sends only");
    assert!(outcome("app", &all[1..]).contains("CORP_ID is not set"));
    assert!(outcome("app", &all[..4]).contains("belong together"));
    let bad = [all[0], all[1], ("CHANNEL_WECOM_APP_AGENT_ID", "x")];
    assert!(outcome("app", &bad).contains("AGENT_ID has to be a number"));
    let blank = [all[0], all[1], all[2], ("CHANNEL_WECOM_APP_TOKEN", " ")];
    assert_eq!(outcome("app", &blank), "wecom-app sends only");
}

#[test]
fn a_group_bot_is_made_of_its_variables() {
    let hook = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k";
    let all = [
        ("CHANNEL_WECOM_BOT_WEBHOOK_URL", hook),
        ("CHANNEL_WECOM_BOT_TOKEN", TOKEN),
        ("CHANNEL_WECOM_BOT_ENCODING_AES_KEY", KEY),
    ];
    assert_eq!(outcome("bot", &all), "wecom /webhook/wecom");
    assert_eq!(outcome("bot", &all[..1]), "wecom sends only");
    assert_eq!(outcome("bot", &all[1..]), "wecom /webhook/wecom");
    assert!(outcome("bot", &[]).contains("webhook_url"));
}

#[test]
fn an_ai_bot_is_called_or_connects() {
    let callback = [
        ("CHANNEL_WECOM_AIBOT_TOKEN", TOKEN),
        ("CHANNEL_WECOM_AIBOT_ENCODING_AES_KEY", KEY),
    ];
    let link = [
        ("CHANNEL_WECOM_AIBOT_BOT_ID", "aib1"),
        ("CHANNEL_WECOM_AIBOT_SECRET", "s"),
        ("CHANNEL_WECOM_AIBOT_WS_URL", "ws://127.0.0.1:9"),
    ];
    assert_eq!(
        outcome("aibot", &callback),
        "wecom-aibot /webhook/wecom-aibot"
    );
    assert_eq!(outcome("aibot", &link), "wecom-aibot connection");
    assert_eq!(outcome("aibot", &link[..2]), "wecom-aibot connection");
    assert!(outcome("aibot", &[callback, [link[0], link[1]]].concat()).contains("not both"));
    assert!(outcome("aibot", &[]).contains("is not set"));
    assert!(outcome("aibot", &link[..1]).contains("SECRET is not set"));
}
