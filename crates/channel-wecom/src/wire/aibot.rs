//! Messages and events of an AI bot, the same by callback and by connection
//! (<https://developer.work.weixin.qq.com/document/path/100719>,
//! <https://developer.work.weixin.qq.com/document/path/101027>).

use channel_core::{Attachment, AttachmentKind, Secret};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Item, Kind, Place, What, digest, file, short, unreadable};

/// Reads a message; what is none is kept as unreadable.
pub(crate) fn read(raw: &[u8]) -> Item {
    serde_json::from_slice::<Json>(raw)
        .ok()
        .and_then(|json| item_of(json, raw))
        .unwrap_or_else(|| unreadable(raw))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Json {
    msgid: String,
    create_time: Option<u64>,
    chatid: String,
    chattype: String,
    from: From,
    response_url: Option<Secret>,
    msgtype: String,
    text: Text,
    voice: Text,
    image: File,
    file: File,
    video: File,
    mixed: Mixed,
    quote: Option<IgnoredAny>,
    stream: Stream,
    event: Event,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct From {
    userid: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Text {
    content: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    url: String,
    aeskey: Option<String>,
}

impl File {
    fn attachment(&self, kind: AttachmentKind) -> Option<Attachment> {
        let key = self.aeskey.as_deref();
        (!self.url.is_empty()).then(|| file::of_address(&self.url, key, kind))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Mixed {
    msg_item: Vec<MixedItem>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MixedItem {
    text: Text,
    image: File,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stream {
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    eventtype: String,
    template_card_event: CardEvent,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CardEvent {
    event_key: String,
    task_id: String,
    selected_items: SelectedItems,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SelectedItems {
    selected_item: Vec<SelectedItem>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SelectedItem {
    option_ids: OptionIds,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OptionIds {
    option_id: Vec<String>,
}

impl CardEvent {
    fn value(self) -> String {
        let options = self.selected_items.selected_item.into_iter();
        let options: Vec<_> = options
            .flat_map(|item| item.option_ids.option_id)
            .filter(|id| !id.is_empty())
            .collect();
        if options.is_empty() {
            self.event_key
        } else {
            options.join(",")
        }
    }
}

fn item_of(json: Json, raw: &[u8]) -> Option<Item> {
    if json.msgtype.is_empty() {
        return None;
    }
    let key = if json.msgid.is_empty() {
        format!("event-{}", digest([raw]))
    } else {
        short(&json.msgid)
    };
    let place = place(&json);
    let at = json.create_time;
    let what = match json.msgtype.as_str() {
        "stream" => What::Refresh(json.stream.id),
        "event" => event(json.event),
        _ => match said(&json) {
            Some((text, attachments)) if place.is_some() => What::Said {
                id: key.clone(),
                text,
                attachments,
                quotes: json.quote.is_some(),
            },
            Some(_) => return None,
            None => What::Other(json.msgtype),
        },
    };
    Some(Item {
        key,
        place,
        at,
        url: json.response_url,
        what,
    })
}

/// In a direct chat the person is the chat.
fn place(json: &Json) -> Option<Place> {
    let user = json.from.userid.as_str();
    let kind = if json.chattype == "group" {
        Kind::Group
    } else {
        Kind::Single
    };
    let chat = match kind {
        Kind::Single => user,
        _ => json.chatid.as_str(),
    };
    (!user.is_empty() && !chat.is_empty()).then(|| Place {
        user: user.to_owned(),
        name: None,
        chat: chat.to_owned(),
        kind,
    })
}

fn said(json: &Json) -> Option<(String, Vec<Attachment>)> {
    let files = |file: &File, kind| file.attachment(kind).into_iter().collect::<Vec<_>>();
    Some(match json.msgtype.as_str() {
        "text" => (json.text.content.clone(), Vec::new()),
        "voice" => (json.voice.content.clone(), Vec::new()),
        "image" => (String::new(), files(&json.image, AttachmentKind::Image)),
        "file" => (String::new(), files(&json.file, AttachmentKind::File)),
        "video" => (String::new(), files(&json.video, AttachmentKind::Video)),
        "mixed" => {
            let items = &json.mixed.msg_item;
            let words: Vec<_> = items
                .iter()
                .map(|item| item.text.content.as_str())
                .collect();
            let pictures = items
                .iter()
                .filter_map(|item| item.image.attachment(AttachmentKind::Image));
            (words.concat(), pictures.collect())
        }
        _ => return None,
    })
}

fn event(event: Event) -> What {
    match event.eventtype.as_str() {
        "enter_chat" => What::Entered,
        "disconnected_event" => What::Disconnected,
        "template_card_event" => What::Pressed {
            task: Some(event.template_card_event.task_id.clone()).filter(|id| !id.is_empty()),
            value: event.template_card_event.value(),
            token: None,
        },
        _ => What::Other(event.eventtype),
    }
}
