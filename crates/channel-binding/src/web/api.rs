//! The routes.

use std::collections::BTreeMap;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json, Router};
use channel_core::{AccountRef, BindingId, ChannelId, ChatId, Platform};
use channel_policy::Admission;
use http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method};
use utoipa::OpenApi;

use super::auth::Caller;
use super::reply::{
    BindingView, OfferView, PlatformView, Problem, Refusal, TrailView, connection_status, millis,
};
use super::runtime::{FieldView, RuntimeSettings};
use super::{PlatformState, Shared, page};
use crate::platform::ConnectPlatform;

pub(super) fn routes(shared: Shared) -> Router {
    let base = shared.base.to_string();
    let at = |path: &str| format!("{base}{path}");
    Router::new()
        .route(&base, get(page::page))
        .route(&at("/connect.css"), get(page::style))
        .route(&at("/connect.js"), get(page::script))
        .route(&at("/connect.svg"), get(page::icon))
        .route(&at("/api/platforms"), get(platforms))
        .route(&at("/api/platforms/{platform}"), get(platform))
        .route(&at("/api/platforms/{platform}/connect"), post(connect))
        .route(&at("/api/bindings/{id}"), delete(disconnect))
        .route(&at("/api/trail"), get(trail))
        .route(
            &at("/api/runtime/{platform}"),
            put(set_runtime).delete(remove_runtime),
        )
        .route(&at("/api/openapi.json"), get(openapi))
        .layer(middleware::map_response(keep_private))
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// The description of the API, made from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Connected accounts",
        description = "What an owner does with connected chat accounts. Every call needs the \
                       session of an owner; calls that change something need X-CSRF-Token."
    ),
    paths(
        platforms,
        platform,
        connect,
        disconnect,
        trail,
        set_runtime,
        remove_runtime
    )
)]
struct Description;

/// Lets owners in, and nobody who pretends to be their page.
async fn guard(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let Some(caller) = shared.auth.caller(request.headers()).await else {
        return Refusal::SIGNED_OUT.into_response();
    };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !shared.csrf.allows(&request, &caller) {
        return Refusal::FORGED.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

async fn keep_private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Shared {
    /// A platform that is listed. Names are compared with those that were declared and with
    /// nothing else.
    fn listed(&self, name: &str) -> Result<&ConnectPlatform, Refusal> {
        let found = self.bindings.platform(name);
        found.ok_or(Refusal::UNKNOWN_PLATFORM)
    }

    fn state(&self, platform: &Platform) -> PlatformState {
        (self.states)(platform)
    }

    /// `bindings` are those of the owner on this platform; `None` if the store is down.
    async fn view(
        &self,
        caller: &Caller,
        platform: &ConnectPlatform,
        bindings: Option<Vec<BindingView>>,
    ) -> PlatformView {
        let fields = match &self.settings {
            Some(settings) if caller.admin => settings.view(platform.platform()).await,
            _ => Vec::new(),
        };
        let configured = platform.is_configured();
        let running = self.state(platform.platform()) == PlatformState::Running;
        let unavailable_reason = match (configured, running, &bindings) {
            (false, _, _) => Some("not_configured"),
            (_, false, _) => Some("not_running"),
            (_, _, None) => Some("store_unavailable"),
            _ => None,
        };
        let connection_status = match &bindings {
            Some(bindings) => connection_status(bindings, configured && running),
            None => "unknown",
        };
        PlatformView {
            platform: platform.platform().as_str().to_owned(),
            display_name: platform.name().to_owned(),
            enabled: true,
            configured,
            connectable: self.enabled && unavailable_reason.is_none(),
            unavailable_reason,
            auth_mode: platform.mode(),
            connection_status,
            fields,
            bindings: bindings.unwrap_or_default(),
        }
    }

    /// All bindings of the caller; `None` if the store is down.
    async fn bindings_of(&self, caller: &Caller) -> Option<Vec<BindingView>> {
        match self.bindings.list(&caller.owner).await {
            Ok(all) => Some(all.iter().map(BindingView::from).collect()),
            Err(error) => {
                tracing::warn!(%error, "the bindings of an owner cannot be listed");
                None
            }
        }
    }
}

/// Lists the enabled platforms and the caller's accounts on them.
#[utoipa::path(
    get,
    path = "/api/platforms",
    responses(
        (status = 200, body = Vec<PlatformView>),
        (status = 401, description = "Nobody is signed in.", body = Problem),
    )
)]
async fn platforms(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Json<Vec<PlatformView>> {
    let mut all = shared.bindings_of(&caller).await;
    let mut views = Vec::new();
    for platform in shared.bindings.platforms() {
        if shared.state(platform.platform()) == PlatformState::Disabled {
            continue;
        }
        let name = platform.platform().as_str();
        let own = all
            .as_mut()
            .map(|all| all.extract_if(.., |it| it.platform == name).collect());
        views.push(shared.view(&caller, platform, own).await);
    }
    Json(views)
}

/// Shows one platform; for a page that waits for a connection.
#[utoipa::path(
    get,
    path = "/api/platforms/{platform}",
    params(("platform" = String, Path, description = "The platform's name.")),
    responses(
        (status = 200, body = PlatformView),
        (status = 400, description = "The platform is disabled.", body = Problem),
        (status = 401, description = "Nobody is signed in.", body = Problem),
        (status = 404, description = "There is no such platform.", body = Problem),
    )
)]
async fn platform(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<PlatformView>, Refusal> {
    let Path(name) = name.map_err(|_| Refusal::UNKNOWN_PLATFORM)?;
    let platform = shared.listed(&name)?;
    if shared.state(platform.platform()) == PlatformState::Disabled {
        return Err(Refusal::DISABLED);
    }
    let own = shared.bindings_of(&caller).await.map(|mut all| {
        all.retain(|it| it.platform == name);
        all
    });
    Ok(Json(shared.view(&caller, platform, own).await))
}

/// Makes a connect code.
#[utoipa::path(
    post,
    path = "/api/platforms/{platform}/connect",
    params(
        ("platform" = String, Path, description = "The platform's name."),
        ("X-CSRF-Token" = String, Header, description = "The token of the page."),
    ),
    responses(
        (status = 200, body = OfferView),
        (status = 400, description = "Connecting or the platform is disabled, not configured \
                                      or not running.", body = Problem),
        (status = 401, description = "Nobody is signed in.", body = Problem),
        (status = 403, description = "The token is missing or wrong.", body = Problem),
        (status = 404, description = "There is no such platform.", body = Problem),
        (status = 429, description = "Five codes wait to be used.", body = Problem),
        (status = 503, description = "The store cannot be asked.", body = Problem),
    )
)]
async fn connect(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<OfferView>, Refusal> {
    let Path(name) = name.map_err(|_| Refusal::UNKNOWN_PLATFORM)?;
    let platform = shared.listed(&name)?;
    match shared.state(platform.platform()) {
        PlatformState::Running if shared.enabled => {}
        PlatformState::NotRunning if shared.enabled => return Err(Refusal::NOT_RUNNING),
        _ => return Err(Refusal::DISABLED),
    }
    let offer = shared.bindings.mint(&caller.owner, &name).await?;
    Ok(Json(OfferView {
        platform: name,
        mode: offer.mode,
        url: offer.url.map(|url| url.expose().to_owned()),
        code: offer.code.expose().to_owned(),
        instruction: offer.instruction.expose().to_owned(),
        expires_in: offer.expires_in.as_secs(),
    }))
}

/// Takes a binding back; again, it does nothing.
#[utoipa::path(
    delete,
    path = "/api/bindings/{id}",
    params(
        ("id" = String, Path, description = "The binding."),
        ("X-CSRF-Token" = String, Header, description = "The token of the page."),
    ),
    responses(
        (status = 200, body = BindingView),
        (status = 401, description = "Nobody is signed in.", body = Problem),
        (status = 403, description = "The token is missing or wrong.", body = Problem),
        (status = 404, description = "The caller has no such binding.", body = Problem),
        (status = 503, description = "The store cannot be asked.", body = Problem),
    )
)]
async fn disconnect(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<BindingView>, Refusal> {
    let Path(id) = id.map_err(|_| Refusal(http::StatusCode::NOT_FOUND, "not_found"))?;
    let id = BindingId::from(id);
    let gone = shared.bindings.disconnect(&caller.owner, &id).await?;
    Ok(Json(BindingView::from(&gone)))
}

/// Shows the last 100 things that happened to the caller's accounts.
#[utoipa::path(
    get,
    path = "/api/trail",
    responses(
        (status = 200, body = Vec<TrailView>),
        (status = 401, description = "Nobody is signed in.", body = Problem),
        (status = 503, description = "The store cannot be asked.", body = Problem),
    )
)]
async fn trail(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Vec<TrailView>>, Refusal> {
    let trail = shared.bindings.trail(&caller.owner, 100).await?;
    let view = |line: crate::store::TrailEntry| TrailView {
        at: millis(line.at),
        action: line.action,
        platform: line.platform,
        account_id: line.account,
    };
    Ok(Json(trail.into_iter().map(view).collect()))
}

/// Sets up a platform; for administrators. The channel is started with the settings, and
/// if it does not start everything is as before.
#[utoipa::path(
    put,
    path = "/api/runtime/{platform}",
    params(
        ("platform" = String, Path, description = "The platform's name."),
        ("X-CSRF-Token" = String, Header, description = "The token of the page."),
    ),
    request_body(
        content = BTreeMap<String, String>,
        description = "Every field by its name; ******** keeps the secret that is there."
    ),
    responses(
        (status = 200, body = Vec<FieldView>),
        (status = 400, description = "A field is unknown or missing, or the channel does not \
                                      start.", body = Problem),
        (status = 401, description = "Nobody is signed in.", body = Problem),
        (status = 403, description = "The caller is no administrator, or the token is \
                                      missing or wrong.", body = Problem),
        (status = 404, description = "There is no such platform.", body = Problem),
        (status = 429, description = "More than 30 changes in a minute.", body = Problem),
        (status = 503, description = "The settings cannot be kept.", body = Problem),
    )
)]
async fn set_runtime(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
    posted: Result<Json<BTreeMap<String, String>>, JsonRejection>,
) -> Result<Json<Vec<FieldView>>, Refusal> {
    let (settings, platform) = administer(&shared, &caller, name)?;
    let Json(posted) = posted.map_err(|_| Refusal::MALFORMED)?;
    settings.set(platform, posted).await?;
    Ok(Json(settings.view(platform).await))
}

/// Takes a platform's settings away; for administrators. Its channel is stopped and the
/// bindings of all owners on it are revoked.
#[utoipa::path(
    delete,
    path = "/api/runtime/{platform}",
    params(
        ("platform" = String, Path, description = "The platform's name."),
        ("X-CSRF-Token" = String, Header, description = "The token of the page."),
    ),
    responses(
        (status = 200, body = Vec<FieldView>),
        (status = 400, description = "Nothing can be set up here.", body = Problem),
        (status = 401, description = "Nobody is signed in.", body = Problem),
        (status = 403, description = "The caller is no administrator, or the token is \
                                      missing or wrong.", body = Problem),
        (status = 404, description = "There is no such platform.", body = Problem),
        (status = 429, description = "More than 30 changes in a minute.", body = Problem),
        (status = 503, description = "Not everything was taken away: try again.", body = Problem),
    )
)]
async fn remove_runtime(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Vec<FieldView>>, Refusal> {
    let (settings, platform) = administer(&shared, &caller, name)?;
    settings.remove(platform, &shared.bindings).await?;
    Ok(Json(settings.view(platform).await))
}

/// Who may set up which platform.
fn administer<'a>(
    shared: &'a Shared,
    caller: &Caller,
    name: Result<Path<String>, PathRejection>,
) -> Result<(&'a RuntimeSettings, &'a Platform), Refusal> {
    if !caller.admin {
        return Err(Refusal::NOT_ADMIN);
    }
    let Path(name) = name.map_err(|_| Refusal::UNKNOWN_PLATFORM)?;
    let platform = shared.listed(&name)?.platform();
    let who = AccountRef::new(platform.clone(), caller.owner.as_str().into());
    let (channel, chat) = (ChannelId::new("runtime"), ChatId::new(&name));
    let now = shared.bindings.clock().elapsed();
    if shared.limiter.admit(&who, &channel, &chat, now) != Admission::Admitted {
        return Err(Refusal::TOO_OFTEN);
    }
    let settings = shared.settings.as_deref();
    Ok((settings.ok_or(Refusal::NO_SETTINGS)?, platform))
}

async fn openapi(State(shared): State<Shared>) -> Json<utoipa::openapi::OpenApi> {
    let mut description = Description::openapi();
    description.servers = Some(vec![utoipa::openapi::Server::new(shared.base.as_ref())]);
    Json(description)
}
