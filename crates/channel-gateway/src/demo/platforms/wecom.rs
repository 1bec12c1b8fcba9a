//! WeCom's AI bot, by its long connection.

use std::sync::Arc;

use channel_core::Result;
use channel_emulator::wecom::{Author, Call, MessageView, NewBot, Wecom, WecomConfig, WecomServer};

use super::super::wire::Exchange;
use super::{
    About, Choice, Emulated, Opening, PERSON_NAME, Pair, Served, Shown, done, failed, field,
    objects, words,
};

const ABOUT: About = About {
    id: "wecom",
    name: "WeCom",
    about: "Emulated AI bot, over its long connection",
    markdown: true,
};
const BOT: &str = "aib1";
const PERSON: &str = "AdaL";

#[derive(Debug)]
struct Chat {
    server: WecomServer,
    bot: String,
}

pub(super) async fn open(opening: &Opening<'_>) -> Result<Pair> {
    let secret = opening.secret("");
    let server = Wecom::start(WecomConfig::default()).await.map_err(failed)?;
    server.user(PERSON, PERSON_NAME);
    let bot = server
        .add_bot(&NewBot::link(BOT, secret.expose()))
        .map_err(failed)?;
    let channel = channel_wecom::WecomAibotLink::builder()
        .id(ABOUT.id)
        .bot_id(BOT)
        .secret(secret.clone())
        .ws_url(server.link_url())
        .transport((opening.recorded)(&secret))
        .build()?;
    Ok((Arc::new(Chat { server, bot }), Arc::new(channel)))
}

impl Emulated for Chat {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn person(&self) -> String {
        PERSON.to_owned()
    }
    fn say(&self, text: &str) -> Result<()> {
        done(self.server.say(&self.bot, PERSON, text))
    }
    fn press(&self, message: &str, value: &str) -> Result<()> {
        done(
            self.server
                .press(&self.bot, PERSON, PERSON, message, value, &[]),
        )
    }
    fn messages(&self) -> Vec<Shown> {
        let history = self.server.history(&self.bot, PERSON);
        history.into_iter().map(shown).collect()
    }
    fn frames(&self, after: u64) -> (u64, Vec<Exchange>) {
        let calls = self.server.calls();
        let last = calls.last().map_or(0, |call| call.number);
        // What keeps the connection alive belongs to no call.
        let is_new = |call: &Call| call.number > after && call.method.starts_with("aibot_");
        let frames = calls.into_iter().filter(is_new).map(|call| {
            let answer = call.answer.unwrap_or_default();
            Exchange::frame(&call.method, &call.body, &answer)
        });
        (last, frames.collect())
    }
    fn server(&self) -> &dyn Served {
        &self.server
    }
}

fn shown(view: MessageView) -> Shown {
    let body = &view.body;
    let text = [
        "/stream/content",
        "/markdown/content",
        "/text/content",
        "/text",
        "/template_card/main_title/title",
    ]
    .iter()
    .filter_map(|path| words(body, path))
    .find(|text| !text.is_empty());
    let description = words(body, "/template_card/main_title/desc");
    let buttons = objects(body).into_iter().filter_map(|object| {
        Some(Choice {
            label: field(object, "text")?,
            value: field(object, "key")?,
            url: field(object, "url"),
        })
    });
    let text: Vec<String> = text.into_iter().chain(description).collect();
    Shown {
        mine: matches!(view.author, Author::User(_)),
        text: text.join("\n"),
        buttons: buttons.collect(),
        // The connection names an answer by what it is: a stream, or a card's task.
        alias: words(body, "/stream/id").or_else(|| words(body, "/template_card/task_id")),
        deleted: view.is_recalled,
        growing: !view.is_finished,
        id: view.id,
        ..Shown::default()
    }
}
