//! Interactions that are posted to an application's own endpoint, signed.
//!
//! <https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint>

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use axum::body::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use super::body::Payload;
use super::engine::{Discord, Inner};
use super::model::{ActionError, App, Delivery, Id, log};
use super::routes::{Context, Params, apply_callback};
use super::shape::timestamp;
use super::state::Parcel;
use crate::client;

/// The longest answer that is read.
const MAX_ANSWER: usize = 1024 * 1024;
/// Time in which an endpoint answers. <https://docs.discord.com/developers/interactions/receiving-and-responding>
const PATIENCE: Duration = Duration::from_secs(3);
/// Webhook events come again for so long.
const RETRIED: Duration = Duration::from_secs(10 * 60);

impl App {
    fn key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.seed.0)
    }

    /// The public key that the portal shows, in hexadecimal digits.
    pub(crate) fn verify_key(&self) -> String {
        hex(self.key().verifying_key().as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature of a body: over the timestamp's digits and the body.
pub(crate) fn sign(seed: &[u8; 32], timestamp: &str, body: &str) -> String {
    let message = [timestamp.as_bytes(), body.as_bytes()].concat();
    hex(&SigningKey::from_bytes(seed).sign(&message).to_bytes())
}

/// Posts what waits, each on its own, as long as the platform lives.
pub(crate) async fn serve(platform: Weak<Inner>, mut changes: watch::Receiver<u64>) {
    loop {
        {
            let Some(discord) = Discord::upgrade(&platform) else {
                return;
            };
            changes.mark_unchanged();
            let parcels = discord.quietly(|state| std::mem::take(&mut state.parcels));
            for parcel in parcels {
                let discord = discord.clone();
                tokio::spawn(async move { deliver(&discord, parcel).await });
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Posts one body; gives status and answer.
async fn post(
    discord: &Discord,
    app: Id,
    url: &Url,
    body: String,
    wrong: bool,
) -> Result<(u16, Bytes), String> {
    let (seed, timestamp) = discord.quietly(|state| {
        let seed = state
            .apps
            .get(&app)
            .map(|app| app.seed.0)
            .unwrap_or_default();
        (seed, (state.now_ms / 1000).to_string())
    });
    // A wrong signature is one of another body: well-formed, and of the right key.
    let signature = if wrong {
        sign(&seed, &timestamp, "wrong on purpose")
    } else {
        sign(&seed, &timestamp, &body)
    };
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "Wrong header".to_owned());
    let headers = vec![
        ("content-type", HeaderValue::from_static("application/json")),
        (
            "user-agent",
            HeaderValue::from_static("Discord-Interactions/1.0 (+https://discord.com)"),
        ),
        ("x-signature-ed25519", value(&signature)?),
        ("x-signature-timestamp", value(&timestamp)?),
    ];
    client::request(
        Method::POST,
        url,
        headers,
        body.into(),
        MAX_ANSWER,
        PATIENCE,
    )
    .await
}

async fn deliver(discord: &Discord, parcel: Parcel) {
    let mut wait = discord.quietly(|state| state.config.event_retry);
    let mut waited = Duration::ZERO;
    while !attempt(discord, &parcel).await && waited + wait <= RETRIED {
        tokio::time::sleep(wait).await;
        waited += wait;
        wait *= 2;
    }
}

/// Posts once; `false` when it has to come again, which only webhook events do.
async fn attempt(discord: &Discord, parcel: &Parcel) -> bool {
    let wrong = discord.with(|state| crate::common::faults::take(&mut state.wrong_signatures));
    let at_ms = discord.quietly(|state| state.now_ms);
    let answer = post(discord, parcel.app, &parcel.url, parcel.body.clone(), wrong).await;
    let (status, error) = match (&answer, parcel.interaction) {
        (Ok((200, body)), Some(id)) => {
            let applied = (!wrong).then(|| answered(discord, id, body));
            (Some(200), applied.and_then(Result::err))
        }
        // The application calls the callback endpoint itself.
        (Ok((202, _)), Some(_)) => (Some(202), None),
        (Ok((204, _)), None) => (Some(204), None),
        (Ok((status, _)), _) => (Some(*status), (!wrong).then(|| format!("status {status}"))),
        (Err(error), _) => (None, Some(error.clone())),
    };
    let done = error.is_none() || parcel.interaction.is_some();
    let delivery = Delivery {
        at_ms,
        bot: parcel.app,
        interaction: parcel.interaction,
        wrong_signature: wrong,
        status,
        error,
    };
    discord.with(|state| log(&mut state.deliveries, delivery));
    done
}

/// Acts on an inline answer.
fn answered(discord: &Discord, id: Id, body: &[u8]) -> Result<(), String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "not JSON".to_owned())?;
    let fields = value.as_object().cloned().ok_or("not an object")?;
    let (params, query, payload) = (Params::default(), BTreeMap::new(), Payload::default());
    discord.with(|state| {
        let app = state.interactions.get(&id).map_or(0, |asked| asked.app);
        let mut context = Context {
            state,
            app,
            params: &params,
            query: &query,
            payload: &payload,
        };
        apply_callback(&mut context, id, &fields)
            .map(drop)
            .map_err(|error| error.message)
    })
}

impl Discord {
    /// Tries an address as the portal does before it saves it: a PING that has to be answered, and one with a wrong
    /// signature that has to be refused with 401. Webhook events have another PING and another answer than interactions.
    pub(crate) async fn try_endpoint(
        &self,
        app: Id,
        url: &Url,
        events: bool,
    ) -> Result<(), String> {
        let ping = self.with(|state| {
            if events {
                return json!({"version": 1, "application_id": app.to_string(), "type": 0});
            }
            let token = state.hex();
            json!({
                "id": state.id().to_string(), "application_id": app.to_string(), "type": 1, "token": token,
                "version": 1, "entitlements": [], "user": state.user_json(app),
            })
        });
        let (status, body) = post(self, app, url, ping.to_string(), false).await?;
        let good = if events {
            status == 204
        } else {
            let pong = serde_json::from_slice::<Value>(&body).unwrap_or_default();
            status == 200 && pong.get("type") == Some(&json!(1))
        };
        if !good {
            return Err(format!("the ping was answered with status {status}"));
        }
        match post(self, app, url, ping.to_string(), true).await?.0 {
            401 => Ok(()),
            status => Err(format!(
                "a wrong signature was answered with status {status}"
            )),
        }
    }

    /// Posts a webhook event, such as `APPLICATION_DEAUTHORIZED`; one that is not answered with 204 in three seconds comes
    /// again. <https://docs.discord.com/developers/events/webhook-events>
    ///
    /// # Errors
    /// When the bot is unknown or has no address for events.
    pub fn webhook_event(&self, bot: u64, kind: &str, data: &Value) -> Result<(), ActionError> {
        self.with(|state| {
            let app = state.apps.get(&bot).ok_or(ActionError::UnknownBot)?;
            let url = app.events.clone();
            let url = url.ok_or(ActionError::Invalid("the bot has no address for events"))?;
            let event = json!({"type": kind, "timestamp": timestamp(state.now_ms), "data": data});
            let body =
                json!({"version": 1, "application_id": bot.to_string(), "type": 1, "event": event});
            state.send_parcel(Parcel {
                app: bot,
                url,
                interaction: None,
                body: body.to_string(),
            });
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors made with PyNaCl 1.6.2, of which discord-interactions 4.4.0 accepts the first.
    #[test]
    fn signs_as_the_platform_does() {
        let mut seed = [0; 32];
        for (byte, value) in seed.iter_mut().zip(0..) {
            *byte = value;
        }
        let key = SigningKey::from_bytes(&seed).verifying_key();
        assert_eq!(
            hex(key.as_bytes()),
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
        );
        assert_eq!(
            sign(&seed, "1700000000", "{\"type\":1}"),
            "c1098e97d711377f30225d53d94b89d43537f92e5b3afaddc590781b1f9f9d4b\
             2eeab335d370be3b9a090bc61a85b86448bc140dcd195f1569c2bff181257607"
        );
        assert_eq!(
            sign(&seed, "1700000000", ""),
            "5858a421f63ea937e93a24cb9579bd86ef65a2c4291b3936d7763de4e1b266cf\
             2c78ac4f3ccc3ea40712d9d23c7b29e24307b7e399be8596bb784122b9fa600b"
        );
    }
}
