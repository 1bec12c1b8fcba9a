//! What people see.

use serde_json::Value;

use crate::fake::Sent;

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// What people see of a message: its words and the labels to press.
pub(crate) fn look(sent: &Sent) -> (String, Vec<String>) {
    if let Some(markdown) = sent.fields["markdown_text"].as_str() {
        return (markdown.to_owned(), Vec::new());
    }
    let text = sent.fields["text"].as_str().unwrap();
    let mut buttons = Vec::new();
    let blocks = sent.fields["blocks"]
        .as_array()
        .filter(|blocks| !blocks.is_empty());
    let Some(blocks) = blocks else {
        let marks = |c: char| sent.is_marked && matches!(c, '*' | '_' | '~' | '`');
        return (unescape(text).replace(marks, ""), buttons);
    };
    let mut words = Vec::new();
    let shown = |it: &Value| {
        let text = unescape(it["text"].as_str().unwrap());
        let is_marked = it["type"] == "mrkdwn";
        text.replace(|c| is_marked && matches!(c, '*' | '_' | '~' | '`'), "")
    };
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "section" => {
                words.extend(block.get("text").map(shown));
                words.extend(block["fields"].as_array().into_iter().flatten().map(shown));
                let options = block["accessory"]["options"]
                    .as_array()
                    .into_iter()
                    .flatten();
                buttons.extend(options.map(|option| shown(&option["text"])));
            }
            "header" => words.push(shown(&block["text"])),
            "context" => words.extend(block["elements"].as_array().unwrap().iter().map(shown)),
            "actions" => buttons.extend(
                block["elements"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| shown(&it["text"])),
            ),
            "markdown" => words.push(block["text"].as_str().unwrap().to_owned()),
            "image" => words.push(block["alt_text"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }
    (words.join("\n"), buttons)
}
