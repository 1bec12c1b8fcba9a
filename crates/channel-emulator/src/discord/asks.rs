//! What people ask of applications: commands, buttons, menus and modals.
//!
//! <https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::components;
use super::model::{ActionError, Command, Id, Interaction, Stage, permission};
use super::post::Ask;
use super::sessions::Audience;
use super::shape::put;
use super::state::{Parcel, State};

impl State {
    /// Makes an interaction and sends it on its way; gives its id.
    pub(crate) fn ask(
        &mut self,
        app: Id,
        channel: Id,
        user: Id,
        ask: Ask,
    ) -> Result<Id, ActionError> {
        let at = self.person_in(channel, user)?;
        let guild = at.guild;
        let sees = match (at.pair, guild) {
            (Some((bot, _)), _) => bot == app,
            (None, guild) => guild
                .and_then(|guild| self.guilds.get(&guild))
                .is_some_and(|guild| guild.bots.contains(&app)),
        };
        if !sees {
            return Err(ActionError::UnknownBot);
        }
        let id = self.id();
        let token = format!("{}{}", self.hex(), self.hex());
        let mut asked = Interaction {
            id,
            app,
            token,
            kind: 2,
            channel,
            user,
            at_ms: self.now_ms,
            stage: Stage::Open,
            name: None,
            message: None,
            original: None,
            shown: None,
        };
        let data = match ask {
            Ask::Command { name, options } => {
                let (id, command) = self.command(app, guild, &name)?;
                asked.name = Some(name);
                let options: BTreeMap<_, _> = options
                    .into_iter()
                    .map(|(name, value)| (name, (value, false)))
                    .collect();
                command_data(id, command, options)?
            }
            Ask::Complete { name, option, text } => {
                let (id, command) = self.command(app, guild, &name)?;
                asked.kind = 4;
                asked.name = Some(name);
                command_data(id, command, BTreeMap::from([(option, (text.into(), true))]))?
            }
            Ask::Component {
                message,
                custom_id,
                values,
            } => {
                asked.kind = 3;
                asked.message = Some(message);
                self.component_data(channel, message, &custom_id, values)?
            }
            Ask::Modal {
                interaction,
                values,
            } => {
                let opened = self.interactions.get(&interaction);
                let opened = opened.filter(|opened| opened.stage == Stage::Acknowledged(9));
                let opened = opened.ok_or(ActionError::UnknownComponent)?;
                asked.kind = 5;
                asked.message = opened.message;
                modal_data(opened.shown.as_ref(), &values)
            }
        };
        let body = self.interaction_json(&asked, guild, &data);
        self.remember(asked);
        self.send_off(app, guild, id, &body);
        Ok(id)
    }

    fn command(
        &self,
        app: Id,
        guild: Option<Id>,
        name: &str,
    ) -> Result<(Id, &Command), ActionError> {
        self.apps
            .get(&app)
            .ok_or(ActionError::UnknownBot)?
            .commands
            .iter()
            .filter(|(_, command)| command.guild.is_none() || command.guild == guild)
            .find(|(_, command)| command.name == name)
            .map(|(id, command)| (*id, command))
            .ok_or(ActionError::UnknownComponent)
    }

    fn component_data(
        &self,
        channel: Id,
        message: Id,
        custom_id: &str,
        values: Vec<String>,
    ) -> Result<Value, ActionError> {
        let of = self
            .any_message(channel, message)
            .ok_or(ActionError::UnknownMessage)?;
        let component = components::find(&of.components, custom_id);
        let component = component.ok_or(ActionError::UnknownComponent)?;
        let disabled = component
            .get("disabled")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if disabled {
            return Err(ActionError::Invalid("the component is disabled"));
        }
        let kind = component.get("type").and_then(Value::as_u64).unwrap_or(2);
        let mut data =
            json!({"component_type": kind, "custom_id": custom_id, "id": component.get("id")});
        if kind != 2 {
            let offered = |value: &String| {
                component
                    .get("options")
                    .and_then(Value::as_array)
                    .is_none_or(|options| {
                        options.iter().any(|option| {
                            option.get("value").and_then(Value::as_str) == Some(value)
                        })
                    })
            };
            if !values.iter().all(offered) {
                return Err(ActionError::UnknownComponent);
            }
            if let Some(data) = data.as_object_mut() {
                put(data, "values", Some(values));
                // Only ids have something to be resolved to; libraries look for it before they look at the values.
                if kind != 3 {
                    put(data, "resolved", Some(json!({})));
                }
            }
        }
        Ok(data)
    }

    fn interaction_json(&self, asked: &Interaction, guild: Option<Id>, data: &Value) -> Value {
        let channel = self
            .channels
            .get(&asked.channel)
            .map(|channel| self.channel_json(channel));
        let mut body = json!({
            "id": asked.id.to_string(), "application_id": asked.app.to_string(), "type": asked.kind,
            "token": asked.token, "version": 1, "channel_id": asked.channel.to_string(), "channel": channel,
            "data": data, "app_permissions": permission::ALL.to_string(), "locale": "en-US", "entitlements": [],
            "authorizing_integration_owners": {"0": guild.unwrap_or(0).to_string()},
            "attachment_size_limit": self.config.upload_limit, "context": u64::from(guild.is_none()),
            "entitlement_sku_ids": [],
        });
        let Some(fields) = body.as_object_mut() else {
            return body;
        };
        if let Some(guild) = guild {
            let mut member = self.member_with_user(guild, asked.user);
            if let Some(member) = member.as_object_mut() {
                put(member, "permissions", Some(permission::ALL.to_string()));
            }
            put(fields, "guild_id", Some(guild.to_string()));
            put(fields, "guild_locale", Some("en-US"));
            let shown = json!({"id": guild.to_string(), "locale": "en-US", "features": []});
            put(fields, "guild", Some(shown));
            put(fields, "member", Some(member));
        } else {
            put(fields, "user", Some(self.user_json(asked.user)));
        }
        if let Some(message) = asked
            .message
            .and_then(|id| self.any_message(asked.channel, id))
        {
            put(
                fields,
                "message",
                Some(self.message_json(message, asked.app, false)),
            );
        }
        body
    }

    /// Gives an interaction to the endpoint when there is one, and to the gateway when not: never to both.
    fn send_off(&mut self, app: Id, guild: Option<Id>, id: Id, body: &Value) {
        let endpoint = self.apps.get(&app).and_then(|app| app.endpoint.clone());
        if let Some(url) = endpoint {
            self.send_parcel(Parcel {
                app,
                url,
                interaction: Some(id),
                body: body.to_string(),
            });
            return;
        }
        let to = Audience {
            app,
            guild,
            intents: 0,
        };
        self.emit(to, "INTERACTION_CREATE", body);
    }
}

fn command_data(
    id: Id,
    command: &Command,
    mut given: BTreeMap<String, (Value, bool)>,
) -> Result<Value, ActionError> {
    let declared = command.shown.get("options").and_then(Value::as_array);
    let mut options = Vec::new();
    for option in declared.into_iter().flatten() {
        let name = option
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let required = option
            .get("required")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let kind = option.get("type").and_then(Value::as_u64).unwrap_or(3);
        match given.remove(name) {
            Some((value, focused)) => {
                let mut option = json!({"name": name, "type": kind, "value": value});
                if let (true, Some(option)) = (focused, option.as_object_mut()) {
                    put(option, "focused", Some(true));
                }
                options.push(option);
            }
            None if required && !given.values().any(|(_, focused)| *focused) => {
                return Err(ActionError::Invalid("the command wants another option"));
            }
            None => {}
        }
    }
    if !given.is_empty() {
        return Err(ActionError::UnknownComponent);
    }
    let mut data = json!({"id": id.to_string(), "name": command.name, "type": command.kind});
    if let Some(data) = data.as_object_mut() {
        put(
            data,
            "guild_id",
            command.guild.map(|guild| guild.to_string()),
        );
        if !options.is_empty() {
            put(data, "options", Some(options));
        }
    }
    Ok(data)
}

/// The modal's components as they are submitted: the same layout with a value in each.
fn modal_data(modal: Option<&Value>, values: &BTreeMap<String, String>) -> Value {
    fn filled(component: &Value, values: &BTreeMap<String, String>, depth: u32) -> Value {
        let mut shown = json!({"type": component.get("type"), "id": component.get("id").cloned().unwrap_or_else(|| 1.into())});
        if let Some(fields) = shown.as_object_mut() {
            if let Some(id) = component.get("custom_id").and_then(Value::as_str) {
                put(fields, "custom_id", Some(id));
                put(
                    fields,
                    "value",
                    Some(values.get(id).map(String::as_str).unwrap_or_default()),
                );
            }
            if let (Some(nested), true) = (
                component.get("components").and_then(Value::as_array),
                depth < 4,
            ) {
                let nested: Vec<Value> = nested
                    .iter()
                    .map(|nested| filled(nested, values, depth + 1))
                    .collect();
                put(fields, "components", Some(nested));
            }
            if let (Some(nested), true) = (component.get("component"), depth < 4) {
                put(fields, "component", Some(filled(nested, values, depth + 1)));
            }
        }
        shown
    }
    let components = modal
        .and_then(|modal| modal.get("components"))
        .and_then(Value::as_array);
    let components: Vec<Value> = components
        .into_iter()
        .flatten()
        .map(|component| filled(component, values, 0))
        .collect();
    json!({"custom_id": modal.and_then(|modal| modal.get("custom_id")), "components": components})
}
