//! What the calls of the API do.

mod app;
mod appchat;
mod cards;
pub(crate) mod media;
mod response;
mod webhook;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::answer::{Answer, ApiError, Reply};
use super::config::WecomConfig;
use super::limits::CORP_RATE;
use super::model::Product;
use super::state::State;

/// A file that a call brought.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) bytes: Bytes,
}

/// What a call works on.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) config: &'a WecomConfig,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) body: &'a Value,
    pub(crate) file: Option<&'a File>,
}

impl Context<'_> {
    fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    fn field(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// The app that the access token is of. <https://developer.work.weixin.qq.com/document/path/91039>
    fn app(&self) -> Result<String, ApiError> {
        let token = self.param("access_token");
        if token.is_empty() {
            return Err(ApiError::new(41001, "access_token missing"));
        }
        for bot in self.state.bots.values() {
            match &bot.token {
                Some((own, until)) if own.0 == token => {
                    return if self.state.now_ms < *until {
                        Ok(bot.id.clone())
                    } else {
                        Err(ApiError::new(42001, "access_token expired"))
                    };
                }
                _ => {}
            }
            if let Some((_, code)) = bot.old_tokens.iter().find(|(old, _)| old.0 == token) {
                return Err(ApiError::new(*code, "access_token expired or invalid"));
            }
        }
        Err(ApiError::new(40014, "invalid access_token"))
    }

    /// The app, within the calls that its corporation may make.
    fn caller(&mut self, what: &'static str) -> Result<String, ApiError> {
        let app = self.app()?;
        let corp = self
            .state
            .bot(&app)
            .map(|bot| bot.corp.clone())
            .unwrap_or_default();
        if self.config.rates && !self.state.count(&corp, what, (CORP_RATE, u32::MAX)) {
            return Err(ApiError::rate());
        }
        Ok(app)
    }
}

/// Whose call it is, for the ledger.
pub(crate) fn owner(
    state: &State,
    method: &str,
    query: &BTreeMap<String, String>,
) -> Option<String> {
    let param = |name: &str| query.get(name).map(String::as_str);
    match method {
        "webhook/send" | "webhook/upload_media" => webhook::find(state, param("key")?),
        "gettoken" => state
            .bots
            .values()
            .find(|bot| {
                bot.product == Product::App && Some(bot.secret.0.as_str()) == param("corpsecret")
            })
            .map(|bot| bot.id.clone()),
        "aibot/response" => state
            .response_codes
            .get(param("response_code")?)
            .map(|code| code.bot.clone()),
        _ => {
            let token = param("access_token")?;
            let mut bots = state.bots.values();
            bots.find(|bot| {
                let mut all = bot.token.iter().chain(&bot.old_tokens);
                all.any(|(own, _)| own.0 == token)
            })
            .map(|bot| bot.id.clone())
        }
    }
}

/// Runs a call.
pub(crate) fn run(verb: &Method, method: &str, context: &mut Context<'_>) -> Answer {
    let call: fn(&mut Context<'_>) -> Answer = match (verb, method) {
        (&Method::POST, "webhook/send") => webhook::send,
        (&Method::POST, "webhook/upload_media") => webhook::upload,
        (&Method::GET, "webhook/get_chat_info") => webhook::chat_info,
        (&Method::GET, "gettoken") => app::token,
        (&Method::GET, "agent/get") => app::agent,
        (&Method::GET, "user/get") => app::user,
        (&Method::POST, "message/send") => app::send,
        (&Method::POST, "message/recall") => app::recall,
        (&Method::POST, "message/update_template_card") => cards::update,
        (&Method::POST, "media/upload") => media::upload,
        (&Method::GET, "media/get") => media::get,
        (&Method::POST, "appchat/create") => appchat::create,
        (&Method::GET, "appchat/get") => appchat::get,
        (&Method::POST, "appchat/send") => appchat::send,
        (&Method::POST, "aibot/response") => response::respond,
        _ => |_| Err(ApiError::new(40066, "invalid url")),
    };
    call(context)
}

/// A success that says nothing more.
const fn done() -> Answer {
    Ok(Reply::ok())
}
