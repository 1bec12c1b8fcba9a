//! The part of the control API that is the same for every platform: faults, time and the ledger.
//!
//! Bodies must be `application/json`, so a web page cannot reach it without a preflight, which is never granted.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ledger::{CallOf, Outcome, Recorded as _};
use super::shared::{Platform, Stateful};

/// The longest a request may wait for a change, in milliseconds.
pub(crate) const MAX_WAIT_MS: u64 = 30_000;

/// A platform whose faults and time can be set over HTTP.
pub(crate) trait Controlled: Platform {
    /// What can go wrong with a call.
    type Fault: DeserializeOwned + Send;
    /// What else can be switched, as fields beside `fault`, all optional.
    type Switches: DeserializeOwned + Send;

    /// The next `count` calls of `method` (of any, if `None`) meet this fault.
    fn add_fault(&self, method: Option<&str>, count: u32, fault: Self::Fault);
    /// Sets those switches that are named.
    fn switch(&self, switches: Self::Switches);
    /// Takes all faults back.
    fn clear_faults(&self);
}

/// `/faults`, `/clock` and `/calls`.
pub(crate) fn routes<P: Controlled>() -> Router<P> {
    Router::new()
        .route("/faults", post(set_faults::<P>).delete(clear_faults::<P>))
        .route("/clock", post(advance::<P>))
        .route("/calls", get(calls::<P>))
}

/// What an action made, or 400 with the reason why it could not be done.
pub(crate) fn answer<E: std::fmt::Display>(result: Result<Value, E>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => bad_request(&error.to_string()),
    }
}

fn bad_request(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

#[derive(Deserialize)]
struct NewFault {
    /// Absent: any method.
    method: Option<String>,
    #[serde(default = "one")]
    count: u32,
    fault: Option<Value>,
}

const fn one() -> u32 {
    1
}

async fn set_faults<P: Controlled>(State(platform): State<P>, Json(body): Json<Value>) -> Response {
    let Ok(new) = NewFault::deserialize(&body) else {
        return bad_request("not a fault");
    };
    let fault = new
        .fault
        .map(serde_json::from_value::<P::Fault>)
        .transpose();
    let Ok(fault) = fault else {
        return bad_request("unknown fault");
    };
    let Ok(switches) = serde_json::from_value::<P::Switches>(body) else {
        return bad_request("not a switch");
    };
    if let Some(fault) = fault {
        platform.add_fault(new.method.as_deref(), new.count, fault);
    }
    platform.switch(switches);
    Json(json!({})).into_response()
}

async fn clear_faults<P: Controlled>(State(platform): State<P>) -> Response {
    platform.clear_faults();
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct Step {
    advance_ms: u64,
}

async fn advance<P: Controlled>(State(platform): State<P>, Json(step): Json<Step>) -> Response {
    platform
        .shared()
        .advance(Duration::from_millis(step.advance_ms));
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct CallQuery {
    method: Option<String>,
    bot: Option<String>,
    /// Only calls with a higher number.
    #[serde(default)]
    after: u64,
    /// Wait so long for a finished call to show up.
    #[serde(default)]
    wait_ms: u64,
}

/// Finished calls, and with `wait_ms` the first moment at which there are any.
async fn calls<P: Controlled>(
    State(platform): State<P>,
    Query(query): Query<CallQuery>,
) -> Response {
    let wanted = |call: &&CallOf<P>| {
        call.number() > query.after
            && call.outcome() != Outcome::Pending
            && query
                .method
                .as_deref()
                .is_none_or(|method| call.method().eq_ignore_ascii_case(method))
            && query.bot.as_deref().is_none_or(|bot| call.is_by(bot))
    };
    let patience = Duration::from_millis(query.wait_ms.min(MAX_WAIT_MS));
    let shared = platform.shared();
    let found = shared
        .wait_for(patience, || {
            let calls: Vec<_> =
                shared.quietly(|state| state.ledger().calls().filter(wanted).cloned().collect());
            Some(calls).filter(|calls| !calls.is_empty())
        })
        .await;
    Json(found.unwrap_or_default()).into_response()
}
