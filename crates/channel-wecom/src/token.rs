//! The access token of an app (<https://developer.work.weixin.qq.com/document/path/91039>).

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Result, Secret, TokenCache};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::api::{Api, Call};
use crate::limits::TOKEN_EARLY;

const GET_TOKEN: Call = Call::repeatable("get token");

/// A token that is fetched once for all who need it, ahead of its end.
pub(crate) struct Token {
    address: Secret,
    cache: TokenCache,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    expires_in: u64,
}

impl Token {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        base: &str,
        corp_id: &str,
        corp_secret: &Secret,
    ) -> Self {
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        Self {
            address: Secret::new(format!(
                "{base}/cgi-bin/gettoken?corpid={}&corpsecret={}",
                escape(corp_id),
                escape(corp_secret.expose())
            )),
            cache: TokenCache::new(clock, TOKEN_EARLY),
        }
    }

    /// The token, fetched if there is none or its end is near.
    pub(crate) async fn get(&self, api: &Api) -> Result<Secret> {
        let fetch = async {
            let granted: Granted = api.get(GET_TOKEN, &self.address).await?;
            let lasts = Duration::from_secs(granted.expires_in);
            Ok((granted.access_token, lasts))
        };
        self.cache.get(fetch).await
    }

    /// Forgets a token that was refused, unless it has been replaced meanwhile.
    pub(crate) async fn drop_token(&self, token: &Secret) {
        self.cache.refused(token).await;
    }
}
