//! What Discord sends, and what people see of what it is sent.

use serde_json::{Value, json};

use crate::fake::{ADA, APP, DIRECT, GUILD};

/// A message of Ada's in the direct chat.
pub(crate) fn direct(id: impl ToString, text: &str) -> Value {
    json!({"id": id.to_string(), "channel_id": DIRECT, "channel_type": 1,
        "author": {"id": ADA, "username": "ada", "discriminator": "0", "global_name": "Ada", "avatar": null},
        "content": text, "timestamp": "2026-11-20T12:00:00.000000+00:00", "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "pinned": false, "type": 0})
}

/// A message of Ada's in a channel of a server.
pub(crate) fn grouped(id: impl ToString, chat: &str, text: &str) -> Value {
    let mut message = direct(id, text);
    message["channel_id"] = json!(chat);
    message["channel_type"] = json!(0);
    message["guild_id"] = json!(GUILD);
    message["member"] =
        json!({"roles": [], "nick": null, "joined_at": "2026-01-01T00:00:00.000000+00:00"});
    message
}

/// A press of Ada's.
pub(crate) fn press(id: u64, chat: &str, message: &str, value: &str) -> Value {
    json!({"id": id.to_string(), "application_id": APP, "type": 3, "token": format!("TOKEN-{id}"), "version": 1,
        "channel_id": chat, "channel": {"id": chat, "type": 1}, "user": {"id": ADA, "username": "ada"},
        "message": {"id": message}, "data": {"component_type": 2, "id": 2, "custom_id": value},
        "context": 1, "authorizing_integration_owners": {"0": "0"}, "entitlements": []})
}

/// A slash command of Ada's.
pub(crate) fn command(id: u64, chat: &str, name: &str, text: &str) -> Value {
    json!({"id": id.to_string(), "application_id": APP, "type": 2, "token": format!("TOKEN-{id}"), "version": 1,
        "channel_id": chat, "user": {"id": ADA, "username": "ada"},
        "data": {"id": "555", "name": name, "type": 1, "options": [{"name": "text", "type": 3, "value": text}]},
        "context": 1, "authorizing_integration_owners": {"0": "0"}, "entitlements": []})
}

/// What people see of a message: its words and the labels to press.
pub(crate) fn look(fields: &Value) -> (String, Vec<String>) {
    let mut words = vec![unmark(fields["content"].as_str().unwrap_or_default())];
    for embed in fields["embeds"].as_array().into_iter().flatten() {
        for part in ["title", "description"] {
            words.extend(embed[part].as_str().map(unmark));
        }
        for field in embed["fields"].as_array().into_iter().flatten() {
            words.extend(["name", "value"].map(|part| unmark(field[part].as_str().unwrap())));
        }
        words.extend(embed["footer"]["text"].as_str().map(str::to_owned));
    }
    let rows = fields["components"].as_array().into_iter().flatten();
    let mut labels = Vec::new();
    for it in rows.flat_map(|row| row["components"].as_array().unwrap()) {
        labels.extend(it["label"].as_str().map(str::to_owned));
        words.extend(it["placeholder"].as_str().map(str::to_owned));
        let options = it["options"].as_array().into_iter().flatten();
        labels.extend(options.map(|it| it["label"].as_str().unwrap().to_owned()));
    }
    words.retain(|it| !it.is_empty());
    (words.join("\n"), labels)
}

/// The words without marks.
fn unmark(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.extend(chars.next()),
            '*' | '~' | '`' | '_' | '|' => {}
            char => out.push(char),
        }
    }
    out
}
