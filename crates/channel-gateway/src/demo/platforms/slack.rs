//! Slack, by Socket Mode.

use std::sync::Arc;

use channel_core::Result;
use channel_emulator::slack::{MessageView, NewApp, Slack, SlackConfig, SlackServer};
use serde_json::Value;

use super::{
    About, Choice, Emulated, Opening, PERSON_NAME, Pair, Served, Shown, done, failed, field,
    objects,
};

const ABOUT: About = About {
    id: "slack",
    name: "Slack",
    about: "Emulated Web API and Socket Mode",
    markdown: false,
};

#[derive(Debug)]
struct Chat {
    server: SlackServer,
    team: String,
    channel: String,
    person: String,
}

pub(super) async fn open(opening: &Opening<'_>) -> Result<Pair> {
    let (bot_token, app_token) = (opening.secret("xoxb-"), opening.secret("xapp-"));
    let server = Slack::start(SlackConfig::default()).await.map_err(failed)?;
    let team = server.workspace("channel-kit");
    let app = NewApp::new("kit", opening.secret("").expose()).socket_mode(app_token.expose());
    let app = server.add_app(&app).map_err(failed)?;
    server
        .install(&app, &team, bot_token.expose())
        .map_err(failed)?;
    let person = server.user(&team, PERSON_NAME).map_err(failed)?;
    let direct = server.direct(&app, &person).map_err(failed)?;
    let channel = channel_slack::Slack::builder()
        .bot_token(bot_token.clone())
        .app_token(app_token)
        .api_base(server.api_base())
        .transport((opening.recorded)(&bot_token))
        .build()?;
    let chat = Chat {
        server,
        team,
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
        // The same id in another workspace is somebody else.
        format!("{}:{}", self.team, self.person)
    }
    fn say(&self, text: &str) -> Result<()> {
        done(self.server.say(&self.channel, &self.person, text))
    }
    fn press(&self, message: &str, value: &str) -> Result<()> {
        done(
            self.server
                .press(&self.channel, &self.person, message, value),
        )
    }
    fn messages(&self) -> Vec<Shown> {
        let history = self.server.history(&self.channel);
        history
            .into_iter()
            .map(|view| shown(view, &self.person))
            .collect()
    }
    fn server(&self) -> &dyn Served {
        &self.server
    }
}

/// <https://docs.slack.dev/messaging/formatting-message-text/#escaping>
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn shown(view: MessageView, person: &str) -> Shown {
    let buttons = objects(&view.blocks).into_iter().filter_map(|object| {
        let is_button = object.get("type").and_then(Value::as_str) == Some("button");
        let text = object.get("text").and_then(Value::as_object)?;
        is_button.then_some(())?;
        Some(Choice {
            label: field(text, "text")?,
            value: field(object, "action_id")?,
            url: field(object, "url"),
        })
    });
    Shown {
        mine: view.user == person,
        text: unescaped(&view.text),
        buttons: buttons.collect(),
        files: view.files,
        reactions: view.reactions.into_iter().map(|(name, _)| name).collect(),
        edited: view.edited,
        growing: view.streaming,
        id: view.ts,
        ..Shown::default()
    }
}
