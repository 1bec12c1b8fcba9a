//! What people do.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::deliver::Parcel;
use super::events::set;
use super::interact::Doing;
use super::methods::files::mime;
use super::model::{ActionError, File, Message, Place, Upload};
use super::state::State;

/// A message that a person writes; also the shape in which the control API takes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Post {
    /// The text as it was typed. `<@U...>`, `<#C...>` and `<!...>` are mentions; everything else is escaped.
    pub text: String,
    /// The root of the thread in which it is a reply.
    pub thread_ts: Option<String>,
    /// A reply that is also sent to the channel.
    pub broadcast: bool,
    /// Names and contents of files; base64 in JSON.
    pub files: Vec<PostFile>,
}

/// A file that a person uploads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PostFile {
    /// Its name.
    pub name: String,
    /// Its media type; by the name when absent.
    pub mime: Option<String>,
    /// Its content; base64 in JSON.
    #[serde(rename = "base64", deserialize_with = "base64")]
    pub bytes: Bytes,
}

fn base64<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    use ::base64::Engine as _;
    let text = String::deserialize(from)?;
    ::base64::engine::general_purpose::STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| serde::de::Error::custom("expected base64"))
}

impl Post {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// Makes it a reply in a thread.
    #[must_use]
    pub fn in_thread(mut self, root: &str) -> Self {
        self.thread_ts = Some(root.to_owned());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.files.push(PostFile {
            name: name.to_owned(),
            mime: None,
            bytes: bytes.into(),
        });
        self
    }
}

impl From<&str> for Post {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl State {
    /// Whether a person can write in a channel.
    fn may_write(&self, channel: &str, user: &str) -> Result<(), ActionError> {
        let known = self
            .channels
            .get(channel)
            .ok_or(ActionError::UnknownChannel)?;
        let writer = self.users.get(user).ok_or(ActionError::UnknownUser)?;
        if known.archived || writer.deleted || !known.members.contains(user) {
            return Err(ActionError::NotAllowed);
        }
        let closed = known.members.iter().any(|member| {
            let bot = self.users.get(member).and_then(|user| user.bot.as_ref());
            bot.is_some_and(|(app, _)| self.apps.get(app).is_some_and(|app| !app.messages_tab))
        });
        if known.place == Place::Direct && closed {
            return Err(ActionError::NotAllowed);
        }
        Ok(())
    }

    /// Lets a person write; gives the `ts`.
    pub(crate) fn say(
        &mut self,
        channel: &str,
        user: &str,
        post: &Post,
    ) -> Result<String, ActionError> {
        self.may_write(channel, user)?;
        if let Some(root) = &post.thread_ts {
            self.message(channel, root)
                .ok_or(ActionError::UnknownMessage)?;
        }
        let team = self
            .channels
            .get(channel)
            .map(|c| c.team.clone())
            .unwrap_or_default();
        let mut files = Vec::new();
        for file in &post.files {
            let id = self.id("F");
            let kept = File {
                team: team.clone(),
                user: user.to_owned(),
                name: file.name.clone(),
                title: file.name.clone(),
                mime: file
                    .mime
                    .clone()
                    .unwrap_or_else(|| mime(&file.name).to_owned()),
                bytes: file.bytes.clone(),
                created: self.seconds(),
                shares: Vec::new(),
                state: Upload::Complete,
                announced: file.bytes.len(),
            };
            self.keep_file(&id, kept);
            files.push(id);
        }
        let text = escape(&post.text);
        let message = Message {
            user: user.to_owned(),
            subtype: if !files.is_empty() {
                Some("file_share")
            } else if post.broadcast {
                Some("thread_broadcast")
            } else {
                None
            },
            blocks: (!text.is_empty()).then(|| rich_text(&text)),
            text,
            thread_ts: post.thread_ts.clone(),
            files,
            client_msg_id: Some(self.hex(2)),
            ..Message::default()
        };
        Ok(self.write(channel, message))
    }

    /// Lets a person change an own message.
    pub(crate) fn edit(
        &mut self,
        channel: &str,
        user: &str,
        ts: &str,
        text: &str,
    ) -> Result<(), ActionError> {
        let before = self.own(channel, user, ts)?;
        let mut after = before.clone();
        after.text = escape(text);
        after.blocks = Some(rich_text(&after.text));
        after.edited = Some((user.to_owned(), self.ts()));
        if let Some(message) = self.message_mut(channel, ts) {
            *message = after.clone();
        }
        self.tell_change(channel, &before, &after);
        Ok(())
    }

    /// Lets a person delete an own message.
    pub(crate) fn unsay(&mut self, channel: &str, user: &str, ts: &str) -> Result<(), ActionError> {
        self.own(channel, user, ts)?;
        self.erase(channel, ts);
        Ok(())
    }

    fn own(&self, channel: &str, user: &str, ts: &str) -> Result<Message, ActionError> {
        let message = self
            .message(channel, ts)
            .ok_or(ActionError::UnknownMessage)?;
        if message.user != user {
            return Err(ActionError::NotAllowed);
        }
        Ok(message.clone())
    }

    /// Presses a button or chooses an option, by its `action_id`, `value` or text; gives the interaction's number.
    pub(crate) fn press(
        &mut self,
        channel: &str,
        user: &str,
        ts: &str,
        wanted: &str,
    ) -> Result<u64, ActionError> {
        let only = self
            .ephemerals
            .iter()
            .find(|(at, m)| at == channel && m.ts == ts);
        let shown = self
            .message(channel, ts)
            .or(only.map(|(_, message)| message));
        let message = shown.ok_or(ActionError::UnknownMessage)?.clone();
        let (app, _) = message.bot.clone().ok_or(ActionError::NoSuchAction)?;
        let mut action = find(message.blocks.as_ref(), wanted).ok_or(ActionError::NoSuchAction)?;
        set(&mut action, "action_ts", self.ts().into());
        let team = self.channels.get(channel).map(|c| c.team.clone());
        let team = team.ok_or(ActionError::UnknownChannel)?;
        let mut container = json!({"type": "message", "message_ts": ts, "channel_id": channel,
            "is_ephemeral": message.only_for.is_some()});
        if let Some(root) = &message.thread_ts {
            set(&mut container, "thread_ts", root.clone().into());
        }
        let doing = Doing {
            app: &app,
            team: &team,
            user,
            channel: Some(channel),
            message: Some(&message),
            view: None,
        };
        let fields = json!({"container": container, "actions": [action], "state": {"values": {}}});
        self.interact("block_actions", &doing, fields)
    }

    /// Presses a button in a view.
    pub(crate) fn press_in_view(&mut self, id: &str, wanted: &str) -> Result<u64, ActionError> {
        let view = self.views.get(id).filter(|view| view.open).cloned();
        let view = view.ok_or(ActionError::UnknownMessage)?;
        let mut action = find(view.json.get("blocks"), wanted).ok_or(ActionError::NoSuchAction)?;
        set(&mut action, "action_ts", self.ts().into());
        let fields = json!({"container": {"type": "view", "view_id": id}, "view": view.json,
            "actions": [action]});
        self.in_view("block_actions", id, fields)
    }

    /// Fills a modal in and submits it; `values` are by block and action, as the platform shows them.
    pub(crate) fn submit(&mut self, id: &str, values: &Value) -> Result<u64, ActionError> {
        let view = self.views.get(id).filter(|view| view.open).cloned();
        let mut json = view.ok_or(ActionError::UnknownMessage)?.json;
        set(&mut json, "state", json!({"values": values}));
        self.in_view(
            "view_submission",
            id,
            json!({"view": json, "response_urls": []}),
        )
    }

    /// Closes a modal; the app hears of it when it has asked to.
    pub(crate) fn dismiss(&mut self, id: &str) -> Result<(), ActionError> {
        let view = self.views.get(id).filter(|view| view.open).cloned();
        let view = view.ok_or(ActionError::UnknownMessage)?;
        self.close(id);
        if view.json.get("notify_on_close").and_then(Value::as_bool) == Some(true) {
            let fields = json!({"view": view.json, "is_cleared": false});
            self.in_view("view_closed", id, fields)?;
        }
        Ok(())
    }

    fn in_view(&mut self, kind: &'static str, id: &str, fields: Value) -> Result<u64, ActionError> {
        let view = self
            .views
            .get(id)
            .cloned()
            .ok_or(ActionError::UnknownMessage)?;
        let doing = Doing {
            app: &view.app,
            team: &view.team,
            user: &view.user,
            channel: None,
            message: None,
            view: Some(id),
        };
        self.interact(kind, &doing, fields)
    }

    /// Sends an event of any kind again or for the first time, as it is; gives whether the app is known.
    pub(crate) fn resend(&mut self, app: &str, event_id: &str) -> bool {
        let known = self.events.iter().rev().find(|(owner, event)| {
            owner == app && event.get("event_id").and_then(Value::as_str) == Some(event_id)
        });
        let Some((_, envelope)) = known.cloned() else {
            return false;
        };
        self.send_off(Parcel {
            app: app.to_owned(),
            target: super::deliver::Target::Events,
            lane: "again".to_owned(),
            id: event_id.to_owned(),
            payload: envelope,
            settles: None,
        });
        true
    }
}

/// The action of the element that has this id, value or text.
fn find(blocks: Option<&Value>, wanted: &str) -> Option<Value> {
    let blocks = blocks?.as_array()?;
    for (index, block) in blocks.iter().enumerate() {
        let inner = block.get("elements").and_then(Value::as_array);
        let singles = ["accessory", "element"]
            .into_iter()
            .filter_map(|name| block.get(name));
        for part in inner.into_iter().flatten().chain(singles) {
            if let Some(mut action) = action(part, wanted) {
                let id = block.get("block_id").cloned();
                set(
                    &mut action,
                    "block_id",
                    id.unwrap_or_else(|| json!(format!("b{index}"))),
                );
                return Some(action);
            }
        }
    }
    None
}

/// What a payload shows of an element that was used.
fn action(part: &Value, wanted: &str) -> Option<Value> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str) == Some(wanted);
    let shown = |value: &Value| value.pointer("/text/text").and_then(Value::as_str) == Some(wanted);
    let kind = part.get("type")?.as_str()?;
    let base = json!({"type": kind, "action_id": part.get("action_id").cloned().unwrap_or_else(|| json!("a0"))});
    let options = part.get("options").and_then(Value::as_array);
    if let Some(option) = options
        .into_iter()
        .flatten()
        .find(|o| text(o, "value") || shown(o))
    {
        let mut action = base;
        let many = matches!(kind, "checkboxes" | "multi_static_select");
        if many {
            set(&mut action, "selected_options", json!([option]));
        } else {
            set(&mut action, "selected_option", option.clone());
        }
        return Some(action);
    }
    if kind != "button" || !(text(part, "action_id") || text(part, "value") || shown(part)) {
        return None;
    }
    let mut action = base;
    for name in ["text", "value", "url", "style"] {
        if let Some(value) = part.get(name) {
            set(&mut action, name, value.clone());
        }
    }
    Some(action)
}

/// The text of a message as the platform keeps it: `&`, `<` and `>` escaped, but for mentions.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>']) {
        let (before, from) = rest.split_at(at);
        escaped.push_str(before);
        let mention = from
            .find('>')
            .and_then(|end| from.get(..=end))
            .filter(|token| is_mention(token));
        if let Some(mention) = mention {
            escaped.push_str(mention);
            rest = from.get(mention.len()..).unwrap_or_default();
            continue;
        }
        escaped.push_str(match from.as_bytes().first() {
            Some(b'&') => "&amp;",
            Some(b'<') => "&lt;",
            _ => "&gt;",
        });
        rest = from.get(1..).unwrap_or_default();
    }
    escaped.push_str(rest);
    escaped
}

fn is_mention(token: &str) -> bool {
    let Some(inner) = token
        .strip_prefix('<')
        .and_then(|token| token.strip_suffix('>'))
    else {
        return false;
    };
    let mut letters = inner.chars();
    let is_kind = matches!(letters.next(), Some('@' | '#' | '!'));
    is_kind && inner.len() > 2 && letters.all(|c| c.is_ascii_alphanumeric() || "|^-_.".contains(c))
}

/// The text as the block that the platform's clients make of it.
fn rich_text(text: &str) -> Value {
    let plain = |text: &str| {
        let text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        json!({"type": "text", "text": text})
    };
    let mut elements = Vec::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('<') {
        let (token, after) = from.split_once('>').unwrap_or((from, ""));
        if !before.is_empty() {
            elements.push(plain(before));
        }
        elements.push(match token.split_at_checked(1) {
            Some(("@", user)) => json!({"type": "user", "user_id": user}),
            Some(("#", channel)) => json!({"type": "channel", "channel_id": channel}),
            Some(("!", range)) => json!({"type": "broadcast", "range": range}),
            _ => plain(token),
        });
        rest = after;
    }
    if !rest.is_empty() {
        elements.push(plain(rest));
    }
    json!([{"type": "rich_text", "block_id": "rt",
        "elements": [{"type": "rich_text_section", "elements": elements}]}])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_all_but_mentions() {
        assert_eq!(
            escape("a < b & <@U1> <!here> <b>"),
            "a &lt; b &amp; <@U1> <!here> &lt;b&gt;"
        );
        assert_eq!(escape("<@U1> hi"), "<@U1> hi");
        assert_eq!(escape("<<@U1>>"), "&lt;<@U1>&gt;");
    }
}
