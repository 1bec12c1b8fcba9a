//! What belongs to the account: who it is, what it may still send, signs that it is there.

use channel_core::{Destination, Error, ErrorKind, Identity, Quota, Result};
use http::Method;
use serde::{Deserialize, Serialize};

use crate::channel::Line;
use crate::error::{Failure, invalid};
use crate::plan::Room;
use crate::shared::Shared;
use crate::{PLATFORM, files, limits};

/// What a person shows of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Profile {
    /// The name that is shown; may be anything, and change at any time.
    pub display_name: String,
    /// The person's id for this provider.
    pub user_id: String,
    /// An `https` address of a picture.
    pub picture_url: Option<String>,
    /// What the person says of themselves.
    pub status_message: Option<String>,
    /// The language, as an IETF tag.
    pub language: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    user_id: String,
    #[serde(default)]
    basic_id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    chat_mode: String,
}

/// Asks LINE who the bot is
/// (<https://developers.line.biz/en/reference/messaging-api/#get-bot-info>).
pub(crate) async fn identify(shared: &Shared) -> Result<Identity> {
    let info = shared.client.get::<Info>("/v2/bot/info").await;
    let info = info.map_err(|failure| failure.into_error("get identity", true))?;
    if info.chat_mode == "chat" {
        tracing::warn!(
            channel = %shared.info.id,
            "the account is in chat mode, in which people answer: switch it to bot mode in the account manager"
        );
    }
    shared.is_known_as(&info.user_id);
    let identity = Identity::new(info.user_id, info.display_name);
    let identity = identity.with_quota(quota_left(shared).await);
    let username = info.basic_id.trim_start_matches('@');
    Ok(if username.is_empty() {
        identity
    } else {
        identity.with_username(username)
    })
}

async fn ask_quota(shared: &Shared) -> Result<Quota, Failure> {
    #[derive(Deserialize)]
    struct Limit {
        r#type: String,
        value: Option<u64>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Used {
        total_usage: u64,
    }
    let client = &shared.client;
    let limit: Limit = client.get("/v2/bot/message/quota").await?;
    let used: Used = client.get("/v2/bot/message/quota/consumption").await?;
    let limit = limit.value.filter(|_| limit.r#type == "limited");
    Ok(Quota::new(limit, used.total_usage))
}

/// What a probe says of the quota. The account is there and its token works even where LINE does
/// not say: that is no reason to fail.
async fn quota_left(shared: &Shared) -> Option<Quota> {
    let channel = &shared.info.id;
    let quota = match ask_quota(shared).await {
        Ok(quota) => quota,
        Err(failure) => {
            let error = failure.into_error("get quota", true);
            tracing::debug!(%channel, %error, "line does not say what may still be pushed");
            return None;
        }
    };
    if quota.left() == Some(0) {
        tracing::warn!(
            %channel,
            used = quota.used,
            "the account has reached its monthly limit: it can reply, and push nothing"
        );
    }
    Some(quota)
}

/// Shows the loading animation, which only a person's own chat has
/// (<https://developers.line.biz/en/reference/messaging-api/#display-a-loading-indicator>).
pub(crate) async fn start_loading(shared: &Shared, to: &Destination) -> Result<()> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields<'a> {
        chat_id: &'a str,
        loading_seconds: u64,
    }
    let operation = "show loading animation";
    let room = Room::of(&to.target().chat, operation)?;
    if !room.is_direct() {
        let words = "line shows the loading animation in direct chats only";
        return Err(Error::new(ErrorKind::Unsupported, words).on(PLATFORM, operation));
    }
    let fields = Fields {
        chat_id: room.chat.as_str(),
        loading_seconds: limits::LOADING.as_secs(),
    };
    let path = "/v2/bot/chat/loading/start";
    let told = shared.client.tell(Method::POST, path, &fields).await;
    told.map_err(|failure| failure.into_error(operation, true))
}

impl Line {
    /// Asks how many messages the account may push this month, and how many it has
    /// (<https://developers.line.biz/en/reference/messaging-api/#get-quota>). Replies do not
    /// count, a message to a group once for each member; the figure is approximate.
    /// [`probe`](channel_core::Channel::probe) asks too.
    ///
    /// # Errors
    ///
    /// As for any call.
    pub async fn quota(&self) -> Result<Quota> {
        let quota = ask_quota(&self.shared).await;
        quota.map_err(|failure| failure.into_error("get quota", true))
    }

    /// Asks what a person shows of themselves; in a group also of people who have not added
    /// the account (<https://developers.line.biz/en/reference/messaging-api/#get-profile>).
    ///
    /// # Errors
    ///
    /// `NotFound` if the person has not added the account, or has left the group.
    pub async fn profile(&self, chat: &Destination, user: &str) -> Result<Profile> {
        let operation = "get profile";
        let room = Room::of(&chat.target().chat, operation)?;
        if !files::is_token(user) {
            return Err(invalid("that is no user id of line", operation));
        }
        let path = match room.chat.as_str() {
            group if group.starts_with('C') => format!("/v2/bot/group/{group}/member/{user}"),
            other if other.starts_with('R') => format!("/v2/bot/room/{other}/member/{user}"),
            _ => format!("/v2/bot/profile/{user}"),
        };
        let profile = self.shared.client.get(&path).await;
        profile.map_err(|failure| failure.into_error(operation, true))
    }

    /// Marks messages as read, up to the one whose token this is; see
    /// [`LineMessage::mark_as_read_token`](crate::LineMessage::mark_as_read_token).
    ///
    /// # Errors
    ///
    /// As for any call.
    pub async fn mark_as_read(&self, token: &str) -> Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            mark_as_read_token: &'a str,
        }
        let fields = Fields {
            mark_as_read_token: token,
        };
        let path = "/v2/bot/chat/markAsRead";
        let told = self.shared.client.tell(Method::POST, path, &fields).await;
        told.map_err(|failure| failure.into_error("mark as read", true))
    }

    /// Tells LINE to deliver to this address
    /// (<https://developers.line.biz/en/reference/messaging-api/#set-webhook-endpoint-url>).
    /// "Use webhook" has to be switched on in the console all the same.
    ///
    /// # Errors
    ///
    /// `Invalid` if LINE does not take the address: it wants `https`.
    pub async fn set_webhook(&self, url: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Fields<'a> {
            endpoint: &'a str,
        }
        let operation = "set webhook";
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(invalid("the address has to start with https://", operation));
        }
        let path = "/v2/bot/channel/webhook/endpoint";
        let fields = Fields { endpoint: url };
        let told = self.shared.client.tell(Method::PUT, path, &fields).await;
        told.map_err(|failure| failure.into_error(operation, true))
    }
}
