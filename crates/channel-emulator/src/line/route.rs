//! Paths and what they lead to. <https://developers.line.biz/en/reference/messaging-api/>

use http::Method;

/// Which of the two hosts of the platform a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// `api.line.me`.
    Api,
    /// `api-data.line.me`.
    Data,
}

/// The endpoint of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// The short name, as in the ledger and in faults.
    pub(crate) name: &'static str,
    /// The ids in the path.
    pub(crate) ids: (&'a str, &'a str),
    /// Requests per second.
    /// <https://developers.line.biz/en/reference/messaging-api/#rate-limits>
    pub(crate) rate: u32,
}

const MANY: u32 = 2000;

/// Why there is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No such path on this host.
    Path,
    /// The path takes another method.
    Method,
}

/// The endpoint of a path below `/v2/bot/`.
pub(crate) fn route<'a>(host: Host, method: &Method, path: &'a str) -> Result<Route<'a>, Lost> {
    let rest = path.strip_prefix("/v2/bot/").ok_or(Lost::Path)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let found = match host {
        Host::Api => api(&parts),
        Host::Data => data(&parts),
    };
    let endpoints = found.ok_or(Lost::Path)?;
    let (_, name, rate, ids) = endpoints
        .into_iter()
        .flatten()
        .find(|(wanted, ..)| wanted == method)
        .ok_or(Lost::Method)?;
    Ok(Route { name, ids, rate })
}

/// A method with the name, the rate and the ids of its endpoint.
type Endpoint<'a> = (Method, &'static str, u32, (&'a str, &'a str));

fn one(endpoint: Endpoint<'_>) -> Option<[Option<Endpoint<'_>>; 2]> {
    Some([Some(endpoint), None])
}

fn get<'a>(name: &'static str, ids: (&'a str, &'a str)) -> Option<[Option<Endpoint<'a>>; 2]> {
    one((Method::GET, name, MANY, ids))
}

fn post(name: &'static str, rate: u32) -> Option<[Option<Endpoint<'static>>; 2]> {
    one((Method::POST, name, rate, ("", "")))
}

fn api<'a>(parts: &[&'a str]) -> Option<[Option<Endpoint<'a>>; 2]> {
    match parts {
        ["message", "reply"] => post("reply", MANY),
        ["message", "push"] => post("push", MANY),
        ["message", "multicast"] => post("multicast", 200),
        // 60 an hour; in a second they all may come.
        ["message", "broadcast"] => post("broadcast", 60),
        ["message", "narrowcast"] => post("narrowcast", 60),
        ["message", "validate", kind] => {
            let kind = ["reply", "push", "multicast", "narrowcast", "broadcast"]
                .contains(kind)
                .then_some(*kind)?;
            one((Method::POST, "validate", MANY, (kind, "")))
        }
        ["message", "quota"] => get("quota", ("", "")),
        ["message", "quota", "consumption"] => get("consumption", ("", "")),
        ["chat", "loading", "start"] => post("loading", 100),
        ["chat", "markAsRead"] | ["message", "markAsRead"] => post("mark_as_read", MANY),
        ["info"] => get("info", ("", "")),
        ["profile", user] => get("profile", (user, "")),
        ["followers", "ids"] => get("followers", ("", "")),
        ["group", group, "summary"] => get("group_summary", (group, "")),
        ["group" | "room", chat, "member", user] => get("member", (chat, user)),
        ["group" | "room", chat, "members", "count"] => get("member_count", (chat, "")),
        ["group" | "room", chat, "members", "ids"] => get("member_ids", (chat, "")),
        ["group" | "room", chat, "leave"] => one((Method::POST, "leave", MANY, (chat, ""))),
        ["channel", "webhook", "endpoint"] => Some([
            Some((Method::GET, "webhook", 1000, ("", ""))),
            Some((Method::PUT, "set_webhook", 1000, ("", ""))),
        ]),
        ["channel", "webhook", "test"] => post("test_webhook", 60),
        _ => None,
    }
}

fn data<'a>(parts: &[&'a str]) -> Option<[Option<Endpoint<'a>>; 2]> {
    match parts {
        ["message", id, "content"] => get("content", (id, "")),
        ["message", id, "content", "preview"] => get("preview", (id, "")),
        ["message", id, "content", "transcoding"] => get("transcoding", (id, "")),
        _ => None,
    }
}
