//! The access token of an app (<https://developer.work.weixin.qq.com/document/path/91039>).

use std::time::Duration;

use channel_core::{Result, Secret};
use futures_util::lock::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::api::{Api, Call};
use crate::error::{Fault, of_code};
use crate::limits::TOKEN_EARLY;

const GET_TOKEN: Call = Call::repeatable("get token");
/// How long a refusal of the credentials is believed, so that a crowd of waiting sends does
/// not ask one after the other.
const REFUSAL_LASTS: Duration = Duration::from_secs(5);

/// A token that is fetched once for all who need it, ahead of its end.
pub(crate) struct Token {
    address: Secret,
    state: Mutex<State>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    current: Option<(Secret, Duration)>,
    refused: Option<(i64, Duration)>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    expires_in: u64,
}

impl Token {
    pub(crate) fn new(base: &str, corp_id: &str, corp_secret: &Secret) -> Self {
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        Self {
            address: Secret::new(format!(
                "{base}/cgi-bin/gettoken?corpid={}&corpsecret={}",
                escape(corp_id),
                escape(corp_secret.expose())
            )),
            state: Mutex::default(),
        }
    }

    /// The token, fetched if there is none or its end is near. Whoever comes while it is
    /// being fetched waits for the same one.
    pub(crate) async fn get(&self, api: &Api) -> Result<Secret, Fault> {
        let mut state = self.state.lock().await;
        let now = api.transport.clock.elapsed();
        if let Some((token, until)) = &state.current
            && now < *until
        {
            return Ok(token.clone());
        }
        if let Some((code, until)) = state.refused
            && now < until
        {
            return Err(of_code(code, GET_TOKEN.operation));
        }
        let granted: Result<Granted, Fault> = api.get(GET_TOKEN, &self.address).await;
        let now = api.transport.clock.elapsed();
        match granted {
            Ok(granted) => {
                let lasts = Duration::from_secs(granted.expires_in);
                let early = TOKEN_EARLY.min(lasts / 2);
                state.refused = None;
                state.current = Some((granted.access_token.clone(), now + (lasts - early)));
                Ok(granted.access_token)
            }
            Err(fault) => {
                // A status of HTTP says nothing about the credentials.
                let code = fault.error.code().and_then(|code| code.parse().ok());
                let code = code.filter(|code| *code >= 1000);
                if let (Some(code), channel_core::ErrorKind::Unauthenticated) =
                    (code, fault.error.kind())
                {
                    state.refused = Some((code, now + REFUSAL_LASTS));
                }
                Err(fault)
            }
        }
    }

    /// Forgets a token that was refused, unless it has been replaced meanwhile.
    pub(crate) async fn drop_token(&self, token: &Secret) {
        let mut state = self.state.lock().await;
        if let Some((current, _)) = &state.current
            && current.expose() == token.expose()
        {
            state.current = None;
        }
    }
}
