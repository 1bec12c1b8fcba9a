//! Paths and what they lead to.

use http::Method;

/// The endpoint of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    /// The short name, as in the ledger and in faults.
    pub(crate) name: &'static str,
    /// How the caller proves who it is.
    pub(crate) credential: Credential,
    /// The permission that an app needs.
    pub(crate) permission: Option<&'static str>,
}

/// How a caller proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The header `x-acs-dingtalk-access-token`.
    Header,
    /// The query parameter `access_token`, on an endpoint that answers with `errcode`.
    Query,
    /// Something in the body or the address, which the endpoint itself looks at.
    Own,
}

impl Route {
    /// Whether it answers with `errcode` and HTTP 200.
    pub(crate) fn is_legacy(self) -> bool {
        matches!(
            self.name,
            "gettoken" | "custom_send" | "session_send" | "upload"
        )
    }

    /// Whether it belongs to the card API with its limit of calls.
    pub(crate) fn is_card(self) -> bool {
        self.permission.is_some_and(|name| name.starts_with("Card"))
    }
}

const SEND: Option<&str> = Some("qyapi_robot_sendmsg");
const CARD: Option<&str> = Some("Card.Instance.Write");
const STREAM: Option<&str> = Some("Card.Streaming.Write");

/// The endpoint of a path.
pub(crate) fn route(method: &Method, path: &str) -> Option<Route> {
    use Credential::{Header, Own, Query};
    let (name, credential, permission) = match (method.as_str(), path) {
        ("POST", "/v1.0/gateway/connections/open") => ("open", Own, None),
        ("POST", "/v1.0/oauth2/accessToken") => ("token", Own, None),
        ("GET", "/gettoken") => ("gettoken", Own, None),
        ("POST", "/robot/send") => ("custom_send", Own, None),
        ("POST", "/robot/sendBySession") => ("session_send", Own, None),
        ("POST", "/media/upload") => ("upload", Query, None),
        ("POST", "/v1.0/robot/oToMessages/batchSend") => ("batch_send", Header, SEND),
        ("POST", "/v1.0/robot/groupMessages/send") => ("group_send", Header, SEND),
        ("POST", "/v1.0/robot/otoMessages/batchRecall") => ("batch_recall", Header, SEND),
        ("POST", "/v1.0/robot/groupMessages/recall") => ("group_recall", Header, SEND),
        ("POST", "/v1.0/robot/emotion/reply") => ("emotion_reply", Header, None),
        ("POST", "/v1.0/robot/emotion/recall") => ("emotion_recall", Header, None),
        ("POST", "/v1.0/robot/messageFiles/download") => ("download", Header, None),
        ("POST", "/v1.0/card/instances") => ("create_card", Header, CARD),
        ("PUT", "/v1.0/card/instances") => ("update_card", Header, CARD),
        ("POST", "/v1.0/card/instances/deliver") => ("deliver_card", Header, CARD),
        ("POST", "/v1.0/card/instances/createAndDeliver") => ("create_and_deliver", Header, CARD),
        ("PUT", "/v1.0/card/streaming") => ("stream_card", Header, STREAM),
        ("POST", "/v1.0/im/v1.0/robot/interactiveCards/send") => ("send_old_card", Header, SEND),
        ("PUT", "/v1.0/im/robots/interactiveCards") => ("update_old_card", Header, SEND),
        ("GET", path) if path.starts_with("/dingtalk/files/") => ("file", Own, None),
        _ => return None,
    };
    Some(Route {
        name,
        credential,
        permission,
    })
}
