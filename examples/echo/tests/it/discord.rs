//! The bot on Discord, against the emulator that discord.py and discord.js certify.

use std::time::Duration;

use channel_emulator::discord::{
    Ask, Discord, DiscordConfig, DiscordServer, NewBot, NewGuild, Post,
};

use crate::process::Echo;

const TOKEN: &str = "synthetic.discord.token";
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    discord: DiscordServer,
    bot: u64,
    ada: u64,
    direct: u64,
    general: u64,
    echo: Option<Echo>,
}

impl Site {
    async fn open(endpoint: bool) -> Self {
        let discord = Discord::start(DiscordConfig::default()).await.unwrap();
        let bot = discord.add_bot(&NewBot::new(TOKEN, "kitbot")).unwrap();
        let ada = discord.user("Ada");
        let (_, general) = discord
            .guild(&NewGuild::new("Kit", &[bot], &[ada]))
            .unwrap();
        let direct = discord.direct(bot, ada).unwrap();
        let (api, id) = (discord.api_base(), bot.to_string());
        let key = discord.public_key(bot).unwrap();
        let mut variables = vec![
            ("CHANNEL_DISCORD_BOT_TOKEN", TOKEN),
            ("CHANNEL_DISCORD_API_BASE", &api),
        ];
        if endpoint {
            variables.push(("CHANNEL_DISCORD_PUBLIC_KEY", &key));
            variables.push(("CHANNEL_DISCORD_APPLICATION_ID", &id));
        }
        let echo = Echo::start(&variables).ready("discord");
        if endpoint {
            let url = format!("http://127.0.0.1:{}/discord/interactions", echo.port);
            discord.endpoint(bot, Some(&url)).unwrap();
        }
        Self {
            discord,
            bot,
            ada,
            direct,
            general,
            echo: Some(echo),
        }
    }

    async fn hears(&self, channel: u64, text: &str) -> u64 {
        let found = self.discord.wait_for(PATIENCE, |discord| {
            let all = discord.history(channel).into_iter();
            all.rev().find(|sent| sent.by_bot && sent.text == text)
        });
        match found.await {
            Ok(sent) => sent.id,
            Err(_) => panic!("no {text:?} among {:?}", self.discord.history(channel)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discord_user_gets_the_echo_in_chats_and_channels() {
    let mut site = Site::open(false).await;
    let id = site.discord.post(site.direct, site.ada, "hello").unwrap();
    site.hears(site.direct, "echo: hello").await;
    assert_eq!(site.discord.history(site.direct)[1].reply_to, Some(id));
    site.discord
        .post(site.general, site.ada, "not for the bot")
        .unwrap();
    let mention = format!("<@{}> hi", site.bot);
    site.discord
        .post(site.general, site.ada, mention.as_str())
        .unwrap();
    site.hears(site.general, "echo: hi").await;
    assert_eq!(site.discord.history(site.general).len(), 3);
    let file = Post::text("").file("hello.txt", "hello");
    site.discord.post(site.direct, site.ada, file).unwrap();
    let answer =
        "file hello.txt 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    site.hears(site.direct, answer).await;
    site.discord.edit(site.direct, id, "hello again").unwrap();
    site.hears(site.direct, "edited: hello again").await;
    assert_eq!(site.echo.take().unwrap().terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discord_command_and_a_press_come_over_http() {
    let site = Site::open(true).await;
    site.discord
        .post(site.direct, site.ada, "/buttons")
        .unwrap();
    let found = site.discord.wait_for(PATIENCE, |discord| {
        let all = discord.history(site.direct).into_iter();
        all.rev().find(|sent| !sent.components.is_empty())
    });
    let shown = found.await.unwrap();
    let custom_id = shown.components[0]["components"][0]["custom_id"]
        .as_str()
        .unwrap();
    let press = Ask::Component {
        message: shown.id,
        custom_id: custom_id.to_owned(),
        values: Vec::new(),
    };
    let id = site
        .discord
        .ask(site.bot, site.direct, site.ada, press)
        .unwrap();
    site.hears(site.direct, "pressed A").await;
    // The answer to the request may be read after the message that the handler sent.
    let answered = site.discord.wait_for(PATIENCE, |discord| {
        discord.interaction(id).and_then(|asked| asked.answered)
    });
    assert_eq!(answered.await.unwrap(), 6);
}
