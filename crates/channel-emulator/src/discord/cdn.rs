//! Downloads of attachments, without a token. <https://docs.discord.com/developers/reference#signed-attachment-cdn-urls>

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::engine::Discord;
use super::model::Id;
use super::shape::link_mark;

/// `/attachments/{channel}/{attachment}/{name}?ex=&is=&hm=`
pub(crate) async fn attachment(
    Shared(discord): Shared<Discord>,
    Path((channel, id, _)): Path<(Id, Id, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let expires = query
        .get("ex")
        .and_then(|ex| i64::from_str_radix(ex, 16).ok());
    let file = expires.and_then(|expires| {
        let marked = query
            .get("hm")
            .is_some_and(|hm| *hm == link_mark(channel, id, expires));
        discord.quietly(|state| {
            let valid = marked && expires > state.now_ms / 1000;
            state
                .channels
                .get(&channel)
                .filter(|_| valid)?
                .messages
                .values()
                .flat_map(|message| message.attachments.iter())
                .find(|file| file.id == id && !file.bytes.is_empty())
                .map(|file| (file.bytes.clone(), file.content_type.clone()))
        })
    });
    let Some((bytes, kind)) = file else {
        let mut response = Response::new(Body::from("This content is no longer available."));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let kind = kind.and_then(|kind| HeaderValue::from_str(&kind).ok());
    let kind = kind.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
