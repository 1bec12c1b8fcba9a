//! Installing apps, rotating their tokens, and taking them away.
//!
//! <https://docs.slack.dev/authentication/installing-with-oauth/>, <https://docs.slack.dev/authentication/using-token-rotation/>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::slack::answer::{Answer, ApiError};
use crate::slack::config::SlackConfig;
use crate::slack::events::set;
use crate::slack::model::{Install, Kind, Token, User};
use crate::slack::params::Params;
use crate::slack::state::{State, bound};

/// What a person has agreed to.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) app: String,
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) scopes: String,
    pub(crate) user_scopes: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) until_ms: i64,
}

/// What a refresh token renews.
#[derive(Debug, Clone)]
pub(crate) struct Refresh {
    token: Token,
    /// The access token that it replaces.
    replaces: String,
}

/// Runs a method that takes the client's credentials in place of a token; `None` when it is not of that kind.
pub(crate) fn run(
    name: &str,
    state: &mut State,
    config: &SlackConfig,
    (client, secret): (&str, &str),
    params: &Params,
) -> Option<Answer> {
    if !matches!(
        name,
        "oauth.v2.access" | "oauth.v2.exchange" | "apps.uninstall"
    ) {
        return None;
    }
    let app = state.apps.values().find(|app| app.client_id == client);
    let Some(app) = app else {
        return Some(Err(ApiError::new("invalid_client_id")));
    };
    if app.client_secret.0 != secret {
        return Some(Err(ApiError::new("bad_client_secret")));
    }
    let app = app.id.clone();
    Some(match name {
        "oauth.v2.access" => access(state, config, &app, params),
        "oauth.v2.exchange" => exchange(state, config, &app, params),
        _ => uninstall(state, &app, params),
    })
}

/// <https://docs.slack.dev/reference/methods/oauth.v2.access/>
fn access(state: &mut State, config: &SlackConfig, app: &str, params: &Params) -> Answer {
    match params.text("grant_type").as_deref() {
        None | Some("authorization_code") => {}
        Some("refresh_token") => return refresh(state, config, app, params),
        Some(_) => return Err(ApiError::new("invalid_grant_type")),
    }
    let code = params.required("code")?;
    // A code is used up by the first try, whatever comes of it.
    let code = state.codes.remove(&code).filter(|code| code.app == app);
    let code = code.ok_or_else(|| ApiError::new("invalid_code"))?;
    if state.now_ms > code.until_ms {
        return Err(ApiError::new("invalid_code"));
    }
    if code.redirect_uri != params.text("redirect_uri") {
        return Err(ApiError::new("bad_redirect_uri"));
    }
    let install = state.set_up(app, &code.team);
    let mut user = json!({"id": code.user});
    if !code.user_scopes.is_empty() {
        let token = token(Kind::User, (app, &code.team), &code.user, &code.user_scopes);
        let issued = state.issue(config, token, "xoxp");
        set(&mut user, "scope", code.user_scopes.into());
        merge(&mut user, issued);
    }
    let team = state.teams.get(&code.team).map(|team| team.name.clone());
    let mut answer = json!({"app_id": app, "authed_user": user, "scope": code.scopes, "enterprise": null,
        "is_enterprise_install": false, "team": {"id": code.team, "name": team}});
    if !code.scopes.is_empty() {
        let token = token(
            Kind::Bot,
            (app, &code.team),
            &install.bot_user,
            &code.scopes,
        );
        let issued = state.issue(config, token, "xoxb");
        merge(&mut answer, issued);
        set(&mut answer, "bot_user_id", install.bot_user.into());
    }
    Ok(answer)
}

/// Renews a token; the refresh token is used up.
fn refresh(state: &mut State, config: &SlackConfig, app: &str, params: &Params) -> Answer {
    let wanted = params.required("refresh_token")?;
    let known = state
        .refreshes
        .get(&wanted)
        .is_some_and(|refresh| refresh.token.app == app);
    if !known {
        return Err(ApiError::new("invalid_refresh_token"));
    }
    let refresh = state.refreshes.remove(&wanted);
    let Some(Refresh { token, replaces }) = refresh else {
        return Err(ApiError::new("invalid_refresh_token"));
    };
    if state.install(&token.app, &token.team).is_none() {
        return Err(ApiError::new("invalid_refresh_token"));
    }
    state.revoke(&replaces);
    let team = state.teams.get(&token.team).map(|team| team.name.clone());
    let scopes: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
    let mut answer = json!({"app_id": app, "scope": scopes.join(","), "enterprise": null,
        "is_enterprise_install": false, "team": {"id": token.team, "name": team}});
    let prefix = match token.kind {
        Kind::Bot => "xoxb",
        _ => "xoxp",
    };
    if token.kind == Kind::Bot {
        set(&mut answer, "bot_user_id", token.user.clone().into());
    }
    let issued = state.issue(config, token, prefix);
    merge(&mut answer, issued);
    Ok(answer)
}

/// <https://docs.slack.dev/reference/methods/oauth.v2.exchange/>
fn exchange(state: &mut State, config: &SlackConfig, app: &str, params: &Params) -> Answer {
    let old = params.required("token")?;
    let known = state
        .tokens
        .get(&old)
        .filter(|token| token.app == app && !token.revoked);
    let token = known.ok_or_else(|| ApiError::new("invalid_auth"))?.clone();
    if token.expires_ms.is_some() {
        return Err(ApiError::new("token_already_exchanged"));
    }
    if let Some(app) = state.apps.get_mut(app) {
        app.rotation = true;
    }
    let prefix = if token.kind == Kind::Bot {
        "xoxb"
    } else {
        "xoxp"
    };
    state.revoke(&old);
    let team = token.team.clone();
    let mut answer = json!({"app_id": app, "enterprise": null, "team": {"id": team}});
    let issued = state.issue(config, token, prefix);
    merge(&mut answer, issued);
    Ok(answer)
}

/// <https://docs.slack.dev/reference/methods/apps.uninstall/>
fn uninstall(state: &mut State, app: &str, params: &Params) -> Answer {
    let token = params.required("token")?;
    let known = state
        .tokens
        .get(&token)
        .filter(|token| token.app == app && !token.revoked);
    let team = known
        .ok_or_else(|| ApiError::new("invalid_auth"))?
        .team
        .clone();
    state.remove(app, &team);
    Ok(json!({}))
}

fn token(kind: Kind, (app, team): (&str, &str), user: &str, scopes: &str) -> Token {
    Token {
        kind,
        app: app.to_owned(),
        team: team.to_owned(),
        user: user.to_owned(),
        scopes: split(scopes),
        expires_ms: None,
        revoked: false,
    }
}

pub(crate) fn split(scopes: &str) -> BTreeSet<String> {
    let parts = scopes.split([',', ' ']).map(str::trim);
    parts
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

impl State {
    /// Makes an access token, and a refresh token where the app rotates them.
    fn issue(&mut self, config: &SlackConfig, mut token: Token, prefix: &str) -> Value {
        let kind = match token.kind {
            Kind::Bot => "bot",
            _ => "user",
        };
        let rotates = self.apps.get(&token.app).is_some_and(|app| app.rotation);
        let secret = self.hex(2);
        if !rotates {
            let access = format!("{prefix}-{secret}");
            self.tokens.insert(access.clone(), token);
            return json!({"token_type": kind, "access_token": access});
        }
        let life = i64::try_from(config.token_life.as_millis()).unwrap_or(i64::MAX);
        token.expires_ms = Some(self.now_ms.saturating_add(life));
        let access = format!("xoxe.{prefix}-1-{secret}");
        let refresh = format!("xoxe-1-{}", self.hex(2));
        let renewal = Refresh {
            token: token.clone(),
            replaces: access.clone(),
        };
        self.refreshes.insert(refresh.clone(), renewal);
        self.tokens.insert(access.clone(), token);
        json!({"token_type": kind, "access_token": access, "refresh_token": refresh,
            "expires_in": config.token_life.as_secs()})
    }

    /// Puts a bot of the app into a workspace, or wakes the one that was there.
    pub(crate) fn set_up(&mut self, app: &str, team: &str) -> Install {
        let (bot_user, bot_id) = (self.id("U"), self.id("B"));
        let Some(known) = self.apps.get_mut(app) else {
            return Install {
                bot_user,
                bot_id,
                active: false,
            };
        };
        let name = known.name.clone();
        let install = known.installs.entry(team.to_owned()).or_insert(Install {
            bot_user,
            bot_id,
            active: true,
        });
        install.active = true;
        let install = install.clone();
        let bot = User {
            team: team.to_owned(),
            name,
            deleted: false,
            bot: Some((app.to_owned(), install.bot_id.clone())),
        };
        self.users.insert(install.bot_user.clone(), bot);
        install
    }

    /// Adds a token that a test has chosen.
    pub(crate) fn adopt(
        &mut self,
        secret: &str,
        kind: Kind,
        at: (&str, &str),
        user: &str,
        scopes: &str,
    ) {
        self.tokens
            .insert(secret.to_owned(), token(kind, at, user, scopes));
    }

    /// A person's agreement, to be exchanged for tokens.
    pub(crate) fn agree(&mut self, code: Code) -> String {
        let id = format!("{}.{}", self.seconds(), self.hex(2));
        bound(&mut self.codes);
        self.codes.insert(id.clone(), code);
        id
    }

    /// Ends the life of a token.
    pub(crate) fn revoke(&mut self, secret: &str) {
        if let Some(token) = self.tokens.get_mut(secret) {
            token.revoked = true;
        }
    }

    /// Tells an app that tokens of it are dead, and kills them. <https://docs.slack.dev/reference/events/tokens_revoked/>
    pub(crate) fn revoke_all(&mut self, app: &str, team: &str) {
        let mut users = BTreeSet::new();
        let mut bots = BTreeSet::new();
        for token in self.tokens.values_mut() {
            if token.app == app && token.team == team && !token.revoked {
                token.revoked = true;
                match token.kind {
                    Kind::Bot => bots.insert(token.user.clone()),
                    _ => users.insert(token.user.clone()),
                };
            }
        }
        let event = json!({"type": "tokens_revoked", "tokens": {"oauth": users, "bot": bots},
            "event_ts": self.ts()});
        self.emit(app, team, "", "tokens_revoked", &event);
    }

    /// Takes an app out of a workspace. <https://docs.slack.dev/reference/events/app_uninstalled/>
    pub(crate) fn remove(&mut self, app: &str, team: &str) {
        self.revoke_all(app, team);
        let event = json!({"type": "app_uninstalled", "event_ts": self.ts()});
        self.emit(app, team, "", "app_uninstalled", &event);
        if let Some(install) = self
            .apps
            .get_mut(app)
            .and_then(|app| app.installs.get_mut(team))
        {
            install.active = false;
        }
    }
}
