//! Buttons: a template under a short text, quick replies under anything else, and a Flex
//! message where there are more of them than those take.

use channel_core::{Button, ButtonAction, Error};
use serde_json::{Value, json};

use crate::error::invalid;
use crate::render::{cut, is_blank};
use crate::{flex, limits};

/// The buttons of a message, all of them such that LINE takes them.
#[derive(Debug, Default)]
pub(crate) struct Buttons<'a>(Vec<&'a Button>);

impl<'a> Buttons<'a> {
    /// Checks the buttons of a message.
    pub(crate) fn of(
        buttons: impl IntoIterator<Item = &'a Button>,
        operation: &'static str,
    ) -> Result<Self, Error> {
        let buttons: Vec<_> = buttons.into_iter().collect();
        buttons
            .iter()
            .try_for_each(|button| check(button, operation))?;
        Ok(Self(buttons))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels that are too long for a button: they are said in words, so that a choice
    /// is never shown in part only.
    pub(crate) fn long_labels(&self) -> Option<String> {
        let long = self.0.iter().filter(|it| !limits::LABEL.fits(&it.label));
        let lines: Vec<_> = long.map(|it| format!("\u{2022} {}", it.label)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// The buttons as a template that shows this text; `None` if they do not fit into one.
    pub(crate) fn template(&self, text: &str) -> Option<Value> {
        let fits = (1..=limits::TEMPLATE_BUTTONS).contains(&self.0.len())
            && limits::TEMPLATE_TEXT.fits(text);
        let template = json!({"type": "buttons", "text": text, "actions": self.actions()});
        fits.then(|| {
            json!({"type": "template", "altText": cut(text, limits::ALT_TEXT), "template": template})
        })
    }

    /// The buttons as quick replies; `None` if there are too many.
    pub(crate) fn quick_reply(&self) -> Option<Value> {
        let items: Vec<_> = self
            .actions()
            .into_iter()
            .map(|action| json!({"type": "action", "action": action}))
            .collect();
        (items.len() <= limits::QUICK_REPLIES).then(|| json!({"items": items}))
    }

    /// The buttons as messages of their own.
    pub(crate) fn flex(&self) -> Vec<Value> {
        let chunks = self.0.chunks(limits::BUBBLE_BUTTONS);
        chunks
            .map(|chunk| {
                let labels: Vec<_> = chunk.iter().map(|it| it.label.as_str()).collect();
                let contents: Vec<_> = chunk.iter().map(|it| flex::button(&action(it))).collect();
                flex::message(&labels.join(", "), &flex::bubble(&contents))
            })
            .collect()
    }

    /// What each button does.
    pub(crate) fn actions(&self) -> Vec<Value> {
        self.0.iter().map(|it| action(it)).collect()
    }
}

/// <https://developers.line.biz/en/reference/messaging-api/#action-objects>
fn action(button: &Button) -> Value {
    let label = cut(&button.label, limits::LABEL);
    match &button.action {
        ButtonAction::Press(value) => json!({"type": "postback", "label": label, "data": value,
            "displayText": cut(&button.label, limits::DISPLAY)}),
        ButtonAction::Open(url) => json!({"type": "uri", "label": label, "uri": url}),
        // Refused before.
        _ => json!({"type": "message", "label": label, "text": label}),
    }
}

fn check(button: &Button, operation: &'static str) -> Result<(), Error> {
    if is_blank(&button.label) {
        return Err(invalid("a button needs a label", operation));
    }
    match &button.action {
        ButtonAction::Press(value) => {
            let size = value.len();
            if size == 0 || size > limits::ACTION_BYTES {
                let max = limits::ACTION_BYTES;
                return Err(invalid(
                    format!("a button's value is {size} bytes, it has to be 1 to {max}"),
                    operation,
                ));
            }
        }
        ButtonAction::Open(url) => {
            let known = ["https://", "http://", "line://", "tel:"];
            let fits = known.iter().any(|scheme| url.starts_with(scheme))
                && limits::OPEN.fits(url)
                && !url.chars().any(|it| it.is_whitespace() || it.is_control());
            if !fits {
                return Err(invalid(
                    "a button opens an address of at most 1000 characters that starts with https://, http://, line:// or tel:",
                    operation,
                ));
            }
        }
        _ => return Err(invalid("line has no such button", operation)),
    }
    Ok(())
}
