//! Discord, by the gateway.

use std::sync::Arc;

use channel_core::Result;
use channel_emulator::discord::{Ask, Discord, DiscordConfig, DiscordServer, MessageView, NewBot};

use super::{
    About, Choice, Emulated, Opening, PERSON_NAME, Pair, Served, Shown, done, failed, field,
    objects, refused,
};

const ABOUT: About = About {
    id: "discord",
    name: "Discord",
    about: "Emulated REST and gateway",
    markdown: true,
};

#[derive(Debug)]
struct Chat {
    server: DiscordServer,
    bot: u64,
    channel: u64,
    person: u64,
}

pub(super) async fn open(opening: &Opening<'_>) -> Result<Pair> {
    let token = opening.secret("demo.discord.");
    let server = Discord::start(DiscordConfig::default())
        .await
        .map_err(failed)?;
    let bot = server
        .add_bot(&NewBot::new(token.expose(), "channel-kit"))
        .map_err(failed)?;
    let person = server.user(PERSON_NAME);
    let direct = server.direct(bot, person).map_err(failed)?;
    let channel = channel_discord::Discord::builder()
        .bot_token(token.clone())
        .api_base(server.api_base())
        .transport((opening.recorded)(&token))
        .build()?;
    let chat = Chat {
        server,
        bot,
        channel: direct,
        person,
    };
    Ok((Arc::new(chat), Arc::new(channel)))
}

impl Emulated for Chat {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn person(&self) -> String {
        self.person.to_string()
    }
    fn say(&self, text: &str) -> Result<()> {
        done(self.server.post(self.channel, self.person, text))
    }
    fn press(&self, message: &str, value: &str) -> Result<()> {
        let press = Ask::Component {
            message: message.parse().map_err(refused)?,
            custom_id: value.to_owned(),
            values: Vec::new(),
        };
        done(self.server.ask(self.bot, self.channel, self.person, press))
    }
    fn messages(&self) -> Vec<Shown> {
        let history = self.server.history(self.channel);
        history.into_iter().map(shown).collect()
    }
    fn server(&self) -> &dyn Served {
        &self.server
    }
}

fn shown(view: MessageView) -> Shown {
    let buttons = view
        .components
        .iter()
        .flat_map(objects)
        .filter_map(|object| {
            let url = field(object, "url");
            Some(Choice {
                label: field(object, "label")?,
                value: field(object, "custom_id").or_else(|| url.clone())?,
                url,
            })
        });
    Shown {
        mine: !view.by_bot,
        buttons: buttons.collect(),
        files: view.files.into_iter().map(|file| file.name).collect(),
        reactions: view.reactions.into_iter().map(|one| one.emoji).collect(),
        edited: view.edited,
        id: view.id.to_string(),
        text: view.text,
        ..Shown::default()
    }
}
