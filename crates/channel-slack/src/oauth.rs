//! Installing an app by OAuth v2, as pure functions
//! (<https://docs.slack.dev/authentication/installing-with-oauth/>).
//!
//! The way: send the browser to [`OauthApp::authorize_url`] with a state of your own that is
//! bound to it, take `code` and `state` back, compare the state, and hand the code to
//! [`exchange`].

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{Error, ErrorKind, Result, Secret, Transport};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::PLATFORM;
use crate::client::{Client, Credentials, Method, Payload};
use crate::token::Grant;

/// What a form holds as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An app as Slack's console shows it.
#[derive(Debug, Clone)]
pub struct OauthApp {
    client_id: String,
    client_secret: Secret,
}

impl OauthApp {
    /// The id and the secret of the app.
    #[must_use]
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<Secret>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
        }
    }

    /// Where to send the browser of whoever installs the app. `state` is random, used once
    /// and bound to the browser; `redirect_uri` is one that the console knows.
    ///
    /// ```
    /// use channel_slack::OauthApp;
    ///
    /// let app = OauthApp::new("1.2", "secret");
    /// let url = app.authorize_url(&["chat:write", "im:history"], "https://kit.example/back", "s t");
    /// assert_eq!(url, "https://slack.com/oauth/v2/authorize?client_id=1.2\
    ///     &scope=chat%3Awrite%2Cim%3Ahistory&redirect_uri=https%3A%2F%2Fkit.example%2Fback&state=s%20t");
    /// ```
    #[must_use]
    pub fn authorize_url(&self, scopes: &[&str], redirect_uri: &str, state: &str) -> String {
        let fields = form(&[
            ("client_id", &self.client_id),
            ("scope", &scopes.join(",")),
            ("redirect_uri", redirect_uri),
            ("state", state),
        ]);
        format!("https://slack.com/oauth/v2/authorize?{fields}")
    }

    pub(crate) fn basic(&self) -> Secret {
        let pair = format!("{}:{}", self.client_id, self.client_secret.expose());
        Secret::new(STANDARD.encode(pair))
    }
}

/// Fields as `application/x-www-form-urlencoded`.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.extend(utf8_percent_encode(value, PLAIN));
    }
    out
}

/// What Slack says after an installation
/// (<https://docs.slack.dev/reference/methods/oauth.v2.access/>).
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Installed {
    /// The app.
    #[serde(default)]
    pub app_id: String,
    /// The bot token; absent where only a person has granted something.
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    expires_in: Option<u64>,
    /// The granted scopes, parted by commas.
    #[serde(default)]
    pub scope: String,
    /// The bot's user id.
    pub bot_user_id: Option<String>,
    /// The workspace; absent where a whole organisation has installed the app.
    pub team: Option<Named>,
    /// The organisation, if there is one.
    pub enterprise: Option<Named>,
    /// Whether the organisation has installed the app as a whole.
    #[serde(default)]
    pub is_enterprise_install: bool,
}

/// A workspace or organisation.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Named {
    /// Its id, such as `T0123` or `E0123`.
    pub id: String,
    /// Its name, where it is told.
    pub name: Option<String>,
}

impl Installed {
    /// Reads the body of an answer; for those who make the request on their own.
    ///
    /// # Errors
    ///
    /// `Protocol` if it is not one, or a refusal.
    pub fn from_json(body: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Answer {
            ok: bool,
        }
        let unreadable = || {
            Error::new(ErrorKind::Protocol, "the answer is not an installation")
                .on(PLATFORM, Method::OauthAccess.operation())
        };
        let is_ok = serde_json::from_slice::<Answer>(body).is_ok_and(|answer| answer.ok);
        if !is_ok {
            return Err(unreadable());
        }
        serde_json::from_slice(body).map_err(|_| unreadable())
    }

    /// What the installation is kept under: the workspace, or the organisation where it is
    /// one of the whole.
    #[must_use]
    pub fn workspace(&self) -> Option<&str> {
        let named = if self.is_enterprise_install {
            self.enterprise.as_ref()
        } else {
            self.team.as_ref()
        };
        named.map(|named| named.id.as_str())
    }

    /// The bot's token and how long it lasts from `now`.
    ///
    /// # Errors
    ///
    /// `Protocol` if no bot token was granted.
    pub fn grant(&self, now: SystemTime) -> Result<Grant> {
        let access = self.access_token.clone().ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "slack has granted no bot token")
                .on(PLATFORM, Method::OauthAccess.operation())
        })?;
        let grant = Grant::new(access);
        Ok(match (&self.refresh_token, self.expires_in) {
            (Some(refresh), Some(lasts)) => grant.rotating(
                refresh.clone(),
                now + Duration::from_secs(lasts.min(1 << 31)),
            ),
            _ => grant,
        })
    }
}

/// The form that exchanges a code, for those who make the request on their own. It goes to
/// `https://slack.com/api/oauth.v2.access` with the app's id and secret as HTTP Basic.
#[must_use]
pub fn exchange_form(code: &str, redirect_uri: &str) -> String {
    form(&[("code", code), ("redirect_uri", redirect_uri)])
}

/// Exchanges a code for an installation. A code lives ten minutes and is good once.
///
/// # Errors
///
/// `Invalid` if the code is used or too old, `Config` if Slack does not accept the app.
pub async fn exchange(
    app: &OauthApp,
    code: &str,
    redirect_uri: &str,
    transport: &Transport,
    api_base: &str,
) -> Result<Installed> {
    let client = Client::new(transport.clone(), api_base)?;
    let method = Method::OauthAccess;
    let fields = [("code", code), ("redirect_uri", redirect_uri)];
    client
        .call(
            method,
            Credentials::Basic(&app.basic()),
            Payload::form(&fields),
        )
        .await
        .map_err(|failure| failure.into_error(method))
}
