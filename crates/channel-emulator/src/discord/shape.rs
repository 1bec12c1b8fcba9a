//! How the platform shows its objects.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::model::{Attachment, Author, Channel, EPOCH_MS, Emoji, Id, Message, kind, permission};
use super::state::State;

/// Signs attachment addresses. A fixed key: what is signed here is worth nothing elsewhere.
const LINK_KEY: &[u8] = b"discord emulator attachment links";

/// ISO 8601 with microseconds, as in every timestamp of the platform.
pub(crate) fn timestamp(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days to the civil calendar, by the shifted-year method: years begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}000+00:00")
}

/// When an id was made.
pub(crate) fn made_ms(id: Id) -> i64 {
    i64::try_from(id >> 22).unwrap_or(0) + EPOCH_MS
}

impl Emoji {
    pub(crate) fn json(&self) -> Value {
        json!({"id": self.id.map(|id| id.to_string()), "name": self.name})
    }
}

impl Attachment {
    /// The path and query of the address, valid until `expires` seconds since the epoch.
    pub(crate) fn path(&self, channel: Id, expires: i64, now: i64) -> String {
        let name =
            percent_encoding::utf8_percent_encode(&self.name, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
                .replace("%2E", ".")
                .replace("%2D", "-")
                .replace("%5F", "_");
        let hm = link_mark(channel, self.id, expires);
        format!(
            "/attachments/{channel}/{}/{name}?ex={expires:x}&is={now:x}&hm={hm}&",
            self.id
        )
    }

    fn json(&self, state: &State, channel: Id) -> Value {
        let now = state.now_ms / 1000;
        let life = i64::try_from(state.config.link_life.as_secs()).unwrap_or(i64::MAX);
        let path = self.path(channel, now.saturating_add(life), now);
        let url = format!("http://{}{path}", state.authority);
        let mut shown = json!({
            "id": self.id.to_string(), "filename": self.name, "size": self.bytes.len(), "url": url,
            "proxy_url": url,
        });
        if let Some(fields) = shown.as_object_mut() {
            put(fields, "content_type", self.content_type.as_deref());
            put(fields, "description", self.description.as_deref());
            if let Some((width, height)) = png_size(&self.bytes) {
                put(fields, "width", Some(width));
                put(fields, "height", Some(height));
            }
            if let Some((seconds, waveform)) = &self.voice {
                put(fields, "duration_secs", Some(*seconds));
                put(fields, "waveform", Some(waveform.as_str()));
            }
        }
        shown
    }
}

/// The mark of an attachment address.
pub(crate) fn link_mark(channel: Id, attachment: Id, expires: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(LINK_KEY) else {
        return String::new();
    };
    mac.update(format!("{channel}/{attachment}/{expires}").as_bytes());
    let code = mac.finalize().into_bytes();
    code.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return None;
    }
    let number = |at: usize| {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(four))
    };
    Some((number(16)?, number(20)?))
}

/// Inserts a value that is there.
pub(crate) fn put(fields: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}

impl State {
    /// The `User` object of a person or bot.
    pub(crate) fn user_json(&self, id: Id) -> Value {
        let (name, shown, is_bot) = match (self.users.get(&id), self.apps.get(&id)) {
            (Some(user), _) => (
                user.name.to_lowercase().replace(' ', "_"),
                Some(user.name.as_str()),
                false,
            ),
            (None, Some(app)) => (app.name.clone(), None, true),
            (None, None) => (format!("deleted_user_{id}"), None, false),
        };
        let mut user = json!({
            "id": id.to_string(), "username": name, "global_name": shown, "avatar": null,
            "discriminator": if is_bot { "0001" } else { "0" }, "public_flags": 0, "clan": null,
            "avatar_decoration_data": null, "primary_guild": null,
        });
        if let (true, Some(fields)) = (is_bot, user.as_object_mut()) {
            fields.insert("bot".into(), true.into());
        }
        user
    }

    /// The `Member` object, without the user.
    pub(crate) fn member_json(&self, guild: Id) -> Value {
        let joined = self
            .guilds
            .get(&guild)
            .map_or(self.now_ms, |guild| guild.joined_ms);
        json!({
            "roles": [], "nick": null, "avatar": null, "banner": null, "joined_at": timestamp(joined),
            "premium_since": null, "deaf": false, "mute": false, "flags": 0, "pending": false,
            "communication_disabled_until": null,
        })
    }

    /// The `Member` object with the user in it.
    pub(crate) fn member_with_user(&self, guild: Id, user: Id) -> Value {
        let mut member = self.member_json(guild);
        if let Some(fields) = member.as_object_mut() {
            fields.insert("user".into(), self.user_json(user));
        }
        member
    }

    /// The `Channel` object.
    pub(crate) fn channel_json(&self, channel: &Channel) -> Value {
        let last = channel.messages.keys().next_back();
        let mut shown = json!({
            "id": channel.id.to_string(), "type": channel.kind, "flags": 0,
            "last_message_id": last.map(ToString::to_string),
        });
        let Some(fields) = shown.as_object_mut() else {
            return shown;
        };
        put(fields, "guild_id", channel.guild.map(|id| id.to_string()));
        if let Some((_, user)) = channel.pair {
            put(fields, "recipients", Some(json!([self.user_json(user)])));
            return shown;
        }
        put(fields, "name", Some(channel.name.as_str()));
        let parent = channel.parent.map(|id| id.to_string());
        fields.insert("parent_id".into(), parent.into());
        put(fields, "rate_limit_per_user", Some(channel.slow_mode));
        if let Some(thread) = &channel.thread {
            put(fields, "owner_id", Some(thread.owner.to_string()));
            put(fields, "message_count", Some(channel.messages.len()));
            put(fields, "total_message_sent", Some(channel.messages.len()));
            put(fields, "member_count", Some(thread.members.len()));
            let metadata = json!({
                "archived": thread.archived, "locked": thread.locked,
                "auto_archive_duration": thread.auto_archive,
                "archive_timestamp": timestamp(thread.changed_ms),
                "create_timestamp": timestamp(made_ms(channel.id)),
            });
            put(fields, "thread_metadata", Some(metadata));
        } else {
            put(fields, "position", Some(0));
            put(fields, "permission_overwrites", Some(json!([])));
            put(fields, "nsfw", Some(false));
            fields.insert("topic".into(), Value::Null);
        }
        shown
    }

    /// The `Guild` object; `for_gateway` adds what GUILD_CREATE has beyond it.
    pub(crate) fn guild_json(&self, id: Id, app: Id, for_gateway: bool) -> Option<Value> {
        let guild = self.guilds.get(&id)?;
        let everyone = json!({
            "id": id.to_string(), "name": "@everyone", "color": 0, "hoist": false, "position": 0,
            "permissions": permission::ALL.to_string(), "managed": false, "mentionable": false, "icon": null,
            "unicode_emoji": null, "flags": 0, "colors": {"primary_color": 0},
        });
        let owner = guild.members.first().copied().unwrap_or(app);
        let mut shown = json!({
            "id": id.to_string(), "name": guild.name, "icon": null, "splash": null, "discovery_splash": null,
            "owner_id": owner.to_string(), "afk_channel_id": null, "afk_timeout": 300, "verification_level": 0,
            "default_message_notifications": 0, "explicit_content_filter": 0, "roles": [everyone], "emojis": [],
            "features": [], "mfa_level": 0, "application_id": null, "system_channel_id": null,
            "system_channel_flags": 0, "rules_channel_id": null, "vanity_url_code": null, "description": null,
            "banner": null, "premium_tier": 0, "preferred_locale": "en-US", "public_updates_channel_id": null,
            "nsfw_level": 0, "premium_progress_bar_enabled": false, "safety_alerts_channel_id": null, "stickers": [],
            "max_members": 500_000,
        });
        if let (true, Some(fields)) = (for_gateway, shown.as_object_mut()) {
            let channels = |threads: bool| -> Vec<Value> {
                self.channels
                    .values()
                    .filter(|channel| channel.guild == Some(id))
                    .filter(|channel| channel.thread.is_some() == threads)
                    .filter(|channel| self.may(app, channel, permission::VIEW_CHANNEL))
                    .filter(|channel| channel.thread.as_ref().is_none_or(|at| !at.archived))
                    .map(|channel| self.channel_json(channel))
                    .collect()
            };
            put(fields, "joined_at", Some(timestamp(guild.joined_ms)));
            put(fields, "large", Some(false));
            put(fields, "unavailable", Some(false));
            let count = guild.members.len() + guild.bots.len();
            put(fields, "member_count", Some(count));
            put(fields, "channels", Some(channels(false)));
            put(fields, "threads", Some(channels(true)));
            let members: Vec<Value> = [app]
                .iter()
                .map(|bot| self.member_with_user(id, *bot))
                .collect();
            put(fields, "members", Some(members));
            for empty in [
                "voice_states",
                "presences",
                "stage_instances",
                "guild_scheduled_events",
                "soundboard_sounds",
            ] {
                put(fields, empty, Some(json!([])));
            }
        }
        Some(shown)
    }

    /// The `Message` object as REST shows it to `viewer`; `deep` adds the message it replies to.
    pub(crate) fn message_json(&self, message: &Message, viewer: Id, deep: bool) -> Value {
        let mentions: Vec<Value> = message
            .mentions
            .iter()
            .map(|id| self.user_json(*id))
            .collect();
        let roles: Vec<String> = message
            .mention_roles
            .iter()
            .map(ToString::to_string)
            .collect();
        let files: Vec<Value> = message
            .attachments
            .iter()
            .map(|file| file.json(self, message.channel))
            .collect();
        let mut shown = json!({
            "id": message.id.to_string(), "channel_id": message.channel.to_string(), "type": message.kind,
            "author": self.user_json(message.author.id()), "content": message.content, "tts": message.tts,
            "timestamp": timestamp(made_ms(message.id)), "edited_timestamp": message.edited_ms.map(timestamp),
            "mention_everyone": message.mention_everyone, "mentions": mentions, "mention_roles": roles,
            "attachments": files, "embeds": message.embeds, "components": message.components,
            "pinned": message.pinned, "flags": message.flags,
        });
        let Some(fields) = shown.as_object_mut() else {
            return shown;
        };
        // Only who sent it sees it.
        let nonce = message.nonce.clone();
        put(
            fields,
            "nonce",
            nonce.filter(|_| viewer == message.author.id()),
        );
        if !message.stickers.is_empty() {
            put(fields, "sticker_items", Some(message.stickers.clone()));
        }
        if !message.reactions.is_empty() {
            let reactions: Vec<Value> = message
                .reactions
                .iter()
                .map(|reaction| {
                    json!({
                        "emoji": reaction.emoji.json(), "count": reaction.by.len(), "burst_colors": [],
                        "count_details": {"burst": 0, "normal": reaction.by.len()}, "burst_me": false,
                        "me_burst": false, "burst_count": 0, "me": reaction.by.contains(&viewer),
                    })
                })
                .collect();
            put(fields, "reactions", Some(reactions));
        }
        if let Some(interaction) = message.interaction {
            put(
                fields,
                "application_id",
                Some(message.author.id().to_string()),
            );
            put(fields, "webhook_id", Some(message.author.id().to_string()));
            if let Some(asked) = self.interactions.get(&interaction) {
                let metadata = json!({
                    "id": interaction.to_string(), "type": asked.kind, "user": self.user_json(asked.user),
                    "authorizing_integration_owners": {}, "name": asked.name,
                });
                put(fields, "interaction_metadata", Some(metadata));
            }
        }
        self.put_reference(fields, message, viewer, deep);
        shown
    }

    fn put_reference(
        &self,
        fields: &mut Map<String, Value>,
        message: &Message,
        viewer: Id,
        deep: bool,
    ) {
        let Some((how, channel, id)) = message.reference else {
            return;
        };
        let mut reference = json!({
            "type": how, "message_id": id.to_string(), "channel_id": channel.to_string(),
        });
        let guild = self
            .channels
            .get(&channel)
            .and_then(|channel| channel.guild);
        if let Some(reference) = reference.as_object_mut() {
            put(reference, "guild_id", guild.map(|id| id.to_string()));
        }
        put(fields, "message_reference", Some(reference));
        let referenced = self.any_message(channel, id);
        if how == 1 {
            let snapshot = referenced.map(|of| {
                let full = self.message_json(of, viewer, false);
                let kept = [
                    "type",
                    "content",
                    "embeds",
                    "attachments",
                    "timestamp",
                    "edited_timestamp",
                    "flags",
                    "mentions",
                    "mention_roles",
                    "components",
                ];
                let kept: Map<String, Value> = kept
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), full.get(*name)?.clone())))
                    .collect();
                json!({"message": kept})
            });
            put(
                fields,
                "message_snapshots",
                Some(snapshot.into_iter().collect::<Vec<_>>()),
            );
        } else if deep {
            let shown = referenced.map(|of| self.message_json(of, viewer, false));
            fields.insert("referenced_message".into(), shown.unwrap_or_default());
        }
    }

    /// The `Message` object as the gateway shows it: with the guild, the member and the type of the channel.
    pub(crate) fn message_event(&self, message: &Message, viewer: Id) -> Value {
        let mut shown = self.message_json(message, viewer, true);
        let Some(fields) = shown.as_object_mut() else {
            return shown;
        };
        if let Some(channel) = self.channels.get(&message.channel) {
            put(fields, "channel_type", Some(channel.kind));
            if let Some(guild) = channel.guild.filter(|_| message.only_for.is_none()) {
                put(fields, "guild_id", Some(guild.to_string()));
                if message.interaction.is_none() || matches!(message.author, Author::User(_)) {
                    put(fields, "member", Some(self.member_json(guild)));
                }
                if let Some(Value::Array(mentions)) = fields.get_mut("mentions") {
                    for user in mentions.iter_mut().filter_map(Value::as_object_mut) {
                        user.insert("member".into(), self.member_json(guild));
                    }
                }
            }
        }
        shown
    }
}

impl Channel {
    /// Whether messages can be written here.
    pub(crate) const fn takes_messages(&self) -> bool {
        matches!(
            self.kind,
            kind::TEXT
                | kind::DM
                | kind::ANNOUNCEMENT
                | kind::ANNOUNCEMENT_THREAD
                | kind::PUBLIC_THREAD
                | kind::PRIVATE_THREAD
        )
    }
}
