//! Who is who, and the ends of tokens.

use serde_json::{Value, json};

use super::Call;
use crate::slack::answer::{Answer, ApiError};
use crate::slack::state::bound;

/// <https://docs.slack.dev/reference/methods/api.test/>
pub(crate) fn api_test(call: &mut Call<'_>) -> Answer {
    match call.params.text("error") {
        Some(error) => Err(ApiError::new(error)),
        None => Ok(json!({"args": call.params.shown()})),
    }
}

/// <https://docs.slack.dev/reference/methods/auth.test/>
pub(crate) fn auth_test(call: &mut Call<'_>) -> Answer {
    let token = call.token;
    let team = call.state.teams.get(&token.team);
    let team = team.ok_or_else(|| ApiError::new("invalid_auth"))?;
    let name = call
        .state
        .users
        .get(&token.user)
        .map_or("", |user| user.name.as_str());
    let mut answer = json!({"url": format!("https://{}.slack.com/", team.domain), "team": team.name, "user": name,
        "team_id": token.team, "user_id": token.user, "is_enterprise_install": false});
    if let Some((_, bot)) = call.bot() {
        crate::slack::events::set(&mut answer, "bot_id", bot.into());
    }
    Ok(answer)
}

/// <https://docs.slack.dev/reference/methods/auth.revoke/>
pub(crate) fn revoke(call: &mut Call<'_>) -> Answer {
    let is_test = call.params.flag("test");
    if !is_test {
        let secret = call.secret.to_owned();
        call.state.revoke(&secret);
    }
    Ok(json!({"revoked": !is_test}))
}

/// <https://docs.slack.dev/reference/methods/apps.connections.open/>
pub(crate) fn connect(call: &mut Call<'_>) -> Answer {
    let app = call.token.app.clone();
    let known = call.state.apps.get(&app);
    if !known.is_some_and(|app| app.socket_mode) {
        return Err(ApiError::new("access_denied"));
    }
    let ticket = call.state.hex(2);
    let life = i64::try_from(call.config.ticket_life.as_millis()).unwrap_or(i64::MAX);
    let until = call.state.now_ms.saturating_add(life);
    bound(&mut call.state.tickets);
    call.state
        .tickets
        .insert(ticket.clone(), (app.clone(), until));
    let base = call.state.base.replacen("http", "ws", 1);
    Ok(json!({"url": format!("{base}/link/?ticket={ticket}&app_id={app}")}))
}

/// <https://docs.slack.dev/reference/methods/users.info/>
pub(crate) fn users_info(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("user")?;
    let is_here = call
        .state
        .users
        .get(&id)
        .is_some_and(|user| user.team == call.token.team);
    let user = call.state.user_json(&id).filter(|_| is_here);
    Ok(json!({"user": user.ok_or_else(|| ApiError::new("user_not_found"))?}))
}

/// <https://docs.slack.dev/reference/methods/users.list/>
pub(crate) fn users_list(call: &mut Call<'_>) -> Answer {
    let users = call.state.users.iter();
    let here = users.filter(|(_, user)| user.team == call.token.team);
    let all = here
        .filter_map(|(id, _)| call.state.user_json(id))
        .collect();
    let (page, next) = call.page(all, 200, 1000)?;
    Ok(
        json!({"members": page, "cache_ts": call.state.seconds(), "response_metadata": {"next_cursor": next}}),
    )
}

/// <https://docs.slack.dev/reference/methods/bots.info/>
pub(crate) fn bots_info(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.required("bot")?;
    let state = &*call.state;
    let found = state.apps.values().find_map(|app| {
        let install = app.installs.get(&call.token.team)?;
        (install.bot_id == wanted).then(|| {
            json!({"id": install.bot_id, "app_id": app.id, "user_id": install.bot_user, "name": app.name,
                "deleted": !install.active, "updated": 0, "icons": {}})
        })
    });
    Ok(json!({"bot": found.ok_or_else(|| ApiError::new("bot_not_found"))?}))
}

/// <https://docs.slack.dev/reference/methods/team.info/>
pub(crate) fn team_info(call: &mut Call<'_>) -> Answer {
    let id = &call.token.team;
    let team = call
        .state
        .teams
        .get(id)
        .ok_or_else(|| ApiError::new("team_not_found"))?;
    Ok(
        json!({"team": {"id": id, "name": team.name, "domain": team.domain, "email_domain": "", "icon": {},
        "url": format!("https://{}.slack.com/", team.domain)}}),
    )
}

/// How long a status is shown when no message follows.
const STATUS_LASTS_MS: i64 = 120_000;

/// <https://docs.slack.dev/reference/methods/assistant.threads.setStatus/>
pub(crate) fn set_status(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.required("channel_id")?;
    let channel = call.resolve(&wanted)?;
    let thread = call.params.required("thread_ts")?;
    // An empty status clears it, and is not a missing one.
    let status = call.params.get("status").and_then(Value::as_str);
    let status = status
        .ok_or_else(|| ApiError::missing("status"))?
        .to_owned();
    if call.state.message(&channel, &thread).is_none() {
        return Err(ApiError::new("thread_not_found"));
    }
    bound(&mut call.state.statuses);
    if status.is_empty() {
        call.state.statuses.remove(&(channel, thread));
    } else {
        let until_ms = call.state.now_ms.saturating_add(STATUS_LASTS_MS);
        let shown = (status, until_ms);
        call.state.statuses.insert((channel, thread), shown);
    }
    Ok(json!({}))
}
