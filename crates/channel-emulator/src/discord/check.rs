//! The body of a message: its fields and their limits.
//!
//! <https://docs.discord.com/developers/resources/message#create-message>

use serde_json::{Map, Value};

use super::answer::{self, ApiError, Form};
use super::body::Upload;
use super::components;
use super::model::{Attachment, Id, flag, read_id};

/// Code points of a content.
const MAX_CONTENT: usize = 2000;
/// Embeds of a message.
const MAX_EMBEDS: usize = 10;
/// Code points of all embeds together.
const MAX_EMBED_TEXT: usize = 6000;
/// Files of a message.
const MAX_FILES: usize = 10;

/// Who may be pinged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) users: Option<Vec<Id>>,
    pub(crate) roles: Option<Vec<Id>>,
    pub(crate) everyone: bool,
    pub(crate) replied: bool,
}

impl Allowed {
    /// Without the field everything is parsed.
    const ALL: Self = Self {
        users: None,
        roles: None,
        everyone: true,
        replied: true,
    };

    pub(crate) fn user(&self, id: Id) -> bool {
        self.users.as_ref().is_none_or(|users| users.contains(&id))
    }

    pub(crate) fn role(&self, id: Id) -> bool {
        self.roles.as_ref().is_none_or(|roles| roles.contains(&id))
    }
}

/// A message that a bot wants; absent fields stay as they are in an edit.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) content: Option<String>,
    pub(crate) embeds: Option<Vec<Value>>,
    pub(crate) components: Option<Vec<Value>>,
    /// Attachments to keep, by id; absent when the field is.
    pub(crate) kept: Option<Vec<(Id, Option<String>)>>,
    pub(crate) files: Vec<Attachment>,
    pub(crate) flags: Option<u64>,
    pub(crate) tts: bool,
    pub(crate) nonce: Option<Value>,
    pub(crate) enforce: bool,
    /// Kind, channel when named, message, and whether it may be missing.
    pub(crate) reference: Option<(u64, Option<Id>, Id, bool)>,
    pub(crate) stickers: Vec<Value>,
    pub(crate) poll: bool,
    pub(crate) allowed: Allowed,
}

impl Draft {
    /// Reads and checks a body; `next_id` names the files.
    pub(crate) fn read(
        body: &Map<String, Value>,
        uploads: &[Upload],
        mut next_id: impl FnMut() -> Id,
    ) -> Result<Self, ApiError> {
        let mut form = Form::default();
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let content = match body.get("content") {
            None => None,
            Some(Value::Null) => Some(String::new()),
            Some(Value::String(text)) => {
                form.length(&["content"], text.chars().count(), 0, MAX_CONTENT);
                Some(text.clone())
            }
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => {
                form.fail(
                    &["content"],
                    "STRING_TYPE_CONVERT",
                    "Could not interpret value as string.",
                );
                None
            }
        };
        let flags = match given("flags") {
            None => None,
            Some(flags) => {
                let flags = flags.as_u64();
                if flags.is_none() {
                    let message = "Value is not int.";
                    form.fail(&["flags"], "NUMBER_TYPE_COERCE", message);
                }
                flags
            }
        };
        let embeds = list(body, "embeds", &mut form);
        if let Some(embeds) = &embeds {
            check_embeds(embeds, &mut form);
        }
        let mut components = list(body, "components", &mut form);
        let v2 = flags.unwrap_or(0) & flag::COMPONENTS_V2 != 0;
        if let Some(components) = &mut components {
            components::check(components, v2, &mut form);
        }
        if v2 {
            for name in ["content", "embeds", "poll", "sticker_ids"] {
                let filled = given(name).is_some_and(|value| {
                    value.as_str() != Some("") && *value != Value::Array(Vec::new())
                });
                if filled {
                    let message = format!(
                        "The '{name}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
                    );
                    form.fail(
                        &[name],
                        "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                        message,
                    );
                }
            }
        }
        let nonce = given("nonce").cloned();
        match &nonce {
            None | Some(Value::Number(_)) => {}
            Some(Value::String(text)) => form.length(&["nonce"], text.chars().count(), 0, 25),
            Some(_) => form.fail(
                &["nonce"],
                "BASE_TYPE_BAD_TYPE",
                "Could not interpret value as string.",
            ),
        }
        let (kept, files) = read_files(body, uploads, &mut next_id, &mut form);
        let stickers = list(body, "sticker_ids", &mut form).unwrap_or_default();
        form.length(&["sticker_ids"], stickers.len(), 0, 3);
        let draft = Self {
            content,
            embeds,
            components,
            kept,
            files,
            flags,
            tts: given("tts").and_then(Value::as_bool).unwrap_or(false),
            nonce,
            enforce: given("enforce_nonce")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            reference: read_reference(given("message_reference"), &mut form),
            stickers,
            poll: given("poll").is_some(),
            allowed: read_allowed(given("allowed_mentions"), &mut form),
        };
        form.finish()?;
        Ok(draft)
    }

    /// Whether there is anything to show.
    pub(crate) fn is_empty(&self) -> bool {
        let empty = |list: &Option<Vec<Value>>| list.as_ref().is_none_or(Vec::is_empty);
        self.content
            .as_deref()
            .is_none_or(|text| text.trim().is_empty())
            && empty(&self.embeds)
            && empty(&self.components)
            && self.files.is_empty()
            && self.stickers.is_empty()
            && !self.poll
            && self.reference.is_none_or(|reference| reference.0 != 1)
    }

    pub(crate) fn must_not_be_empty(&self) -> Result<(), ApiError> {
        if self.is_empty() {
            Err(answer::EMPTY_MESSAGE.into())
        } else {
            Ok(())
        }
    }
}

fn list(body: &Map<String, Value>, name: &str, form: &mut Form) -> Option<Vec<Value>> {
    match body.get(name)? {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => Some(items.clone()),
        _ => {
            let message = "Only iterables may be used in a ListType";
            form.fail(&[name], "LIST_TYPE_CONVERT", message);
            None
        }
    }
}

fn check_embeds(embeds: &[Value], form: &mut Form) {
    form.length(&["embeds"], embeds.len(), 0, MAX_EMBEDS);
    let mut total = 0;
    for (at, embed) in embeds.iter().enumerate().take(MAX_EMBEDS) {
        let at = at.to_string();
        if !embed.is_object() {
            form.fail(
                &["embeds", &at],
                "MODEL_TYPE_CONVERT",
                "Only dictionaries may be used in a ModelType",
            );
            continue;
        }
        for (field, most) in [
            ("/title", 256),
            ("/description", 4096),
            ("/footer/text", 2048),
            ("/author/name", 256),
        ] {
            let length = chars(embed.pointer(field));
            total += length;
            let mut path = vec!["embeds", &at];
            path.extend(field.split('/').skip(1));
            form.length(&path, length, 0, most);
        }
        let fields = embed.get("fields").and_then(Value::as_array);
        let fields = fields.map(Vec::as_slice).unwrap_or_default();
        form.length(&["embeds", &at, "fields"], fields.len(), 0, 25);
        for (index, field) in fields.iter().enumerate().take(25) {
            let index = index.to_string();
            for (name, most) in [("name", 256), ("value", 1024)] {
                let length = chars(field.get(name));
                total += length;
                let path = ["embeds", &at, "fields", &index, name];
                if length == 0 {
                    form.required(&path);
                } else {
                    form.length(&path, length, 1, most);
                }
            }
        }
    }
    if total > MAX_EMBED_TEXT {
        let message = format!("Embed size exceeds maximum size of {MAX_EMBED_TEXT}");
        form.fail(&["embeds"], "MAX_EMBED_SIZE_EXCEEDED", message);
    }
}

/// Length in code points.
pub(crate) fn chars(value: Option<&Value>) -> usize {
    value
        .and_then(Value::as_str)
        .map_or(0, |text| text.chars().count())
}

type Files = (Option<Vec<(Id, Option<String>)>>, Vec<Attachment>);

/// `attachments` names uploads by their number and older attachments by their id.
fn read_files(
    body: &Map<String, Value>,
    uploads: &[Upload],
    next_id: &mut impl FnMut() -> Id,
    form: &mut Form,
) -> Files {
    form.length(&["files"], uploads.len(), 0, MAX_FILES);
    let described = list(body, "attachments", form);
    let mut kept = described.as_ref().map(|_| Vec::new());
    let mut details = Vec::new();
    for (at, item) in described.iter().flatten().enumerate().take(2 * MAX_FILES) {
        let at = at.to_string();
        let Some(id) = item.get("id").and_then(read_id) else {
            form.required(&["attachments", &at, "id"]);
            continue;
        };
        let description = item
            .get("description")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let length = description
            .as_deref()
            .map_or(0, |text| text.chars().count());
        form.length(&["attachments", &at, "description"], length, 0, 1024);
        if uploads.iter().any(|upload| upload.number == id) {
            details.push((id, description, item.clone()));
        } else if let (Some(kept), true) = (&mut kept, id >= 1 << 22) {
            kept.push((id, description));
        } else {
            let message = "Attachment data cannot be found";
            form.fail(&["attachments", &at, "id"], "BASE_TYPE_INVALID", message);
        }
    }
    let files = uploads
        .iter()
        .map(|upload| {
            let of = details.iter().find(|(id, ..)| *id == upload.number);
            let named = of
                .and_then(|(_, _, item)| item.get("filename"))
                .and_then(Value::as_str);
            let duration = of
                .and_then(|(_, _, item)| item.get("duration_secs"))
                .and_then(Value::as_f64);
            let waveform = of
                .and_then(|(_, _, item)| item.get("waveform"))
                .and_then(Value::as_str);
            let name = named.or(upload.name.as_deref()).unwrap_or("unknown");
            Attachment {
                id: next_id(),
                name: safe_name(name),
                description: of.and_then(|(_, description, _)| description.clone()),
                content_type: kind_of(name, upload.mime.as_deref()),
                bytes: upload.bytes.clone(),
                voice: duration.zip(waveform.map(str::to_owned)),
            }
        })
        .collect();
    (kept, files)
}

/// The platform keeps letters, digits, points, dashes and underscores.
fn safe_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .take(260)
        .collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// The platform guesses from the name; uploads often come as octet streams.
pub(crate) fn kind_of(name: &str, mime: Option<&str>) -> Option<String> {
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    let known = match extension.as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("txt" | "log") => "text/plain; charset=utf-8",
        Some("json") => "application/json; charset=utf-8",
        Some("ogg") => "audio/ogg",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("pdf") => "application/pdf",
        _ => {
            return mime
                .filter(|mime| *mime != "application/octet-stream")
                .map(str::to_owned);
        }
    };
    Some(known.to_owned())
}

fn read_reference(value: Option<&Value>, form: &mut Form) -> Option<(u64, Option<Id>, Id, bool)> {
    let value = value?;
    let Some(message) = value.get("message_id").and_then(read_id) else {
        form.required(&["message_reference", "message_id"]);
        return None;
    };
    let kind = value.get("type").and_then(Value::as_u64).unwrap_or(0);
    let channel = value.get("channel_id").and_then(read_id);
    if kind > 1 {
        form.choices(&["message_reference", "type"], "0, 1");
    } else if kind == 1 && channel.is_none() {
        form.required(&["message_reference", "channel_id"]);
    }
    let strict = value
        .get("fail_if_not_exists")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    Some((kind, channel, message, strict))
}

/// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
fn read_allowed(value: Option<&Value>, form: &mut Form) -> Allowed {
    let Some(value) = value else {
        return Allowed::ALL;
    };
    let parse: Vec<&str> = value
        .get("parse")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if parse
        .iter()
        .any(|kind| !matches!(*kind, "users" | "roles" | "everyone"))
    {
        form.choices(
            &["allowed_mentions", "parse"],
            "'users', 'everyone', 'roles'",
        );
    }
    let mut named = |kind: &str| -> Option<Vec<Id>> {
        let ids: Option<Vec<Id>> = value
            .get(kind)
            .and_then(Value::as_array)
            .map(|ids| ids.iter().filter_map(read_id).collect());
        let count = ids.as_ref().map_or(0, Vec::len);
        form.length(&["allowed_mentions", kind], count, 0, 100);
        if !parse.contains(&kind) {
            return Some(ids.unwrap_or_default());
        }
        if count > 0 {
            let message =
                format!("parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive.");
            let code = "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE";
            form.fail(&["allowed_mentions"], code, message);
        }
        None
    };
    Allowed {
        users: named("users"),
        roles: named("roles"),
        everyone: parse.contains(&"everyone"),
        replied: value
            .get("replied_user")
            .and_then(Value::as_bool)
            .unwrap_or(false),
    }
}
