//! Paths and what they lead to.

use http::Method;

/// The endpoint of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// The short name, as in the ledger and in faults.
    pub(crate) name: &'static str,
    /// The first id in the path.
    pub(crate) id: &'a str,
    /// The second one.
    pub(crate) second: &'a str,
}

impl Route<'_> {
    /// Whether it takes a form with a file.
    pub(crate) fn is_upload(&self) -> bool {
        matches!(self.name, "upload_image" | "upload_file")
    }
}

/// The endpoint of a path below `/open-apis/`.
pub(crate) fn route<'a>(method: &Method, path: &'a str) -> Option<Route<'a>> {
    let rest = path.strip_prefix("/open-apis/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let none = ("", "");
    let (name, (id, second)) = match (method.as_str(), parts.as_slice()) {
        (
            "POST",
            [
                "auth",
                "v3",
                "tenant_access_token" | "app_access_token",
                "internal",
            ],
        ) => ("token", none),
        ("GET", ["bot", "v3", "info"]) => ("bot_info", none),
        (_, ["im", "v1", rest @ ..]) => im(method, rest)?,
        (_, ["cardkit", "v1", "cards", rest @ ..]) => cardkit(method, rest)?,
        ("POST", ["interactive", "v1", "card", "update"]) => ("late_update", none),
        ("GET", ["contact", "v3", "users", id]) => ("user", (*id, "")),
        _ => return None,
    };
    Some(Route { name, id, second })
}

type Found<'a> = Option<(&'static str, (&'a str, &'a str))>;

fn im<'a>(method: &Method, parts: &[&'a str]) -> Found<'a> {
    Some(match (method.as_str(), parts) {
        ("POST", ["messages"]) => ("send", ("", "")),
        ("GET", ["messages"]) => ("history", ("", "")),
        ("GET", ["messages", id]) => ("message", (*id, "")),
        ("PUT", ["messages", id]) => ("edit", (*id, "")),
        ("PATCH", ["messages", id]) => ("update_card", (*id, "")),
        ("DELETE", ["messages", id]) => ("recall", (*id, "")),
        ("POST", ["messages", id, "reply"]) => ("reply", (*id, "")),
        ("POST", ["messages", id, "reactions"]) => ("react", (*id, "")),
        ("GET", ["messages", id, "reactions"]) => ("reactions", (*id, "")),
        ("DELETE", ["messages", id, "reactions", reaction]) => ("unreact", (*id, *reaction)),
        ("GET", ["messages", id, "resources", key]) => ("resource", (*id, *key)),
        ("POST", ["images"]) => ("upload_image", ("", "")),
        ("GET", ["images", key]) => ("image", (*key, "")),
        ("POST", ["files"]) => ("upload_file", ("", "")),
        ("GET", ["files", key]) => ("file", (*key, "")),
        ("GET", ["chats"]) => ("chats", ("", "")),
        ("GET", ["chats", id]) => ("chat", (*id, "")),
        ("GET", ["chats", id, "members"]) => ("members", (*id, "")),
        _ => return None,
    })
}

fn cardkit<'a>(method: &Method, parts: &[&'a str]) -> Found<'a> {
    Some(match (method.as_str(), parts) {
        ("POST", []) => ("create_card", ("", "")),
        ("POST", ["id_convert"]) => ("id_convert", ("", "")),
        ("PUT", [id]) => ("replace_card", (*id, "")),
        ("PATCH", [id, "settings"]) => ("card_settings", (*id, "")),
        ("POST", [id, "batch_update"]) => ("batch_update", (*id, "")),
        ("POST", [id, "elements"]) => ("add_element", (*id, "")),
        ("PUT", [id, "elements", element]) => ("replace_element", (*id, *element)),
        ("PATCH", [id, "elements", element]) => ("patch_element", (*id, *element)),
        ("DELETE", [id, "elements", element]) => ("delete_element", (*id, *element)),
        ("PUT", [id, "elements", element, "content"]) => ("element_content", (*id, *element)),
        _ => return None,
    })
}
