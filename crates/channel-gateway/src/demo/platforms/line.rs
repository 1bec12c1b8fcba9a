//! LINE: calls the demo's own server.

use std::sync::Arc;

use channel_core::Result;
use channel_emulator::line::{Author, Line, LineConfig, LineServer, MessageView, NewBot};
use serde_json::Value;

use super::{
    About, Choice, Emulated, Opening, PERSON_NAME, Pair, Served, Shown, done, failed, field,
    objects, words,
};

const ABOUT: About = About {
    id: "line",
    name: "LINE",
    about: "Emulated Messaging API, webhooks to this demo",
    markdown: false,
};
const WEBHOOK: &str = "/line/webhook";

#[derive(Debug)]
struct Chat {
    server: LineServer,
    bot: String,
    person: String,
}

pub(super) async fn open(opening: &Opening<'_>) -> Result<Pair> {
    let (secret, token) = (opening.secret(""), opening.secret("line-"));
    let server = Line::start(LineConfig::default()).await.map_err(failed)?;
    let bot = server
        .add_bot(&NewBot::new(secret.expose(), token.expose(), "channel-kit"))
        .map_err(failed)?;
    let person = server.user(PERSON_NAME);
    let channel = channel_line::Line::builder()
        .channel_secret(secret)
        .channel_access_token(token.clone())
        .api_base(server.api_base())
        .data_api_base(server.data_api_base())
        .webhook_path(WEBHOOK)
        .transport((opening.recorded)(&token))
        .build()?;
    let chat = Chat {
        server,
        bot,
        person,
    };
    Ok((Arc::new(chat), Arc::new(channel)))
}

impl Emulated for Chat {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn person(&self) -> String {
        self.person.clone()
    }
    fn say(&self, text: &str) -> Result<()> {
        done(self.server.say(&self.bot, &self.person, text))
    }
    fn press(&self, message: &str, value: &str) -> Result<()> {
        let person = &self.person;
        done(self.server.press(&self.bot, person, person, message, value))
    }
    fn messages(&self) -> Vec<Shown> {
        let history = self.server.history(&self.bot, &self.person);
        history.into_iter().map(shown).collect()
    }
    fn call(&self, base: &str) -> Result<()> {
        self.server
            .set_webhook(&self.bot, &format!("{base}{WEBHOOK}"))
            .map_err(failed)?;
        self.server.use_webhook(&self.bot, true);
        Ok(())
    }
    fn server(&self) -> &dyn Served {
        &self.server
    }
}

fn shown(view: MessageView) -> Shown {
    let message = &view.message;
    let text = ["/text", "/template/text", "/altText"]
        .iter()
        .find_map(|path| words(message, path));
    let buttons = objects(message).into_iter().filter_map(|object| {
        let value = field(object, "data").or_else(|| field(object, "label"));
        match object.get("type").and_then(Value::as_str) {
            Some("postback" | "message" | "uri") => Some(Choice {
                label: field(object, "label")?,
                value: value?,
                url: field(object, "uri"),
            }),
            _ => None,
        }
    });
    Shown {
        mine: matches!(view.author, Author::User(_)),
        text: text.unwrap_or_default(),
        buttons: buttons.collect(),
        files: words(message, "/fileName").into_iter().collect(),
        deleted: view.unsent,
        id: view.id,
        ..Shown::default()
    }
}
