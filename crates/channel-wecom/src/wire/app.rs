//! Messages and events of a custom app
//! (<https://developer.work.weixin.qq.com/document/path/90239>,
//! <https://developer.work.weixin.qq.com/document/path/90240>).

use channel_core::{Attachment, AttachmentKind};
use channel_wechat_crypto::{Element, parse_xml};

use super::{INNER, Item, Kind, Place, What, digest, file, short, unreadable};

/// A decrypted document, and the agent that it is for.
pub(crate) struct Read {
    pub(crate) item: Item,
    pub(crate) agent: Option<u64>,
}

/// Reads a decrypted document; what is none is kept as unreadable.
pub(crate) fn read(raw: &[u8]) -> Read {
    let Ok(xml) = parse_xml(raw, &INNER) else {
        return Read {
            item: unreadable(raw),
            agent: None,
        };
    };
    Read {
        agent: xml.number("AgentID"),
        item: item(&xml).unwrap_or_else(|| unreadable(raw)),
    }
}

fn item(xml: &Element<'_>) -> Option<Item> {
    let user = xml.get("FromUserName")?;
    let at = xml.number("CreateTime");
    let place = Place {
        user: user.to_owned(),
        name: None,
        chat: user.to_owned(),
        kind: Kind::Single,
    };
    let kind = xml.get("MsgType")?;
    let (key, what) = if kind == "event" {
        (event_key(xml, user), event(xml))
    } else {
        let id = short(xml.get("MsgId")?);
        let (text, attachments) = said(xml, kind);
        if text.is_empty() && attachments.is_empty() {
            (id, What::Other(kind.to_owned()))
        } else {
            let what = What::Said {
                id: id.clone(),
                text,
                attachments,
                quotes: false,
            };
            (id, what)
        }
    };
    Some(Item {
        key,
        place: Some(place),
        at,
        url: None,
        what,
    })
}

/// Events have no id, and two of them may share a second.
fn event_key(xml: &Element<'_>, user: &str) -> String {
    let field = |name: &str| xml.get(name).unwrap_or_default();
    let parts = [
        user,
        field("CreateTime"),
        field("Event"),
        field("EventKey"),
        field("TaskId"),
        field("ResponseCode"),
        field("Latitude"),
    ];
    format!("event-{}", digest(parts.map(str::as_bytes)))
}

fn said(xml: &Element<'_>, kind: &str) -> (String, Vec<Attachment>) {
    let text = |name: &str| xml.get(name).unwrap_or_default().to_owned();
    let media = |kind| {
        xml.get("MediaId")
            .map(|id| file::of_media_id(id, kind))
            .into_iter()
            .collect()
    };
    match kind {
        "text" => (text("Content"), Vec::new()),
        "image" => (String::new(), media(AttachmentKind::Image)),
        "voice" => {
            let mut files: Vec<Attachment> = media(AttachmentKind::Voice);
            if let (Some(file), Some("amr")) = (files.first_mut(), xml.get("Format")) {
                file.mime = Some("audio/amr".to_owned());
            }
            (text("Recognition"), files)
        }
        "video" => (String::new(), media(AttachmentKind::Video)),
        "file" => {
            let mut files: Vec<Attachment> = media(AttachmentKind::File);
            if let Some(file) = files.first_mut() {
                file.name = xml.get("FileName").map(str::to_owned);
            }
            (String::new(), files)
        }
        "location" => {
            let label = text("Label");
            let (x, y) = (text("Location_X"), text("Location_Y"));
            (format!("{label} ({x}, {y})").trim().to_owned(), Vec::new())
        }
        "link" => {
            let parts = [text("Title"), text("Description"), text("Url")];
            let lines: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            (lines.join("\n"), Vec::new())
        }
        _ => (String::new(), Vec::new()),
    }
}

fn event(xml: &Element<'_>) -> What {
    let name = xml.get("Event").unwrap_or_default();
    match name {
        "subscribe" => What::Joined,
        "unsubscribe" => What::Left,
        "enter_agent" => What::Entered,
        "click" | "template_card_event" | "template_card_menu_event" => What::Pressed {
            value: pressed(xml),
            task: xml.get("TaskId").map(str::to_owned),
            token: xml.get("ResponseCode").map(str::to_owned),
        },
        _ => What::Other(name.to_owned()),
    }
}

/// The chosen options, or else the key of the button.
fn pressed(xml: &Element<'_>) -> String {
    let options: Vec<&str> = xml
        .child("SelectedItems")
        .into_iter()
        .flat_map(|items| items.children_named("SelectedItem"))
        .filter_map(|item| item.child("OptionIds"))
        .flat_map(|ids| ids.children_named("OptionId"))
        .map(|id| &*id.text)
        .filter(|id| !id.is_empty())
        .collect();
    if options.is_empty() {
        xml.get("EventKey").unwrap_or_default().to_owned()
    } else {
        options.join(",")
    }
}
