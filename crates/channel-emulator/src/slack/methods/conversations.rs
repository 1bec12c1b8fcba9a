//! Channels. <https://docs.slack.dev/reference/methods/?family=conversations>

use serde_json::{Value, json};

use super::Call;
use crate::slack::answer::{Answer, ApiError};
use crate::slack::model::{Channel, Message, Place};
use crate::slack::state::State;

/// <https://docs.slack.dev/reference/methods/conversations.info/>
pub(crate) fn info(call: &mut Call<'_>) -> Answer {
    let id = call.channel()?;
    call.readable(&id, "read")?;
    Ok(json!({"channel": call.state.channel_json(&id, &call.token.user)}))
}

/// <https://docs.slack.dev/reference/methods/conversations.list/>
pub(crate) fn list(call: &mut Call<'_>) -> Answer {
    let mut kinds = call.params.list("types");
    if kinds.is_empty() {
        kinds.push("public_channel".to_owned());
    }
    let mut places = Vec::new();
    for kind in kinds {
        let place = match kind.as_str() {
            "public_channel" => Place::Public,
            "private_channel" => Place::Private,
            "im" => Place::Direct,
            "mpim" => Place::GroupDirect,
            _ => return Err(ApiError::new("invalid_types")),
        };
        let scope = format!("{}:read", place.scope());
        if !call.may(&scope) {
            return Err(call.lacks(&scope));
        }
        places.push(place);
    }
    let without_archived = call.params.flag("exclude_archived");
    let (team, user) = (&call.token.team, &call.token.user);
    let seen = call.state.channels.iter().filter(|(_, channel)| {
        channel.team == *team
            && places.contains(&channel.place)
            && (channel.place == Place::Public || channel.members.contains(user))
            && !(without_archived && channel.archived)
    });
    let all = seen
        .filter_map(|(id, _)| call.state.channel_json(id, user))
        .collect();
    let (page, next) = call.page(all, 100, 1000)?;
    Ok(json!({"channels": page, "response_metadata": {"next_cursor": next}}))
}

/// <https://docs.slack.dev/reference/methods/conversations.members/>
pub(crate) fn members(call: &mut Call<'_>) -> Answer {
    let id = call.channel()?;
    call.readable(&id, "read")?;
    let members = call
        .state
        .channels
        .get(&id)
        .map(|channel| channel.members.iter());
    let all = members
        .into_iter()
        .flatten()
        .map(|id| Value::from(id.clone()))
        .collect();
    let (page, next) = call.page(all, 100, 1000)?;
    Ok(json!({"members": page, "response_metadata": {"next_cursor": next}}))
}

/// <https://docs.slack.dev/reference/methods/conversations.join/>
pub(crate) fn join(call: &mut Call<'_>) -> Answer {
    let id = call.channel()?;
    let user = call.token.user.clone();
    call.state.enter(&id, &user, None);
    Ok(json!({"channel": call.state.channel_json(&id, &user)}))
}

/// <https://docs.slack.dev/reference/methods/conversations.open/>
pub(crate) fn open(call: &mut Call<'_>) -> Answer {
    let id = if call.params.text("channel").is_some() {
        call.channel()?
    } else {
        let users = call.params.list("users");
        if users.len() > 8 {
            return Err(ApiError::new("too_many_users"));
        }
        let team = &call.token.team;
        let is_known = |id: &String| {
            call.state
                .users
                .get(id)
                .is_some_and(|user| user.team == *team)
        };
        if !users.iter().all(is_known) {
            return Err(ApiError::new("user_not_found"));
        }
        let is_bot = |id: &String| {
            call.state
                .users
                .get(id)
                .is_some_and(|user| user.bot.is_some())
        };
        if users.iter().any(is_bot) {
            return Err(ApiError::new("cannot_dm_bot"));
        }
        match users.as_slice() {
            [] => return Err(ApiError::missing("users")),
            [one] => call.state.direct(&call.token.user, one),
            many => {
                let members = many.iter().chain([&call.token.user]).cloned().collect();
                call.state.gather(team, "", Place::GroupDirect, members)
            }
        }
    };
    let channel = if call.params.flag("return_im") {
        call.state
            .channel_json(&id, &call.token.user)
            .unwrap_or_default()
    } else {
        json!({"id": id})
    };
    Ok(json!({"channel": channel}))
}

/// <https://docs.slack.dev/reference/methods/conversations.history/>
pub(crate) fn history(call: &mut Call<'_>) -> Answer {
    let id = call.channel()?;
    call.readable(&id, "history")?;
    inside(call, &id)?;
    let span = Span::read(call);
    let channel = call.state.channels.get(&id);
    let channel = channel.ok_or_else(|| ApiError::new("channel_not_found"))?;
    let is_shown = |message: &&Message| {
        span.has(&message.ts)
            && (message.thread_ts.is_none() || message.subtype == Some("thread_broadcast"))
    };
    // Newest first.
    let found = channel.messages.values().rev().filter(is_shown);
    let all = shown(call, &id, found);
    let (page, next) = call.page(all, 100, 999)?;
    Ok(
        json!({"messages": page, "has_more": !next.is_empty(), "pin_count": 0,
        "response_metadata": {"next_cursor": next}}),
    )
}

/// <https://docs.slack.dev/reference/methods/conversations.replies/>
pub(crate) fn replies(call: &mut Call<'_>) -> Answer {
    let id = call.channel()?;
    call.readable(&id, "history")?;
    inside(call, &id)?;
    let ts = call.params.required("ts")?;
    let span = Span::read(call);
    let channel = call.state.channels.get(&id);
    let channel = channel.ok_or_else(|| ApiError::new("channel_not_found"))?;
    let asked = channel
        .messages
        .get(&ts)
        .ok_or_else(|| ApiError::new("thread_not_found"))?;
    let root_ts = asked.thread_ts.as_deref().unwrap_or(&ts);
    let root = channel.messages.get(root_ts);
    // Oldest first; the root is always there.
    let replies = channel
        .replies(root_ts)
        .filter(|message| span.has(&message.ts));
    let all = shown(call, &id, root.into_iter().chain(replies));
    let (page, next) = call.page(all, 1000, 1000)?;
    Ok(
        json!({"messages": page, "has_more": !next.is_empty(), "response_metadata": {"next_cursor": next}}),
    )
}

fn inside(call: &Call<'_>, id: &str) -> Result<(), ApiError> {
    let channel = call.state.channels.get(id);
    if channel.is_some_and(|channel| channel.members.contains(&call.token.user)) {
        Ok(())
    } else {
        Err(ApiError::new("not_in_channel"))
    }
}

fn shown<'a>(call: &Call<'_>, id: &str, messages: impl Iterator<Item = &'a Message>) -> Vec<Value> {
    let with_metadata = call.params.flag("include_all_metadata");
    messages
        .map(|message| {
            let mut json = call.state.message_json(id, message);
            if !with_metadata && let Some(json) = json.as_object_mut() {
                json.remove("metadata");
            }
            json
        })
        .collect()
}

/// `oldest`, `latest` and `inclusive`.
struct Span {
    oldest: Option<String>,
    latest: Option<String>,
    inclusive: bool,
}

impl Span {
    fn read(call: &Call<'_>) -> Self {
        // "0" and whole seconds are times too.
        let time = |name: &str| call.params.text(name).map(|time| padded(&time));
        Self {
            oldest: time("oldest"),
            latest: time("latest"),
            inclusive: call.params.flag("inclusive"),
        }
    }

    fn has(&self, ts: &str) -> bool {
        let edge = |bound: &Option<String>| self.inclusive && bound.as_deref() == Some(ts);
        let after = self.oldest.as_deref().is_none_or(|oldest| ts > oldest);
        let before = self.latest.as_deref().is_none_or(|latest| ts < latest);
        (after || edge(&self.oldest)) && (before || edge(&self.latest))
    }
}

/// A time with as many digits as a `ts`, so that they compare as text.
fn padded(time: &str) -> String {
    let (seconds, micros) = time.split_once('.').unwrap_or((time, ""));
    format!("{seconds:0>10}.{micros:0<6}")
}

impl State {
    /// The direct channel of two people, made when there is none.
    pub(crate) fn direct(&mut self, one: &str, other: &str) -> String {
        let found = self.channels.iter().find(|(_, channel)| {
            channel.place == Place::Direct
                && channel.members.contains(one)
                && channel.members.contains(other)
        });
        if let Some((id, _)) = found {
            return id.clone();
        }
        let team = self
            .users
            .get(one)
            .map(|user| user.team.clone())
            .unwrap_or_default();
        let members = [one.to_owned(), other.to_owned()].into();
        self.gather(&team, "", Place::Direct, members)
    }

    /// A new channel, without telling anybody.
    pub(crate) fn gather(
        &mut self,
        team: &str,
        name: &str,
        place: Place,
        members: std::collections::BTreeSet<String>,
    ) -> String {
        let id = self.id(if place == Place::Direct { "D" } else { "C" });
        let channel = Channel {
            team: team.to_owned(),
            name: name.to_owned(),
            place,
            members,
            archived: false,
            created: self.seconds(),
            messages: std::collections::BTreeMap::new(),
        };
        self.channels.insert(id.clone(), channel);
        id
    }

    /// Lets somebody into a channel, and tells the apps there.
    pub(crate) fn enter(&mut self, id: &str, user: &str, inviter: Option<&str>) {
        let Some(channel) = self.channels.get_mut(id) else {
            return;
        };
        if !channel.members.insert(user.to_owned()) {
            return;
        }
        let mut event = membership("member_joined_channel", id, user, channel);
        if let Some(inviter) = inviter {
            crate::slack::events::set(&mut event, "inviter", inviter.into());
        }
        crate::slack::events::set(&mut event, "event_ts", self.ts().into());
        self.tell_members(id, "member_joined_channel", &event);
    }

    /// Takes somebody out of a channel, and tells the apps there, also the one that leaves.
    pub(crate) fn leave(&mut self, id: &str, user: &str) {
        let Some(channel) = self.channels.get(id).filter(|c| c.members.contains(user)) else {
            return;
        };
        let mut event = membership("member_left_channel", id, user, channel);
        crate::slack::events::set(&mut event, "event_ts", self.ts().into());
        self.tell_members(id, "member_left_channel", &event);
        if let Some(channel) = self.channels.get_mut(id) {
            channel.members.remove(user);
        }
    }
}

/// <https://docs.slack.dev/reference/events/member_joined_channel/>
fn membership(kind: &str, id: &str, user: &str, channel: &Channel) -> Value {
    let letter = if channel.place == Place::Public {
        "C"
    } else {
        "G"
    };
    json!({"type": kind, "user": user, "channel": id, "channel_type": letter, "team": channel.team})
}
