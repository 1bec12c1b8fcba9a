//! Modals and App Home. <https://docs.slack.dev/reference/methods/?family=views>

use serde_json::{Value, json};

use super::Call;
use crate::slack::answer::{Answer, ApiError};
use crate::slack::check;
use crate::slack::events::set;
use crate::slack::state::{State, bound};

/// Views on top of each other. <https://docs.slack.dev/surfaces/modals/#view-stack>
pub(crate) const MAX_STACK: usize = 3;

/// A modal or a home tab that a person sees.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) app: String,
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) json: Value,
    pub(crate) open: bool,
}

impl View {
    pub(crate) fn text(&self, name: &str) -> String {
        let text = self.json.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    }
}

/// <https://docs.slack.dev/reference/methods/views.open/>
pub(crate) fn open(call: &mut Call<'_>) -> Answer {
    let view = read(call, "modal")?;
    let (user, _) = trigger(call)?;
    let (app, team) = (call.token.app.clone(), call.token.team.clone());
    let id = call.state.show((&app, &team), &user, view, None);
    answer(call, &id)
}

/// <https://docs.slack.dev/reference/methods/views.push/>
pub(crate) fn push(call: &mut Call<'_>) -> Answer {
    let view = read(call, "modal")?;
    let (user, from) = trigger(call)?;
    let from = from.ok_or_else(|| ApiError::new("not_found"))?;
    let root = call
        .state
        .views
        .get(&from)
        .map(|view| view.text("root_view_id"));
    let root = root.ok_or_else(|| ApiError::new("not_found"))?;
    if call.state.stacked(&root) >= MAX_STACK {
        return Err(ApiError::new("push_limit_reached"));
    }
    let (app, team) = (call.token.app.clone(), call.token.team.clone());
    let id = call.state.show((&app, &team), &user, view, Some(&from));
    answer(call, &id)
}

/// <https://docs.slack.dev/reference/methods/views.update/>
pub(crate) fn update(call: &mut Call<'_>) -> Answer {
    let view = read(call, "modal")?;
    let wanted = call.params.text("view_id");
    let external = call.params.text("external_id");
    if wanted.is_none() && external.is_none() {
        return Err(ApiError::missing("view_id"));
    }
    let id = call.state.views.iter().find(|(id, view)| {
        view.app == call.token.app
            && view.team == call.token.team
            && view.open
            && (wanted.as_ref() == Some(*id)
                || external.as_deref() == Some(&view.text("external_id")))
    });
    let id = id
        .map(|(id, _)| id.clone())
        .ok_or_else(|| ApiError::new("not_found"))?;
    unchanged(call, &id)?;
    call.state.redraw(&id, &view);
    answer(call, &id)
}

/// <https://docs.slack.dev/reference/methods/views.publish/>
pub(crate) fn publish(call: &mut Call<'_>) -> Answer {
    let user = call.params.required("user_id")?;
    let view = read(call, "home")?;
    if call
        .state
        .users
        .get(&user)
        .is_none_or(|user| user.team != call.token.team)
    {
        return Err(ApiError::new("user_not_found"));
    }
    let home = call.state.views.iter().find(|(_, view)| {
        view.app == call.token.app && view.user == user && view.text("type") == "home"
    });
    let id = if let Some(id) = home.map(|(id, _)| id.clone()) {
        unchanged(call, &id)?;
        call.state.redraw(&id, &view);
        id
    } else {
        let (app, team) = (call.token.app.clone(), call.token.team.clone());
        call.state.show((&app, &team), &user, view, None)
    };
    answer(call, &id)
}

fn read(call: &Call<'_>, kind: &str) -> Result<Value, ApiError> {
    let view = call.params.nested("view", "invalid_arguments")?;
    let view = view.ok_or_else(|| ApiError::missing("view"))?;
    check::view(&view, kind)?;
    Ok(view)
}

/// The person and view that a `trigger_id` of this app stands for; it is used up.
fn trigger(call: &mut Call<'_>) -> Result<(String, Option<String>), ApiError> {
    let id = call.params.required("trigger_id")?;
    let now = call.state.now_ms;
    let trigger = call.state.triggers.get_mut(&id);
    let own = trigger.filter(|t| t.app == call.token.app && t.team == call.token.team);
    let trigger = own.ok_or_else(|| ApiError::new("invalid_trigger_id"))?;
    if trigger.used {
        return Err(ApiError::new("exchanged_trigger_id"));
    }
    if now > trigger.until_ms {
        return Err(ApiError::new("expired_trigger_id"));
    }
    trigger.used = true;
    Ok((trigger.user.clone(), trigger.view.clone()))
}

/// Refuses when the caller has seen an older state of the view.
fn unchanged(call: &Call<'_>, id: &str) -> Result<(), ApiError> {
    let Some(seen) = call.params.text("hash") else {
        return Ok(());
    };
    match call.state.views.get(id) {
        Some(view) if view.text("hash") == seen => Ok(()),
        _ => Err(ApiError::new("hash_conflict")),
    }
}

fn answer(call: &Call<'_>, id: &str) -> Answer {
    let view = call.state.views.get(id).map(|view| view.json.clone());
    Ok(json!({"view": view}))
}

impl State {
    /// How many views lie on top of each other, the one at the bottom included.
    pub(crate) fn stacked(&self, root: &str) -> usize {
        let stack = self.views.values();
        let stack = stack.filter(|view| view.open && view.text("root_view_id") == root);
        stack.count()
    }

    /// Shows a new view to a person, on top of another one or as a root; gives its id.
    pub(crate) fn show(
        &mut self,
        (app, team): (&str, &str),
        user: &str,
        mut view: Value,
        above: Option<&str>,
    ) -> String {
        let id = self.id("V");
        let root = above
            .and_then(|above| self.views.get(above))
            .map_or_else(|| id.clone(), |view| view.text("root_view_id"));
        self.dress(&mut view, (app, team), &id);
        set(&mut view, "root_view_id", root.into());
        set(&mut view, "previous_view_id", above.into());
        bound(&mut self.views);
        let view = View {
            app: app.to_owned(),
            team: team.to_owned(),
            user: user.to_owned(),
            json: view,
            open: true,
        };
        self.views.insert(id.clone(), view);
        id
    }

    /// Replaces what a view shows.
    pub(crate) fn redraw(&mut self, id: &str, new: &Value) {
        let Some(old) = self.views.get(id).cloned() else {
            return;
        };
        let mut json = new.clone();
        self.dress(&mut json, (&old.app, &old.team), id);
        for kept in ["root_view_id", "previous_view_id"] {
            set(
                &mut json,
                kept,
                old.json.get(kept).cloned().unwrap_or_default(),
            );
        }
        if let Some(view) = self.views.get_mut(id) {
            view.json = json;
        }
    }

    /// Adds what the platform knows about a view.
    fn dress(&mut self, view: &mut Value, (app, team): (&str, &str), id: &str) {
        let bot = self
            .install(app, team)
            .map(|install| install.bot_id.clone());
        let hash = format!(
            "{}.{}",
            self.seconds(),
            self.hex(1).get(..8).unwrap_or_default()
        );
        for (name, value) in [
            ("id", json!(id)),
            ("team_id", json!(team)),
            ("app_id", json!(app)),
            ("app_installed_team_id", json!(team)),
            ("bot_id", json!(bot)),
            ("hash", json!(hash)),
            ("state", json!({"values": {}})),
        ] {
            set(view, name, value);
        }
        for (name, default) in [
            ("callback_id", json!("")),
            ("external_id", json!("")),
            ("private_metadata", json!("")),
            ("clear_on_close", json!(false)),
            ("notify_on_close", json!(false)),
            ("close", Value::Null),
            ("submit", Value::Null),
        ] {
            if view.get(name).is_none() {
                set(view, name, default);
            }
        }
        if let Some(blocks) = view.get_mut("blocks") {
            check::name_blocks(blocks);
        }
    }
}
