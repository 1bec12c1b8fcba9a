//! Messages for later. <https://docs.slack.dev/reference/methods/chat.scheduleMessage/>

use serde_json::json;

use super::Call;
use super::chat::compose;
use super::content::Content;
use crate::slack::answer::{Answer, ApiError};
use crate::slack::model::Message;
use crate::slack::state::{State, bound};

/// The furthest ahead, in seconds.
const MAX_AHEAD: i64 = 120 * 24 * 3600;

/// A message that waits for its time.
#[derive(Debug, Clone)]
pub(crate) struct Scheduled {
    app: String,
    channel: String,
    post_at: i64,
    created: i64,
    message: Message,
}

pub(crate) fn schedule(call: &mut Call<'_>) -> Answer {
    let channel = call.writable()?;
    let post_at: i64 = call
        .params
        .required("post_at")?
        .parse()
        .map_err(|_| ApiError::new("invalid_time"))?;
    let content = Content::required(call)?;
    let now = call.state.seconds();
    if post_at <= now {
        return Err(ApiError::new("time_in_past"));
    }
    if post_at > now + MAX_AHEAD {
        return Err(ApiError::new("time_too_far"));
    }
    let message = compose(call, &channel, content, "chat.scheduleMessage")?;
    let shown = call.state.message_json(&channel, &message);
    let id = call.state.id("Q");
    let scheduled = Scheduled {
        app: call.token.app.clone(),
        channel: channel.clone(),
        post_at,
        created: now,
        message,
    };
    bound(&mut call.state.scheduled);
    call.state.scheduled.insert(id.clone(), scheduled);
    Ok(
        json!({"channel": channel, "scheduled_message_id": id, "post_at": post_at, "message": shown}),
    )
}

/// <https://docs.slack.dev/reference/methods/chat.deleteScheduledMessage/>
pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let channel = call.channel()?;
    let id = call.params.required("scheduled_message_id")?;
    let is_own = call
        .state
        .scheduled
        .get(&id)
        .is_some_and(|message| message.app == call.token.app && message.channel == channel);
    if !is_own {
        return Err(ApiError::new("invalid_scheduled_message_id"));
    }
    call.state.scheduled.remove(&id);
    Ok(json!({}))
}

/// <https://docs.slack.dev/reference/methods/chat.scheduledMessages.list/>
pub(crate) fn list(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.text("channel");
    let own = call.state.scheduled.iter().filter(|(_, message)| {
        message.app == call.token.app && wanted.as_ref().is_none_or(|id| *id == message.channel)
    });
    let all = own
        .map(|(id, message)| {
            json!({"id": id, "channel_id": message.channel, "post_at": message.post_at,
                "date_created": message.created, "text": message.message.text})
        })
        .collect();
    let (page, next) = call.page(all, 100, 1000)?;
    Ok(json!({"scheduled_messages": page, "response_metadata": {"next_cursor": next}}))
}

impl State {
    /// Posts what is due; whether there was any.
    pub(crate) fn run_schedule(&mut self) -> bool {
        let now = self.seconds();
        let due: Vec<String> = self
            .scheduled
            .iter()
            .filter(|(_, message)| message.post_at <= now)
            .map(|(id, _)| id.clone())
            .collect();
        let is_news = !due.is_empty();
        for id in due {
            if let Some(scheduled) = self.scheduled.remove(&id) {
                self.write(&scheduled.channel, scheduled.message);
            }
        }
        is_news
    }
}
