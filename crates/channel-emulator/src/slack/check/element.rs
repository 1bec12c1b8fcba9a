//! Buttons, menus and inputs. <https://docs.slack.dev/reference/block-kit/block-elements/>

use std::collections::BTreeSet;

use serde_json::Value;

use super::Faults;

/// Checks one element.
pub(super) fn element<'a>(
    at: &str,
    part: &'a Value,
    seen: &mut BTreeSet<&'a str>,
    faults: &mut Faults,
) {
    faults.text(at, part, "action_id", (0, 255), false);
    if let Some(id) = part.get("action_id").and_then(Value::as_str)
        && !id.is_empty()
        && !seen.insert(id)
    {
        faults.add(at, "`action_id` values must be unique");
    }
    faults.text_object(at, part, "placeholder", 150, (false, false));
    match part.get("type").and_then(Value::as_str) {
        Some("button" | "workflow_button") => {
            faults.text_object(at, part, "text", 75, (true, false));
            faults.text(at, part, "value", (0, 2000), false);
            faults.text(at, part, "url", (1, 3000), false);
            if let Some(style) = part.get("style")
                && !matches!(style.as_str(), Some("primary" | "danger"))
            {
                faults.add(&format!("{at}/style"), "must be a valid enum value");
            }
        }
        Some("image") => {
            faults.text(at, part, "alt_text", (1, 2000), true);
            super::image(at, part, faults);
        }
        Some("static_select" | "multi_static_select") => {
            let has_groups = part.get("option_groups").is_some();
            choices(at, part, !has_groups, faults);
        }
        Some("overflow") => options(at, part, 5, true, faults),
        Some("checkboxes" | "radio_buttons") => options(at, part, 10, true, faults),
        Some(
            "external_select"
            | "multi_external_select"
            | "users_select"
            | "multi_users_select"
            | "conversations_select"
            | "multi_conversations_select"
            | "channels_select"
            | "multi_channels_select"
            | "datepicker"
            | "timepicker"
            | "datetimepicker"
            | "plain_text_input"
            | "email_text_input"
            | "url_text_input"
            | "number_input"
            | "rich_text_input"
            | "file_input"
            | "feedback_buttons"
            | "icon_button",
        ) => {}
        Some(_) => faults.add(at, "unsupported type"),
        None => faults.add(at, "missing required field: type"),
    }
}

/// Options, or groups of them.
/// <https://docs.slack.dev/reference/block-kit/composition-objects/option-group-object/>
pub(super) fn choices(at: &str, part: &Value, required: bool, faults: &mut Faults) {
    options(at, part, 100, required, faults);
    let groups = faults.list(at, part, "option_groups", 100, false);
    for (index, group) in groups.iter().enumerate() {
        let at = format!("{at}/option_groups/{index}");
        faults.text_object(&at, group, "label", 75, (true, false));
        options(&at, group, 100, true, faults);
    }
}

/// <https://docs.slack.dev/reference/block-kit/composition-objects/option-object/>
fn options(at: &str, part: &Value, most: usize, required: bool, faults: &mut Faults) {
    for (index, option) in faults
        .list(at, part, "options", most, required)
        .iter()
        .enumerate()
    {
        let at = format!("{at}/options/{index}");
        faults.text_object(&at, option, "text", 75, (true, true));
        faults.text(&at, option, "value", (1, 150), true);
        faults.text_object(&at, option, "description", 75, (false, true));
    }
}
