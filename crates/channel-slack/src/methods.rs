//! What Slack has and others do not, as methods of the channel.

use std::time::{SystemTime, UNIX_EPOCH};

use channel_core::{
    Action, ChatId, Destination, Message, MessageRef, OutboundMessage, Raw, Result, SenderId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{Address, is_id, thread_ts};
use crate::change::Done;
use crate::channel::Slack;
use crate::client::{Method, Payload};
use crate::error::{invalid, unsupported};
use crate::outbound::Envelope;
use crate::plan::{self, Post};
use crate::shared::Shared;
use crate::wire::Form;

#[derive(Deserialize)]
struct Opened {
    view: OpenedView,
}

#[derive(Deserialize)]
struct OpenedView {
    id: String,
}

#[derive(Deserialize)]
struct Scheduled {
    scheduled_message_id: String,
}

#[derive(Deserialize)]
struct Whispered {}

#[derive(Serialize)]
struct Said<'a> {
    channel: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    blocks: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_at: Option<u64>,
}

/// The one message that these calls can carry.
fn only(message: &OutboundMessage, method: Method) -> Result<Post> {
    if !message.attachments.is_empty() {
        return Err(unsupported("slack takes no files here", method.operation()));
    }
    let mut posts = plan::posts(message)?;
    match (posts.pop(), posts.is_empty()) {
        (Some(post), true) => Ok(post),
        _ => Err(invalid(
            "the message has to fit into one of slack's",
            method.operation(),
        )),
    }
}

/// What opens a dialog: a press and a command of a socket are JSON, a command of a request a form.
fn trigger(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Trigger {
        trigger_id: String,
    }
    match serde_json::from_slice::<Trigger>(body) {
        Ok(it) => Some(it.trigger_id),
        Err(_) => Form::parse(body)?.get("trigger_id").map(str::to_owned),
    }
}

impl Slack {
    /// Opens a dialog for whoever pressed a button or used a shortcut, within 3 s of the
    /// press (<https://docs.slack.dev/reference/methods/views.open/>). `view` is Slack's own
    /// JSON (<https://docs.slack.dev/reference/views/>). What is filled in comes back as an
    /// [`Action`] whose value is the view's `callback_id`, with the inputs as
    /// [`Action::fields`]. Gives the id of the view.
    ///
    /// # Errors
    ///
    /// `NotFound` if the press is too old, `Invalid` if Slack does not take the view.
    pub async fn open_view(&self, action: &Action, view: &Value) -> Result<String> {
        let chat = &action.chat.id;
        self.show_view(Method::OpenView, chat, &action.raw, view)
            .await
    }

    /// The same for whoever wrote a slash command, within 3 s of it.
    ///
    /// # Errors
    ///
    /// As for [`open_view`](Self::open_view); `Invalid` for a message that is no slash command.
    pub async fn open_view_for(&self, command: &Message, view: &Value) -> Result<String> {
        let chat = &command.chat.id;
        self.show_view(Method::OpenView, chat, &command.raw, view)
            .await
    }

    /// Lays a dialog over the one in which something was pressed, within 3 s of the press; Slack
    /// takes three of them (<https://docs.slack.dev/reference/methods/views.push/>).
    ///
    /// # Errors
    ///
    /// As for [`open_view`](Self::open_view).
    pub async fn push_view(&self, action: &Action, view: &Value) -> Result<String> {
        let chat = &action.chat.id;
        self.show_view(Method::PushView, chat, &action.raw, view)
            .await
    }

    async fn show_view(
        &self,
        method: Method,
        chat: &ChatId,
        raw: &Raw,
        view: &Value,
    ) -> Result<String> {
        #[derive(Serialize)]
        struct Fields<'a> {
            trigger_id: &'a str,
            view: &'a Value,
        }
        let trigger = trigger(raw.as_slice()).ok_or_else(|| {
            let words = "nothing was pressed or commanded that could open a dialog";
            invalid(words, method.operation())
        })?;
        let trigger_id = &*trigger;
        let at = self.address(chat, method)?;
        let payload = Payload::json(&Fields { trigger_id, view });
        let opened: Opened = self.shared.call_chat(method, at, payload, None).await?;
        Ok(opened.view.id)
    }

    /// Replaces the content of an open dialog
    /// (<https://docs.slack.dev/reference/methods/views.update/>). `chat` is any chat of the
    /// workspace.
    ///
    /// # Errors
    ///
    /// `Invalid` if Slack does not take the view, `NotFound` if it is closed.
    pub async fn update_view(&self, chat: &ChatId, view_id: &str, view: &Value) -> Result<()> {
        #[derive(Serialize)]
        struct Fields<'a> {
            view_id: &'a str,
            view: &'a Value,
        }
        let method = Method::UpdateView;
        let at = self.address(chat, method)?;
        let payload = Payload::json(&Fields { view_id, view });
        let Done {} = self.shared.call_chat(method, at, payload, None).await?;
        Ok(())
    }

    /// Publishes the home tab of a person
    /// (<https://docs.slack.dev/reference/methods/views.publish/>). `chat` is any chat of
    /// the workspace.
    ///
    /// # Errors
    ///
    /// `Invalid` if Slack does not take the view.
    pub async fn publish_home(&self, chat: &ChatId, user: &SenderId, view: &Value) -> Result<()> {
        #[derive(Serialize)]
        struct Fields<'a> {
            user_id: &'a str,
            view: &'a Value,
        }
        let method = Method::PublishView;
        let at = self.address(chat, method)?;
        let user_id = user.as_str();
        let payload = Payload::json(&Fields { user_id, view });
        let Done {} = self.shared.call_chat(method, at, payload, None).await?;
        Ok(())
    }

    /// Shows a message to one person of a chat only
    /// (<https://docs.slack.dev/reference/methods/chat.postEphemeral/>). It is lost if the
    /// person is not there, and can be neither edited nor found again.
    ///
    /// # Errors
    ///
    /// As for sending; `NotFound` if the person is not in the chat.
    pub async fn send_ephemeral(&self, user: &SenderId, message: &OutboundMessage) -> Result<()> {
        let method = Method::PostEphemeral;
        if !is_id(user.as_str()) {
            return Err(invalid("a user id looks like U0123", method.operation()));
        }
        let post = only(message, method)?;
        let said = self.say(method, &message.to, &post, Some(user.as_str()), None);
        let Whispered {} = said.await?;
        Ok(())
    }

    /// Lets Slack send a message later, at most 120 days from now
    /// (<https://docs.slack.dev/reference/methods/chat.scheduleMessage/>). The id of the
    /// result is the one to cancel it by, not that of the message.
    ///
    /// # Errors
    ///
    /// `Invalid` if the time has passed or is too far away.
    pub async fn schedule(&self, message: &OutboundMessage, at: SystemTime) -> Result<MessageRef> {
        let method = Method::ScheduleMessage;
        let post = only(message, method)?;
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let scheduled: Scheduled = self.say(method, &message.to, &post, None, Some(at)).await?;
        let chat = message.to.target().chat.clone();
        Ok(MessageRef::new(chat, scheduled.scheduled_message_id.into()))
    }

    /// Cancels what [`schedule`](Self::schedule) has promised
    /// (<https://docs.slack.dev/reference/methods/chat.deleteScheduledMessage/>).
    ///
    /// # Errors
    ///
    /// `NotFound` if it has been sent, or is about to be.
    pub async fn cancel_scheduled(&self, scheduled: &MessageRef) -> Result<()> {
        #[derive(Serialize)]
        struct Fields<'a> {
            channel: &'a str,
            scheduled_message_id: &'a str,
        }
        let method = Method::DeleteScheduled;
        let at = self.address(&scheduled.chat, method)?;
        let payload = Payload::json(&Fields {
            channel: at.channel,
            scheduled_message_id: scheduled.id.as_str(),
        });
        let patience = Some(self.shared.patience());
        let Done {} = self.shared.call_chat(method, at, payload, patience).await?;
        Ok(())
    }

    /// Says under the last message of a thread what the app is about, such as `is thinking`;
    /// an empty text takes it away. Slack shows it where the app is an assistant
    /// (<https://docs.slack.dev/reference/methods/assistant.threads.setStatus/>).
    ///
    /// # Errors
    ///
    /// `Invalid` if the destination has no thread.
    pub async fn set_status(&self, to: &Destination, status: &str) -> Result<()> {
        let method = Method::SetStatus;
        let at = self.address(&to.target().chat, method)?;
        let thread_ts = thread_ts(to.target().thread.as_ref())
            .ok_or_else(|| invalid("a status needs a thread", method.operation()))?;
        set_status(&self.shared, at, thread_ts, status).await
    }

    fn address<'a>(&self, chat: &'a ChatId, method: Method) -> Result<Address<'a>> {
        Address::parse(chat, self.shared.is_many(), method.operation())
    }

    async fn say<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        to: &Destination,
        post: &Post,
        user: Option<&str>,
        post_at: Option<u64>,
    ) -> Result<T> {
        let envelope = Envelope::new(&self.shared, to, method)?;
        let payload = Payload::json(&Said {
            channel: envelope.at.channel,
            text: &post.text,
            blocks: post.literal_blocks(),
            thread_ts: envelope.thread,
            user,
            post_at,
        });
        let patience = Some(self.shared.patience());
        Ok(self
            .shared
            .call_chat(method, envelope.at, payload, patience)
            .await?)
    }
}

/// <https://docs.slack.dev/reference/methods/assistant.threads.setStatus/>
pub(crate) async fn set_status(
    shared: &Shared,
    at: Address<'_>,
    thread_ts: &str,
    status: &str,
) -> Result<()> {
    #[derive(Serialize)]
    struct Fields<'a> {
        channel_id: &'a str,
        thread_ts: &'a str,
        status: &'a str,
    }
    let payload = Payload::json(&Fields {
        channel_id: at.channel,
        thread_ts,
        status,
    });
    let method = Method::SetStatus;
    let Done {} = shared.call_chat(method, at, payload, None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::trigger;

    #[test]
    fn presses_and_commands_open_dialogs_however_they_came() {
        let found = |body: &str| trigger(body.as_bytes());
        assert_eq!(found(r#"{"trigger_id":"1.2.a"}"#).as_deref(), Some("1.2.a"));
        let form = "command=%2Fkit&text=a+b&trigger_id=1.2.a";
        assert_eq!(found(form).as_deref(), Some("1.2.a"));
        for nothing in ["", "text=a", r#"{"type":"event_callback"}"#] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
    }
}
