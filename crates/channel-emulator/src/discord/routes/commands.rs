//! Application commands. <https://docs.discord.com/developers/interactions/application-commands>

use serde_json::{Map, Value, json};

use super::super::answer::{self, Answer, ApiError, Form, Reply};
use super::super::check::chars;
use super::super::model::{Command, Id};
use super::Context;

/// Commands a day that may be created is higher; this is the number that may exist, by type.
const MOST: [usize; 3] = [100, 15, 15];

/// The application and the guild of the path.
fn place(context: &Context<'_>) -> Result<(Id, Option<Id>), ApiError> {
    let app = context.id("application")?;
    if app != context.app {
        return Err(answer::UNKNOWN_APPLICATION.into());
    }
    if context.params.get("guild").is_empty() {
        return Ok((app, None));
    }
    let guild = context.id("guild")?;
    let inside = context
        .state
        .guilds
        .get(&guild)
        .is_some_and(|at| at.bots.contains(&app));
    if inside {
        Ok((app, Some(guild)))
    } else {
        Err(answer::MISSING_ACCESS.into())
    }
}

/// A command is named by letters, digits, dashes and underscores, in lower case when it is typed.
fn check(body: &Map<String, Value>, at: &[&str], form: &mut Form) {
    let path = |name: &'static str| -> Vec<String> {
        at.iter()
            .map(|step| (*step).to_owned())
            .chain([name.to_owned()])
            .collect()
    };
    let kind = body.get("type").and_then(Value::as_u64).unwrap_or(1);
    let name_path = path("name");
    let name_path: Vec<&str> = name_path.iter().map(String::as_str).collect();
    match body.get("name").and_then(Value::as_str) {
        None => form.required(&name_path),
        Some(name) => {
            form.length(&name_path, name.chars().count(), 1, 32);
            let typed = kind == 1;
            let fits = name.chars().all(|c| {
                c.is_alphanumeric() && !(typed && c.is_uppercase())
                    || matches!(c, '-' | '_' | '\'')
                    || !typed && c == ' '
            });
            if !fits {
                let message = "Command name is invalid";
                form.fail(&name_path, "APPLICATION_COMMAND_INVALID_NAME", message);
            }
        }
    }
    if !(1..=3).contains(&kind) {
        let path = path("type");
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        form.choices(&path, "1, 2, 3");
    }
    if kind == 1 {
        let path = path("description");
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        form.length(&path, chars(body.get("description")), 1, 100);
    }
    let options = body.get("options").and_then(Value::as_array);
    let options = options.map(Vec::as_slice).unwrap_or_default();
    let path = path("options");
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    form.length(&path, options.len(), 0, 25);
    for (index, option) in options.iter().enumerate().take(25) {
        let index = index.to_string();
        for (name, most) in [("name", 32), ("description", 100)] {
            let mut path = path.clone();
            path.extend([index.as_str(), name]);
            form.length(&path, chars(option.get(name)), 1, most);
        }
        if !matches!(option.get("type").and_then(Value::as_u64), Some(1..=11)) {
            let mut path = path.clone();
            path.extend([index.as_str(), "type"]);
            form.choices(&path, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11");
        }
    }
}

fn build(app: Id, guild: Option<Id>, id: Id, body: &Map<String, Value>) -> Command {
    let kind = body.get("type").and_then(Value::as_u64).unwrap_or(1);
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let given = |field: &str| body.get(field).cloned();
    let mut shown = json!({
        "id": id.to_string(), "application_id": app.to_string(), "version": id.to_string(), "type": kind,
        "name": name, "name_localizations": given("name_localizations"),
        "description": given("description").unwrap_or_else(|| "".into()),
        "description_localizations": given("description_localizations"),
        "default_member_permissions": given("default_member_permissions"), "dm_permission": true,
        "nsfw": given("nsfw").unwrap_or_else(|| false.into()), "contexts": given("contexts"),
        "integration_types": given("integration_types").unwrap_or_else(|| json!([0])),
    });
    if let Some(shown) = shown.as_object_mut() {
        if let Some(options) = given("options").filter(|options| !options.is_null()) {
            shown.insert("options".into(), options);
        }
        if let Some(guild) = guild {
            shown.insert("guild_id".into(), guild.to_string().into());
        }
    }
    Command {
        guild,
        kind,
        name: name.to_owned(),
        shown,
    }
}

pub(super) fn list(context: &mut Context<'_>) -> Answer {
    let (app, guild) = place(context)?;
    let commands: Vec<Value> = context
        .state
        .app(app)?
        .commands
        .values()
        .filter(|command| command.guild == guild)
        .map(|command| command.shown.clone())
        .collect();
    Ok(Reply::Json(commands.into()))
}

/// A command of the same name and type is replaced.
pub(super) fn create(context: &mut Context<'_>) -> Answer {
    let (app, guild) = place(context)?;
    let body = context.fields()?.clone();
    let mut form = Form::default();
    check(&body, &[], &mut form);
    form.finish()?;
    let fresh = context.state.id();
    let commands = &mut context.state.app_mut(app)?.commands;
    let wanted = build(app, guild, fresh, &body);
    let same = |command: &Command| command.guild == guild && command.kind == wanted.kind;
    let before = commands
        .iter()
        .find(|(_, command)| same(command) && command.name == wanted.name)
        .map(|(id, _)| *id);
    let most = MOST
        .get(usize::try_from(wanted.kind - 1).unwrap_or(0))
        .copied()
        .unwrap_or(0);
    if before.is_none() && commands.values().filter(|command| same(command)).count() >= most {
        return Err(answer::MAX_COMMANDS.into());
    }
    let id = before.unwrap_or(fresh);
    let command = build(app, guild, id, &body);
    let shown = command.shown.clone();
    commands.insert(id, command);
    Ok(if before.is_some() {
        Reply::Json(shown)
    } else {
        Reply::Created(shown)
    })
}

/// Replaces all commands of the place; those that keep their name keep their id.
pub(super) fn overwrite(context: &mut Context<'_>) -> Answer {
    let (app, guild) = place(context)?;
    let Value::Array(wanted) = &context.payload.value else {
        let message = "Only iterables may be used in a ListType";
        return Err(ApiError::field(&[], "LIST_TYPE_CONVERT", message));
    };
    let mut form = Form::default();
    let mut bodies = Vec::new();
    for (at, body) in wanted.iter().enumerate().take(200) {
        let at = at.to_string();
        match body.as_object() {
            Some(body) => {
                check(body, &[&at], &mut form);
                bodies.push(body.clone());
            }
            None => form.fail(
                &[&at],
                "MODEL_TYPE_CONVERT",
                "Only dictionaries may be used in a ModelType",
            ),
        }
    }
    form.finish()?;
    let ids: Vec<Id> = bodies.iter().map(|_| context.state.id()).collect();
    let commands = &mut context.state.app_mut(app)?.commands;
    let mut next: Vec<(Id, Command)> = Vec::new();
    for (body, fresh) in bodies.iter().zip(ids) {
        let new = build(app, guild, fresh, body);
        let same = |command: &Command| {
            command.guild == guild && command.kind == new.kind && command.name == new.name
        };
        if next.iter().any(|(_, other)| same(other)) {
            let message = "Application command names must be unique";
            return Err(ApiError::field(
                &["name"],
                "APPLICATION_COMMANDS_DUPLICATE_NAME",
                message,
            ));
        }
        let id = commands
            .iter()
            .find(|(_, command)| same(command))
            .map_or(fresh, |(id, _)| *id);
        next.push((id, build(app, guild, id, body)));
    }
    for (kind, most) in (1..).zip(MOST) {
        if next
            .iter()
            .filter(|(_, command)| command.kind == kind)
            .count()
            > most
        {
            return Err(answer::MAX_COMMANDS.into());
        }
    }
    let shown: Vec<Value> = next
        .iter()
        .map(|(_, command)| command.shown.clone())
        .collect();
    commands.retain(|_, command| command.guild != guild);
    commands.extend(next);
    Ok(Reply::Json(shown.into()))
}

fn found(context: &Context<'_>) -> Result<(Id, Id, Option<Id>), ApiError> {
    let (app, guild) = place(context)?;
    let id = context.id("command")?;
    let commands = &context.state.app(app)?.commands;
    if commands
        .get(&id)
        .is_some_and(|command| command.guild == guild)
    {
        Ok((app, id, guild))
    } else {
        Err(answer::UNKNOWN_COMMAND.into())
    }
}

pub(super) fn get(context: &mut Context<'_>) -> Answer {
    let (app, id, _) = found(context)?;
    let command = context.state.app(app)?.commands.get(&id);
    Ok(Reply::Json(
        command
            .map(|command| command.shown.clone())
            .unwrap_or_default(),
    ))
}

pub(super) fn edit(context: &mut Context<'_>) -> Answer {
    let (app, id, guild) = found(context)?;
    let changes = context.fields()?.clone();
    let command = context
        .state
        .app(app)?
        .commands
        .get(&id)
        .ok_or(answer::UNKNOWN_COMMAND)?;
    let mut body = command.shown.as_object().cloned().unwrap_or_default();
    body.extend(changes);
    let mut form = Form::default();
    check(&body, &[], &mut form);
    form.finish()?;
    let command = build(app, guild, id, &body);
    let shown = command.shown.clone();
    context.state.app_mut(app)?.commands.insert(id, command);
    Ok(Reply::Json(shown))
}

pub(super) fn delete(context: &mut Context<'_>) -> Answer {
    let (app, id, _) = found(context)?;
    context.state.app_mut(app)?.commands.remove(&id);
    Ok(Reply::Empty)
}
