//! What the API says. No type here has a field for a secret, but for the one answer that
//! hands out a fresh code.

use axum::Json;
use axum::response::{IntoResponse, Response};
use channel_core::{Error, ErrorKind};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::runtime::{FieldView, Unset};
use crate::platform::ConnectMode;
use crate::record::{BindingRecord, BindingStatus};

/// A platform, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlatformView {
    /// The platform's name.
    pub(crate) platform: String,
    /// Its name for people.
    pub(crate) display_name: String,
    /// Always true: what is not enabled is not listed.
    pub(crate) enabled: bool,
    /// Whether the operator has set everything that it needs.
    pub(crate) configured: bool,
    /// Whether an account can be connected now.
    pub(crate) connectable: bool,
    /// Why not: `not_configured`, `not_running`, `store_unavailable`.
    pub(crate) unavailable_reason: Option<&'static str>,
    /// How a code is delivered: `deep_link` or `binding_code`.
    #[schema(value_type = String)]
    pub(crate) auth_mode: ConnectMode,
    /// `connected`, `revoked`, `not_connected`, or `unknown` without the store.
    pub(crate) connection_status: &'static str,
    /// What an administrator fills in; empty for everybody else.
    pub(crate) fields: Vec<FieldView>,
    /// The owner's accounts on it, the last updated first.
    pub(crate) bindings: Vec<BindingView>,
}

/// A binding, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BindingView {
    /// Its id.
    pub(crate) id: String,
    /// The platform.
    pub(crate) platform: String,
    /// `connected` or `revoked`.
    pub(crate) status: &'static str,
    /// The name that the account shows.
    pub(crate) account_name: Option<String>,
    /// The account's id on the platform.
    pub(crate) account_id: String,
    /// The workspace that it is limited to.
    pub(crate) workspace_name: Option<String>,
    /// When it was last bound or revoked, in milliseconds since 1970.
    pub(crate) updated_at: u64,
}

impl From<&BindingRecord> for BindingView {
    fn from(record: &BindingRecord) -> Self {
        Self {
            id: record.id.as_str().to_owned(),
            platform: record.platform().as_str().to_owned(),
            status: record.status.as_str(),
            account_name: record.account_name.clone(),
            account_id: record.account.sender.as_str().to_owned(),
            workspace_name: record.workspace_name.clone(),
            updated_at: millis(record.updated_at),
        }
    }
}

/// What to connect an account with. The only answer that holds a code, and the only time
/// that this code is to be seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfferView {
    /// The platform.
    pub(crate) platform: String,
    /// How the code is delivered: `deep_link` or `binding_code`.
    #[schema(value_type = String)]
    pub(crate) mode: ConnectMode,
    /// The link to open, where there is one.
    pub(crate) url: Option<String>,
    /// The code.
    pub(crate) code: String,
    /// What to do, for people.
    pub(crate) instruction: String,
    /// How many seconds it holds.
    pub(crate) expires_in: u64,
}

/// A line of what has happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrailView {
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
    /// What: `connected`, `moved_away`, `revoked`, `code_exposed`.
    pub(crate) action: String,
    /// The platform.
    pub(crate) platform: String,
    /// The account, where it is about one.
    pub(crate) account_id: Option<String>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A machine-readable word.
    pub(crate) error: &'static str,
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) &'static str);

impl Refusal {
    pub(crate) const SIGNED_OUT: Self = Self(StatusCode::UNAUTHORIZED, "signed_out");
    pub(crate) const FORGED: Self = Self(StatusCode::FORBIDDEN, "forged");
    pub(crate) const UNKNOWN_PLATFORM: Self = Self(StatusCode::NOT_FOUND, "unknown_platform");
    pub(crate) const DISABLED: Self = Self(StatusCode::BAD_REQUEST, "disabled");
    pub(crate) const NOT_ADMIN: Self = Self(StatusCode::FORBIDDEN, "not_admin");
    pub(crate) const TOO_OFTEN: Self = Self(StatusCode::TOO_MANY_REQUESTS, "too_often");
    pub(crate) const NO_SETTINGS: Self = Self(StatusCode::BAD_REQUEST, "no_settings");
    pub(crate) const MALFORMED: Self = Self(StatusCode::BAD_REQUEST, "malformed");
    pub(crate) const NOT_RUNNING: Self = Self(StatusCode::BAD_REQUEST, "not_running");
}

impl From<Unset> for Refusal {
    fn from(unset: Unset) -> Self {
        match unset {
            Unset::UnknownField => Self(StatusCode::BAD_REQUEST, "unknown_field"),
            Unset::MissingField => Self(StatusCode::BAD_REQUEST, "missing_field"),
            Unset::FailedStart => Self(StatusCode::BAD_REQUEST, "failed_start"),
            Unset::Unwritten => Self(StatusCode::SERVICE_UNAVAILABLE, "settings_unavailable"),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self(StatusCode::NOT_FOUND, "not_found"),
            ErrorKind::RateLimited => Self(StatusCode::TOO_MANY_REQUESTS, "too_many_codes"),
            ErrorKind::Config => Self(StatusCode::BAD_REQUEST, "not_configured"),
            ErrorKind::Invalid => Self(StatusCode::BAD_REQUEST, "invalid"),
            _ => Self(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(Problem { error: self.1 })).into_response()
    }
}

/// The status of the row that was updated last.
pub(crate) fn connection_status(bindings: &[BindingView], available: bool) -> &'static str {
    let connected = BindingStatus::Connected.as_str();
    match bindings.first() {
        None => "not_connected",
        // Nothing is behind it while the platform is not there.
        Some(newest) if newest.status == connected && !available => "not_connected",
        Some(newest) => newest.status,
    }
}

pub(crate) fn millis(at: std::time::SystemTime) -> u64 {
    at.duration_since(std::time::SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
