//! Feishu, by the long connection.

use std::sync::Arc;

use channel_core::{Result, async_trait};
use channel_emulator::feishu::{Author, Feishu, FeishuConfig, FeishuServer, MessageView, NewApp};
use serde_json::{Map, Value};

use super::{
    About, Choice, Emulated, Opening, PATIENCE, PERSON_NAME, Pair, Served, Shown, done, failed,
    field, objects, words,
};

const ABOUT: About = About {
    id: "feishu",
    name: "Feishu",
    about: "Emulated open platform and long connection",
    markdown: true,
};
const APP: &str = "cli_0000000000000001";

#[derive(Debug)]
struct Chat {
    server: FeishuServer,
    person: String,
    chat: String,
}

pub(super) async fn open(opening: &Opening<'_>) -> Result<Pair> {
    let secret = opening.secret("");
    let server = Feishu::start(FeishuConfig::default())
        .await
        .map_err(failed)?;
    server
        .add_app(&NewApp::new(APP, secret.expose(), "channel-kit"))
        .map_err(failed)?;
    let person = server.user(PERSON_NAME);
    let chat = server.private_chat(APP, &person);
    let channel = channel_feishu::Feishu::builder()
        .app(APP, secret.clone())
        .mode(channel_feishu::Mode::Websocket)
        .api_base(server.api_base())
        .transport((opening.recorded)(&secret))
        .build()?;
    let chat = Chat {
        server,
        person,
        chat,
    };
    Ok((Arc::new(chat), Arc::new(channel)))
}

#[async_trait]
impl Emulated for Chat {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn person(&self) -> String {
        self.server.open_id(APP, &self.person)
    }
    fn say(&self, text: &str) -> Result<()> {
        done(self.server.say(APP, &self.person, text))
    }
    fn press(&self, message: &str, value: &str) -> Result<()> {
        done(self.server.press(message, &self.person, value))
    }
    fn messages(&self) -> Vec<Shown> {
        let history = self.server.history(&self.chat);
        history.into_iter().map(|view| self.shown(view)).collect()
    }
    async fn reachable(&self) {
        let is_there = |feishu: &Feishu| (feishu.connections(APP) > 0).then_some(());
        // Whoever never connects is never called either.
        let _ = self.server.wait_for(PATIENCE, is_there).await;
    }
    fn server(&self) -> &dyn Served {
        &self.server
    }
}

impl Chat {
    fn shown(&self, view: MessageView) -> Shown {
        let entity = view.card.as_ref().and_then(|id| self.server.card(id));
        let content = entity.map_or(view.content, |entity| entity.card);
        let buttons = objects(&content).into_iter().filter_map(button);
        Shown {
            mine: matches!(view.author, Author::User(_)),
            text: words(&content, "/text").unwrap_or_else(|| {
                let mut lines = Vec::new();
                read(&content, &mut lines);
                lines.join("\n")
            }),
            buttons: buttons.collect(),
            files: words(&content, "/file_name").into_iter().collect(),
            edited: !view.earlier.is_empty(),
            deleted: view.recalled,
            id: view.id,
            ..Shown::default()
        }
    }
}

/// <https://open.feishu.cn/document/feishu-cards/card-json-v2-components/interactive-components/button>
fn button(object: &Map<String, Value>) -> Option<Choice> {
    let is_button = object.get("tag").and_then(Value::as_str) == Some("button");
    let text = object.get("text").and_then(Value::as_object)?;
    let label = field(text, "content")?;
    is_button.then(|| Choice {
        value: label.clone(),
        label,
        url: field(object, "url"),
    })
}

/// The words of a card or of a post, line by line.
fn read(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(object) if button(object).is_none() => match text(object) {
            Some(text) => lines.push(text),
            None => object.values().for_each(|value| read(value, lines)),
        },
        // A paragraph of a post is a list of pieces.
        Value::Array(pieces) if pieces.iter().all(is_piece) => {
            let pieces = pieces.iter().filter_map(Value::as_object);
            lines.push(pieces.filter_map(text).collect());
        }
        Value::Array(values) => values.iter().for_each(|value| read(value, lines)),
        _ => {}
    }
}

fn is_piece(value: &Value) -> bool {
    matches!(value.get("tag").and_then(Value::as_str), Some("text" | "a"))
}

/// The words of a card's element or of a post's.
fn text(object: &Map<String, Value>) -> Option<String> {
    match object.get("tag").and_then(Value::as_str)? {
        "text" | "md" | "a" | "code_block" => field(object, "text"),
        "markdown" | "plain_text" | "lark_md" => field(object, "content"),
        _ => None,
    }
}
