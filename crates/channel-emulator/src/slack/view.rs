//! The platform's objects as apps see them. <https://docs.slack.dev/reference/objects/>

use serde_json::{Map, Value, json};

use super::model::{Channel, File, Message, MessageView, Place};
use super::state::State;

impl State {
    /// A message. <https://docs.slack.dev/reference/events/message/>
    pub(crate) fn message_json(&self, channel: &str, message: &Message) -> Value {
        let mut json = Map::new();
        json.insert("type".into(), "message".into());
        if let Some(subtype) = message.subtype {
            json.insert("subtype".into(), subtype.into());
        }
        json.insert("user".into(), message.user.clone().into());
        json.insert("ts".into(), message.ts.clone().into());
        json.insert("text".into(), message.text.clone().into());
        let conversation = self.channels.get(channel);
        let team = conversation.map_or("", |channel| channel.team.as_str());
        json.insert("team".into(), team.into());
        if let Some((app, bot)) = &message.bot {
            json.insert("bot_id".into(), bot.clone().into());
            json.insert("app_id".into(), app.clone().into());
            let name = self.apps.get(app).map_or("", |app| app.name.as_str());
            let profile = json!({"id": bot, "app_id": app, "user_id": message.user, "name": name, "team_id": team,
                "icons": {}, "deleted": false, "updated": 0});
            json.insert("bot_profile".into(), profile);
        }
        if let Some(id) = &message.client_msg_id {
            json.insert("client_msg_id".into(), id.clone().into());
        }
        if let Some(blocks) = &message.blocks {
            json.insert("blocks".into(), blocks.clone());
        }
        if let Some(attachments) = &message.attachments {
            json.insert("attachments".into(), attachments.clone());
        }
        if let Some((user, ts)) = &message.edited {
            json.insert("edited".into(), json!({"user": user, "ts": ts}));
        }
        if !message.files.is_empty() {
            let files = message.files.iter().filter_map(|id| self.file_json(id));
            json.insert("files".into(), files.collect());
            json.insert("upload".into(), false.into());
        }
        if !message.reactions.is_empty() {
            json.insert("reactions".into(), reactions(message));
        }
        if let Some(metadata) = &message.metadata {
            json.insert("metadata".into(), metadata.clone());
        }
        if let Some(conversation) = conversation {
            thread(&mut json, conversation, message);
        }
        json.into()
    }

    /// <https://docs.slack.dev/reference/objects/file-object/>
    pub(crate) fn file_json(&self, id: &str) -> Option<Value> {
        let file = self.files.get(id)?;
        let url = format!(
            "{}/files-pri/{}-{id}/{}",
            self.base,
            file.team,
            slug(&file.name)
        );
        let extension = extension(&file.name);
        let mut json = json!({"id": id, "created": file.created, "timestamp": file.created, "name": file.name,
            "title": file.title, "mimetype": file.mime, "filetype": extension,
            "pretty_type": extension.to_uppercase(), "user": file.user, "user_team": file.team, "editable": false,
            "size": file.bytes.len(), "mode": "hosted", "is_external": false, "external_type": "", "is_public": true,
            "public_url_shared": false, "display_as_bot": false, "username": "", "url_private": url,
            "url_private_download": url.replacen("/files-pri/", "/files-pri/download/", 1),
            "permalink": format!("{}/files/{}/{id}", self.base, file.user), "has_rich_preview": false,
            "file_access": "visible"});
        if let (Some(map), true) = (json.as_object_mut(), !file.shares.is_empty()) {
            map.insert("shares".into(), self.shares(file));
        }
        Some(json)
    }

    fn shares(&self, file: &File) -> Value {
        let mut shares = json!({});
        for (channel, ts) in &file.shares {
            let Some(conversation) = self.channels.get(channel) else {
                continue;
            };
            let kind = match conversation.place {
                Place::Public => "public",
                _ => "private",
            };
            let thread = self.message(channel, ts).and_then(|m| m.thread_ts.clone());
            let share = json!({"ts": ts, "thread_ts": thread, "channel_name": conversation.name,
                "team_id": conversation.team});
            if let Some(shares) = shares.as_object_mut() {
                let of_kind = shares.entry(kind).or_insert_with(|| json!({}));
                if let Some(of_kind) = of_kind.as_object_mut() {
                    let list = of_kind.entry(channel.as_str()).or_insert_with(|| json!([]));
                    if let Some(list) = list.as_array_mut() {
                        list.push(share);
                    }
                }
            }
        }
        shares
    }

    /// <https://docs.slack.dev/reference/objects/conversation-object/>
    pub(crate) fn channel_json(&self, id: &str, asker: &str) -> Option<Value> {
        let channel = self.channels.get(id)?;
        let place = channel.place;
        if place == Place::Direct {
            let other = channel.members.iter().find(|member| *member != asker);
            return Some(
                json!({"id": id, "created": channel.created, "is_im": true, "is_org_shared": false,
                "is_archived": channel.archived, "context_team_id": channel.team,
                "user": other.or(channel.members.first()), "is_user_deleted": false, "is_open": true}),
            );
        }
        Some(
            json!({"id": id, "name": channel.name, "name_normalized": channel.name, "created": channel.created,
            "is_channel": place == Place::Public, "is_group": place == Place::Private, "is_im": false,
            "is_mpim": place == Place::GroupDirect, "is_private": place != Place::Public,
            "is_archived": channel.archived, "is_general": channel.name == "general", "is_shared": false,
            "is_ext_shared": false, "is_org_shared": false, "context_team_id": channel.team,
            "is_member": channel.members.contains(asker), "num_members": channel.members.len(),
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0}}),
        )
    }

    /// <https://docs.slack.dev/reference/objects/user-object/>
    pub(crate) fn user_json(&self, id: &str) -> Option<Value> {
        let user = self.users.get(id)?;
        let mut profile = json!({"real_name": user.name, "display_name": user.name, "team": user.team,
            "real_name_normalized": user.name, "display_name_normalized": user.name,
            "email": format!("{}@example.com", user.name.to_lowercase().replace(' ', "."))});
        if let (Some((app, bot)), Some(profile)) = (&user.bot, profile.as_object_mut()) {
            profile.insert("api_app_id".into(), app.clone().into());
            profile.insert("bot_id".into(), bot.clone().into());
            profile.remove("email");
        }
        Some(
            json!({"id": id, "team_id": user.team, "name": user.name.to_lowercase().replace(' ', "."),
            "real_name": user.name, "deleted": user.deleted, "is_bot": user.bot.is_some(), "is_app_user": false,
            "is_admin": false, "is_owner": false, "is_restricted": false, "is_ultra_restricted": false,
            "is_email_confirmed": user.bot.is_none(), "tz": "Etc/UTC", "tz_offset": 0, "updated": 0,
            "profile": profile}),
        )
    }

    pub(crate) fn message_view(&self, channel: &str, message: &Message) -> MessageView {
        let streams = message.streams_until.is_some_and(|end| self.now_ms < end);
        MessageView {
            channel: channel.to_owned(),
            ts: message.ts.clone(),
            user: message.user.clone(),
            bot_id: message.bot.as_ref().map(|(_, bot)| bot.clone()),
            text: message.text.clone(),
            blocks: message.blocks.clone().unwrap_or_default(),
            thread_ts: message.thread_ts.clone(),
            files: message.files.clone(),
            edited: message.edited.is_some(),
            reactions: message.reactions.clone(),
            metadata: message.metadata.clone().unwrap_or_default(),
            streaming: streams,
            only_for: message.only_for.clone(),
            via: message.via,
        }
    }
}

pub(crate) fn reactions(message: &Message) -> Value {
    let one = |(name, users): &(String, Vec<String>)| json!({"name": name, "users": users, "count": users.len()});
    message.reactions.iter().map(one).collect()
}

/// The fields that make a message a root or a reply.
fn thread(json: &mut Map<String, Value>, channel: &Channel, message: &Message) {
    if let Some(root) = &message.thread_ts {
        json.insert("thread_ts".into(), root.clone().into());
        if let Some(parent) = channel.messages.get(root) {
            json.insert("parent_user_id".into(), parent.user.clone().into());
        }
        return;
    }
    let replies: Vec<&Message> = channel.replies(&message.ts).collect();
    let Some(latest) = replies.last() else {
        return;
    };
    let mut users: Vec<&str> = replies.iter().map(|reply| reply.user.as_str()).collect();
    users.sort_unstable();
    users.dedup();
    json.insert("thread_ts".into(), message.ts.clone().into());
    json.insert("reply_count".into(), replies.len().into());
    json.insert("reply_users_count".into(), users.len().into());
    json.insert("latest_reply".into(), latest.ts.clone().into());
    json.insert("reply_users".into(), json!(users));
    json.insert("is_locked".into(), false.into());
    json.insert("subscribed".into(), false.into());
}

impl Channel {
    /// The replies in a thread, without its root.
    pub(crate) fn replies<'a>(&'a self, root: &'a str) -> impl Iterator<Item = &'a Message> {
        // Replies are younger than what they reply to.
        self.messages
            .range(root.to_owned()..)
            .map(|(_, message)| message)
            .filter(move |message| message.thread_ts.as_deref() == Some(root))
    }
}

fn slug(name: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '_'
        }
    };
    name.to_lowercase().chars().map(keep).collect()
}

fn extension(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((_, extension)) if !extension.is_empty() && extension.len() < 10 => {
            extension.to_lowercase()
        }
        _ => "binary".to_owned(),
    }
}
