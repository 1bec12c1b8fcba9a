//! A platform with a bot of each kind and one person, and a bare HTTP client for it.

use std::time::Duration;

use channel_emulator::Clock;
use channel_emulator::wecom::{NewBot, Wecom, WecomConfig, WecomServer};
use http::Method;
use serde_json::Value;

pub(crate) use crate::api::PATIENCE;
use crate::api::exchange;

pub(crate) const KEY: &str = "group-key";
pub(crate) const CORP: &str = "wwcorp00000000001";
pub(crate) const SECRET: &str = "app-secret";
pub(crate) const APP: &str = "wwcorp00000000001-1000002";
pub(crate) const LINK: &str = "aib-link";
pub(crate) const ADA: &str = "AdaL";

pub(crate) struct World {
    pub(crate) server: WecomServer,
    pub(crate) group_bot: String,
}

impl std::ops::Deref for World {
    type Target = Wecom;

    fn deref(&self) -> &Wecom {
        &self.server
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(WecomConfig::default()).await
    }

    pub(crate) async fn with(config: WecomConfig) -> Self {
        let config = config.clock(Clock::fixed(Duration::from_secs(1_790_000_000)));
        let server = Wecom::start(config).await.unwrap();
        server.user(ADA, "Ada");
        let group_bot = server.add_bot(&NewBot::group(KEY)).unwrap();
        server
            .add_bot(&NewBot::app(CORP, SECRET, 1_000_002))
            .unwrap();
        server.add_bot(&NewBot::link(LINK, "link-secret")).unwrap();
        Self { server, group_bot }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let address = self.server.api_base();
        let address = address.strip_prefix("http://").unwrap().parse().unwrap();
        let body = body.to_owned().into();
        let (status, body) = exchange(address, method, path, "application/json", body)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, "").await.1
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, &body.to_string()).await.1
    }

    /// The access token of the app.
    pub(crate) async fn token(&self) -> String {
        let path = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={SECRET}");
        let answer = self.get(&path).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }
}
