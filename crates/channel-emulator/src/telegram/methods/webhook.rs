//! `setWebhook` and its companions. <https://core.telegram.org/bots/api#setwebhook>

use serde_json::{Map, Value, json};
use url::{Host, Url};

use super::super::answer::{Answer, ApiError};
use super::super::model::{Wanted, put};
use super::super::webhook::Webhook;
use super::Context;

impl Context<'_> {
    pub(super) fn set_webhook(&mut self) -> Answer {
        let wanted = Wanted::read(self.params.list("allowed_updates"));
        let drop_pending = self.params.flag("drop_pending_updates");
        let url = self
            .params
            .text("url")
            .unwrap_or_default()
            .trim()
            .to_owned();
        let secret = self.params.text("secret_token").map(String::from);
        let parsed = if url.is_empty() {
            None
        } else {
            Some(check_url(&url)?)
        };
        if let Some(secret) = &secret {
            if secret.len() > 256 {
                return Err(ApiError::bad("secret token is too long"));
            }
            let accepted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if !secret.bytes().all(accepted) {
                return Err(ApiError::bad("secret token contains unallowed characters"));
            }
        }
        let max_connections = match self.params.int("max_connections") {
            Some(count @ 1..=100) => count,
            Some(101..) => 100,
            _ => 40,
        };
        let has_certificate = self.params.file("certificate").is_some();
        // Deliveries that are under way for an older webhook see that they are no longer wanted.
        let generation = self.state.random();
        let bot = self.state.bot_mut(self.bot)?;
        if let Some(wanted) = wanted {
            bot.wanted = wanted;
        }
        if drop_pending {
            bot.queue.clear();
        }
        bot.queue.recall();
        bot.webhook = parsed.map(|target| Webhook {
            url,
            target,
            secret,
            max_connections: usize::try_from(max_connections).unwrap_or(40),
            has_certificate,
            generation,
            is_served: false,
            last_error: None,
        });
        Ok(true.into())
    }

    pub(super) fn delete_webhook(&mut self) -> Answer {
        let drop_pending = self.params.flag("drop_pending_updates");
        let bot = self.state.bot_mut(self.bot)?;
        bot.webhook = None;
        bot.queue.recall();
        if drop_pending {
            bot.queue.clear();
        }
        Ok(true.into())
    }

    pub(super) fn get_webhook_info(&mut self) -> Answer {
        let now = self.state.now_ms;
        let bot = self.state.bot_mut(self.bot)?;
        bot.queue.expire(now);
        let webhook = bot.webhook.as_ref();
        let mut info = Map::from_iter([
            (
                "url".to_owned(),
                Value::from(webhook.map_or("", |webhook| webhook.url.as_str())),
            ),
            (
                "has_custom_certificate".to_owned(),
                webhook
                    .is_some_and(|webhook| webhook.has_certificate)
                    .into(),
            ),
            ("pending_update_count".to_owned(), bot.queue.len().into()),
        ]);
        put(
            &mut info,
            "max_connections",
            webhook.map(|webhook| webhook.max_connections),
        );
        if let Some((at, message)) = webhook.and_then(|webhook| webhook.last_error.as_ref()) {
            info.insert("last_error_date".into(), (*at).into());
            info.insert("last_error_message".into(), message.as_str().into());
        }
        if let Wanted::Only(kinds) = &bot.wanted {
            info.insert("allowed_updates".into(), json!(kinds));
        }
        Ok(info.into())
    }
}

/// HTTPS on one of four ports; on the own machine also plain HTTP on any port, as an own Bot API server allows.
fn check_url(url: &str) -> Result<Url, ApiError> {
    let bad = |reason: &str| ApiError::bad(format!("bad webhook: {reason}"));
    let parsed = Url::parse(url).map_err(|_| bad("invalid URL specified"))?;
    if is_loopback(&parsed) && matches!(parsed.scheme(), "http" | "https") {
        return Ok(parsed);
    }
    if parsed.scheme() != "https" {
        return Err(bad("An HTTPS URL must be provided for webhook"));
    }
    match parsed.port_or_known_default() {
        Some(443 | 80 | 88 | 8443) => Ok(parsed),
        _ => Err(bad(
            "Webhook can be set up only on ports 80, 88, 443 or 8443",
        )),
    }
}

/// Whether the address names this machine: the emulator connects nowhere else.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
