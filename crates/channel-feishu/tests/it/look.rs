//! What people see.

use serde_json::Value;

/// What people see of a content: its words, the labels to press, and what a press of each
/// carries.
pub(crate) fn look(kind: &str, content: &Value) -> (String, Vec<(String, Value)>) {
    let mut buttons = Vec::new();
    let text = match kind {
        "text" => content["text"].as_str().unwrap_or_default().to_owned(),
        "post" => {
            let lines = content["zh_cn"]["content"].as_array().unwrap();
            let line = |line: &Value| {
                line.as_array()
                    .unwrap()
                    .iter()
                    .map(element)
                    .collect::<String>()
            };
            lines.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        "interactive" => {
            let mut words = Vec::new();
            words.extend(
                content["header"]["title"]["content"]
                    .as_str()
                    .map(str::to_owned),
            );
            elements(&content["body"]["elements"], &mut words, &mut buttons);
            words.join("\n")
        }
        _ => String::new(),
    };
    (text, buttons)
}

fn element(it: &Value) -> String {
    match it["tag"].as_str().unwrap() {
        "at" => format!("@{}", it["user_id"].as_str().unwrap()),
        _ => it["text"].as_str().unwrap_or_default().to_owned(),
    }
}

fn elements(all: &Value, words: &mut Vec<String>, buttons: &mut Vec<(String, Value)>) {
    for it in all.as_array().into_iter().flatten() {
        match it["tag"].as_str().unwrap() {
            "markdown" => words.push(unmarked(it["content"].as_str().unwrap())),
            "div" => words.push(it["text"]["content"].as_str().unwrap().to_owned()),
            "button" => {
                let label = it["text"]["content"].as_str().unwrap().to_owned();
                buttons.push((label, it["behaviors"][0]["value"].clone()));
            }
            "select_static" => {
                for option in it["options"].as_array().unwrap() {
                    let label = option["text"]["content"].as_str().unwrap().to_owned();
                    buttons.push((label, it["behaviors"][0]["value"].clone()));
                }
            }
            _ => {
                elements(&it["columns"], words, buttons);
                elements(&it["elements"], words, buttons);
            }
        }
    }
}

/// Markdown without its marks and escapes.
fn unmarked(text: &str) -> String {
    let mut text = text.replace(['*', '`', '~'], "");
    for code in 0..128_u8 {
        text = text.replace(&format!("&#{code};"), &char::from(code).to_string());
    }
    text
}
