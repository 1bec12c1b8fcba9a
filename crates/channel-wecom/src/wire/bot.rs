//! Messages and events of a group bot, as XML or as JSON
//! (<https://developer.work.weixin.qq.com/document/path/99399>).

use channel_core::{Attachment, AttachmentKind, Secret};
use channel_wechat_crypto::{Element, parse_xml};
use serde::Deserialize;

use super::{INNER, Item, Kind, Place, What, digest, file, short, unreadable};

/// Reads a decrypted message of either form; what is none is kept as unreadable.
pub(crate) fn read(raw: &[u8]) -> Item {
    let item = if raw.first() == Some(&b'{') {
        serde_json::from_slice::<Json>(raw).ok()
    } else {
        parse_xml(raw, &INNER).ok().map(|xml| of_xml(&xml))
    };
    item.and_then(|json| item_of(json, raw))
        .unwrap_or_else(|| unreadable(raw))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Json {
    webhook_url: Option<Secret>,
    msgid: String,
    chatid: String,
    chattype: String,
    from: From,
    msgtype: String,
    text: Text,
    image: Image,
    event: Event,
    attachment: Pressed,
    mixed_message: Mixed,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct From {
    userid: String,
    name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Text {
    content: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Image {
    image_url: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    event_type: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pressed {
    callbackid: String,
    actions: Vec<Action>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Action {
    value: String,
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
    image: Image,
}

/// Reads the XML form into the JSON one.
fn of_xml(xml: &Element<'_>) -> Json {
    let get = |xml: &Element<'_>, name: &str| xml.get(name).unwrap_or_default().to_owned();
    let inner = |outer: &str, name: &str| {
        xml.child(outer)
            .map(|child| get(child, name))
            .unwrap_or_default()
    };
    let text = |xml: &Element<'_>| Text {
        content: xml
            .child("Text")
            .map(|text| get(text, "Content"))
            .unwrap_or_default(),
    };
    let image = |xml: &Element<'_>| Image {
        image_url: xml
            .child("Image")
            .map(|image| get(image, "ImageUrl"))
            .unwrap_or_default(),
    };
    let attachment = xml.child("Attachment");
    let actions = attachment
        .into_iter()
        .flat_map(|attachment| attachment.children_named("Actions"))
        .map(|action| Action {
            value: get(action, "Value"),
        });
    let items = xml.child("MixedMessage").into_iter();
    let items = items.flat_map(|mixed| mixed.children_named("MsgItem"));
    let from = xml.child("From");
    Json {
        webhook_url: xml.get("WebhookUrl").map(Secret::new),
        msgid: get(xml, "MsgId"),
        chatid: get(xml, "ChatId"),
        chattype: get(xml, "ChatType"),
        from: From {
            userid: inner("From", "UserId"),
            name: from.and_then(|from| from.get("Name")).map(str::to_owned),
        },
        msgtype: get(xml, "MsgType"),
        text: text(xml),
        image: image(xml),
        event: Event {
            event_type: inner("Event", "EventType"),
        },
        attachment: Pressed {
            callbackid: inner("Attachment", "CallbackId"),
            actions: actions.collect(),
        },
        mixed_message: Mixed {
            msg_item: items
                .map(|item| MixedItem {
                    text: text(item),
                    image: image(item),
                })
                .collect(),
        },
    }
}

fn item_of(json: Json, raw: &[u8]) -> Option<Item> {
    if json.from.userid.is_empty() || json.msgtype.is_empty() {
        return None;
    }
    let key = if json.msgid.is_empty() {
        format!("event-{}", digest([raw]))
    } else {
        short(&json.msgid)
    };
    let kind = match json.chattype.as_str() {
        "single" => Kind::Single,
        "blackboard" | "blackboard_reply" => Kind::Board,
        _ => Kind::Group,
    };
    let chat = match (json.chatid.is_empty(), kind) {
        (false, _) => json.chatid,
        (true, Kind::Single) => json.from.userid.clone(),
        (true, _) => return None,
    };
    let picture = |image: &Image| {
        let url = image.image_url.as_str();
        (!url.is_empty()).then(|| file::of_address(url, None, AttachmentKind::Image))
    };
    let said = |text: String, attachments: Vec<Attachment>| What::Said {
        id: key.clone(),
        text,
        attachments,
        quotes: false,
    };
    let what = match json.msgtype.as_str() {
        "text" => said(json.text.content, Vec::new()),
        "image" => said(String::new(), picture(&json.image).into_iter().collect()),
        "mixed" => {
            let items = &json.mixed_message.msg_item;
            let words: Vec<_> = items
                .iter()
                .map(|item| item.text.content.as_str())
                .collect();
            said(
                words.concat(),
                items
                    .iter()
                    .filter_map(|item| picture(&item.image))
                    .collect(),
            )
        }
        "event" => match json.event.event_type.as_str() {
            "add_to_chat" => What::MeJoined,
            "delete_from_chat" => What::MeLeft,
            "enter_chat" => What::Entered,
            other => What::Other(other.to_owned()),
        },
        "attachment" => What::Pressed {
            value: json.attachment.actions.into_iter().next()?.value,
            task: Some(json.attachment.callbackid).filter(|id| !id.is_empty()),
            token: None,
        },
        other => What::Other(other.to_owned()),
    };
    Some(Item {
        key,
        place: Some(Place {
            user: json.from.userid,
            name: json.from.name.filter(|name| !name.is_empty()),
            chat,
            kind,
        }),
        at: None,
        url: json.webhook_url,
        what,
    })
}
