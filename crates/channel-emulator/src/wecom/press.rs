//! What people press, and how each product is told.

use serde_json::{Map, Value, json};

use super::card;
use super::model::{ActionError, Product, Topic};
use super::state::State;
use super::tell;
use super::xml::Element;

type Done<T> = Result<T, ActionError>;

impl State {
    /// Presses the button of a card, with what is chosen in it: questions with their options.
    pub(crate) fn press(
        &mut self,
        at: (&str, &str),
        user: &str,
        message: &str,
        key: &str,
        chosen: &[(String, Vec<String>)],
    ) -> Done<()> {
        let product = self.enter(at.0, at.1, user)?;
        let chat = at.1.to_owned();
        let body = self
            .message(at.0, message)
            .filter(|message| message.chat == chat)
            .map(|message| message.body.clone())
            .ok_or(ActionError::UnknownMessage)?;
        if product == Product::Group {
            return self.press_attachment(at, user, &body, key);
        }
        let shown = body.get("template_card").cloned().unwrap_or_default();
        if !card::has_key(&shown, key) {
            return Err(ActionError::UnknownMessage);
        }
        let text = |name: &str| {
            shown
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        let (kind, task) = (text("card_type"), text("task_id"));
        let id = self.id("evt");
        let topic = Topic::Event("template_card_event".to_owned());
        let mut cause = self.cause(topic, &id, at.1, user);
        cause.card = Some((message.to_owned(), task.clone()));
        let payload = if product == Product::App {
            let code = self.card_code(at.0, message);
            let items = chosen.iter().map(|(question, options)| {
                let options = options.iter().map(|o| Element::text("OptionId", o));
                Element::node(
                    "SelectedItem",
                    vec![
                        Element::text("QuestionKey", question),
                        Element::node("OptionIds", options.collect()),
                    ],
                )
            });
            let fields = vec![
                Element::text("Event", "template_card_event"),
                Element::text("EventKey", key),
                Element::text("TaskId", &task),
                Element::text("CardType", &kind),
                Element::text("ResponseCode", &code),
                Element::node("SelectedItems", items.collect()),
            ];
            tell::app(self, at.0, user, "event", fields, None)
        } else {
            let items: Vec<Value> = chosen
                .iter()
                .map(|(question, options)| {
                    json!({"question_key": question, "option_ids": {"option_id": options}})
                })
                .collect();
            let mut detail = json!({"card_type": kind, "event_key": key, "task_id": task});
            if !items.is_empty()
                && let Some(detail) = detail.as_object_mut()
            {
                detail.insert("selected_items".into(), json!({"selected_item": items}));
            }
            let event = Map::from_iter([
                ("eventtype".to_owned(), "template_card_event".into()),
                ("template_card_event".to_owned(), detail),
            ]);
            let mut body = tell::ai(self, at, user, &id);
            if product == Product::Ai {
                body.insert("response_url".into(), self.response_url(at).into());
            }
            body.insert("msgtype".into(), "event".into());
            body.insert("event".into(), event.into());
            Value::from(body).to_string()
        };
        self.tell(at.0, cause, payload);
        Ok(())
    }

    /// The buttons below a markdown reply of a group bot.
    fn press_attachment(
        &mut self,
        at: (&str, &str),
        user: &str,
        body: &Value,
        key: &str,
    ) -> Done<()> {
        let attachment = body.get("attachment").ok_or(ActionError::UnknownMessage)?;
        let actions = match attachment.get("Actions") {
            Some(Value::Array(actions)) => actions.as_slice(),
            Some(action) => std::slice::from_ref(action),
            None => &[],
        };
        let text = |value: &Value, name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        let action = actions
            .iter()
            .find(|action| text(action, "Name") == key || text(action, "Value") == key)
            .ok_or(ActionError::UnknownMessage)?;
        let callback = text(attachment, "CallbackId");
        let (name, value) = (text(action, "Name"), text(action, "Value"));
        let id = self.id("evt");
        let cause = self.cause(Topic::Event("attachment".to_owned()), &id, at.1, user);
        let xml = Element::node(
            "Attachment",
            vec![
                Element::text("CallbackId", &callback),
                Element::node(
                    "Actions",
                    vec![
                        Element::text("Name", &name),
                        Element::text("Value", &value),
                        Element::text("Type", "button"),
                    ],
                ),
            ],
        );
        let list = json!({"callbackid": callback, "actions": [{"name": name, "value": value, "type": "button"}]});
        let payload = tell::group(self, at, user, &id, "attachment", xml, ("attachment", list));
        self.tell(at.0, cause, payload);
        Ok(())
    }
}
