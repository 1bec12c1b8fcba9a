//! DingTalk, by stream mode.

use std::sync::Arc;

use channel_core::{Result, async_trait};
use channel_emulator::dingtalk::{
    Author, Dingtalk, DingtalkConfig, DingtalkServer, MessageView, NewApp,
};
use serde_json::{Value, json};

use super::{
    About, Choice, Emulated, Opening, PATIENCE, PERSON_NAME, Pair, Served, Shown, done, failed,
    field, objects, refused, words,
};

const ABOUT: About = About {
    id: "dingtalk",
    name: "DingTalk",
    about: "Emulated robot in stream mode, with AI cards",
    markdown: true,
};
const APP: &str = "ding0001";
const CORP: &str = "corp1";
const PERSON: &str = "staff1";
const TEMPLATE: &str = "answer.schema";
/// The variable of the template that holds the words.
const TEXT: &str = "msgContent";
/// The one that holds everything else, as the template of the official SDKs has it.
const WHOLE: &str = "sys_full_json_obj";

#[derive(Debug)]
struct Chat {
    server: DingtalkServer,
    chat: String,
}

pub(super) async fn open(opening: &Opening<'_>) -> Result<Pair> {
    let secret = opening.secret("");
    let server = Dingtalk::start(DingtalkConfig::default())
        .await
        .map_err(failed)?;
    let app = NewApp::new(APP, secret.expose(), "channel-kit").robot(APP, CORP);
    server
        .add_app(&app.template(TEMPLATE, &[TEXT]))
        .map_err(failed)?;
    server.user(PERSON, PERSON_NAME);
    let chat = server.direct_chat(APP, PERSON);
    let channel = channel_dingtalk::DingTalk::builder()
        .app(APP, secret.clone())
        .card_template(TEMPLATE)
        .card_template_key(TEXT)
        .api_base(server.api_base())
        .transport((opening.recorded)(&secret))
        .build()?;
    Ok((Arc::new(Chat { server, chat }), Arc::new(channel)))
}

#[async_trait]
impl Emulated for Chat {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn person(&self) -> String {
        // The same staff id in another organisation is somebody else.
        format!("{CORP}:{PERSON}")
    }
    fn say(&self, text: &str) -> Result<()> {
        done(self.server.say(APP, PERSON, text))
    }
    fn press(&self, message: &str, value: &str) -> Result<()> {
        let card = self.server.message(message).and_then(|view| view.card);
        let card = card.ok_or_else(|| refused(std::io::Error::other("the message is no card")))?;
        done(self.server.press(&card, PERSON, value, &json!({})))
    }
    fn messages(&self) -> Vec<Shown> {
        let history = self.server.history(&self.chat);
        history.into_iter().map(|view| self.shown(view)).collect()
    }
    async fn reachable(&self) {
        let is_there = |dingtalk: &Dingtalk| (dingtalk.connections(APP) > 0).then_some(());
        // Whoever never connects is never called either.
        let _ = self.server.wait_for(PATIENCE, is_there).await;
    }
    fn server(&self) -> &dyn Served {
        &self.server
    }
}

impl Chat {
    fn shown(&self, view: MessageView) -> Shown {
        let card = view.card.as_ref().and_then(|id| self.server.card(id));
        let variable = |name: &str| {
            let card = card.as_ref()?;
            card.variables.get(name).cloned()
        };
        let whole = variable(WHOLE).and_then(|whole| serde_json::from_str(&whole).ok());
        let is_picture = view.kind == "picture" || view.kind == "sampleImageMsg";
        let file = is_picture.then(|| "picture".to_owned());
        let names = view.emotions.into_iter().map(|emotion| emotion.name);
        Shown {
            mine: matches!(view.author, Author::User(_)),
            text: variable(TEXT)
                .or_else(|| words(&view.content, "/content"))
                .or_else(|| words(&view.content, "/text"))
                .unwrap_or_default(),
            buttons: buttons(&whole.unwrap_or_default()),
            files: words(&view.content, "/fileName")
                .or(file)
                .into_iter()
                .collect(),
            reactions: names.collect(),
            deleted: view.recalled,
            growing: variable("flowStatus").is_some_and(|flow| flow == "2"),
            // A card is named by its id, and what the robot's own calls send by its key.
            alias: match &view.card {
                Some(card) => Some(format!("card:{card}")),
                None => view.key,
            },
            id: view.id,
            ..Shown::default()
        }
    }
}

/// <https://github.com/open-dingtalk/dingtalk-stream-sdk-python>
fn buttons(whole: &Value) -> Vec<Choice> {
    let buttons = whole.get("msgButtons").into_iter().flat_map(objects);
    buttons
        .filter_map(|button| {
            let label = field(button, "text")?;
            Some(Choice {
                value: field(button, "id").unwrap_or_else(|| label.clone()),
                label,
                url: field(button, "url"),
            })
        })
        .collect()
}
