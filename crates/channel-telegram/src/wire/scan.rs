//! Cuts a batch of updates into raw slices.
//!
//! One pass that understands strings and brackets and nothing else, so that an update
//! which no decoder accepts cannot take its siblings with it.

use memchr::memchr2;

/// The updates of a `getUpdates` answer, as they stand in its body.
///
/// `None` if the answer is not `{"ok":true, ..., "result":[...]}`.
pub(crate) fn updates(body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut ok = false;
    let mut result = None;
    let mut fields = Fields::new(body)?;
    while let Some(name) = fields.name() {
        if name == b"result" && body.get(fields.at) == Some(&b'[') {
            // Cut while it is walked over for the first and only time.
            let (found, end) = elements(body, fields.at)?;
            result = Some(found);
            fields.pass(end);
        } else {
            let value = fields.value()?;
            ok |= name == b"ok" && value == b"true";
        }
    }
    result.filter(|_| ok)
}

/// The id of an update, found without decoding it.
pub(crate) fn update_id(update: &[u8]) -> Option<i64> {
    // Telegram puts it first and without spaces.
    let known = update.strip_prefix(br#"{"update_id":"#).and_then(|rest| {
        let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        (rest.get(end) == Some(&b',')).then_some(rest.get(..end)?)
    });
    match known {
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        None => update_head(update).0,
    }
}

/// The id and the first other name of an update that cannot be decoded.
pub(crate) fn update_head(update: &[u8]) -> (Option<i64>, Option<&str>) {
    let mut id = None;
    let mut name = None;
    for (field, value) in Fields::new(update).into_iter().flatten() {
        if field == b"update_id" {
            id = id.or_else(|| std::str::from_utf8(value).ok()?.parse().ok());
        } else if name.is_none() {
            name = std::str::from_utf8(field).ok();
        }
    }
    (id, name)
}

/// What a message without words or files holds that nobody knows yet, by the name of its
/// field, or the name under which the message came if it holds nothing; `None` if it is
/// something known that a person has sent.
pub(crate) fn unknown_content(update: &[u8]) -> Option<String> {
    let mut name = None;
    for (field, message) in Fields::new(update)?.filter(|(field, _)| field != b"update_id") {
        let mut unknown = None;
        for (field, value) in Fields::new(message).into_iter().flatten() {
            if value == b"null" || ENVELOPE.contains(&field) {
                continue;
            }
            if CONTENT.contains(&field) {
                return None;
            }
            // What a message is comes behind what every message has.
            unknown = Some(field);
        }
        name = name.or(unknown).or(Some(field));
    }
    // A name is a word; it goes into counters.
    let name = std::str::from_utf8(name?).ok()?;
    Some(name.chars().take(64).collect())
}

/// What a person sends that is neither words nor a file.
const CONTENT: [&[u8]; 14] = [
    b"checklist",
    b"contact",
    b"dice",
    b"game",
    b"giveaway",
    b"giveaway_winners",
    b"invoice",
    b"location",
    b"passport_data",
    b"poll",
    b"rich_message",
    b"story",
    b"venue",
    b"web_app_data",
];

/// What any message may have besides what it says
/// (<https://core.telegram.org/bots/api#message>).
const ENVELOPE: [&[u8]; 40] = [
    b"author_signature",
    b"business_connection_id",
    b"caption_entities",
    b"chat",
    b"date",
    b"direct_messages_topic",
    b"edit_date",
    b"effect_id",
    b"entities",
    b"ephemeral_message_id",
    b"external_reply",
    b"forward_origin",
    b"from",
    b"guest_query_id",
    b"has_media_spoiler",
    b"has_protected_content",
    b"is_automatic_forward",
    b"is_from_offline",
    b"is_paid_post",
    b"is_topic_message",
    b"link_preview_options",
    b"media_group_id",
    b"message_id",
    b"message_thread_id",
    b"new_chat_members",
    b"paid_star_count",
    b"photo",
    b"quote",
    b"reply_markup",
    b"reply_to_checklist_task_id",
    b"reply_to_message",
    b"reply_to_poll_option_id",
    b"reply_to_story",
    b"sender_boost_count",
    b"sender_business_bot",
    b"sender_chat",
    b"sender_tag",
    b"show_caption_above_media",
    b"suggested_post_info",
    b"via_bot",
];

/// The values of an array, and where it ends.
fn elements(body: &[u8], start: usize) -> Option<(Vec<&[u8]>, usize)> {
    let mut found = Vec::new();
    let mut at = skip_space(body, expect(body, start, b'[')?);
    if body.get(at) == Some(&b']') {
        return Some((found, at + 1));
    }
    loop {
        let end = skip_value(body, at)?;
        found.push(body.get(at..end)?);
        at = skip_space(body, end);
        match body.get(at)? {
            b',' => at = skip_space(body, at + 1),
            b']' => return Some((found, at + 1)),
            _ => return None,
        }
    }
}

/// The fields of an object, names without their quotes; ends early where it is broken.
struct Fields<'a> {
    object: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(object: &'a [u8]) -> Option<Self> {
        // Some proxies put a byte order mark in front.
        let start = if object.starts_with(b"\xEF\xBB\xBF") {
            3
        } else {
            0
        };
        let at = expect(object, skip_space(object, start), b'{')?;
        Some(Self { object, at })
    }

    /// Moves to the value of the next field.
    fn name(&mut self) -> Option<&'a [u8]> {
        let start = expect(self.object, skip_space(self.object, self.at), b'"')?;
        let after = skip_string(self.object, start)?;
        let colon = expect(self.object, skip_space(self.object, after), b':')?;
        self.at = skip_space(self.object, colon);
        self.object.get(start..after - 1)
    }

    /// The value, and on to the next field.
    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let end = skip_value(self.object, start)?;
        self.pass(end);
        self.object.get(start..end)
    }

    /// Goes on behind a value. At a closing brace the next call finds no name and ends.
    fn pass(&mut self, end: usize) {
        let next = skip_space(self.object, end);
        self.at = next + usize::from(self.object.get(next) == Some(&b','));
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.name()?, self.value()?))
    }
}

fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*bytes.get(at)? == byte).then_some(at + 1)
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// From behind the opening quote to behind the closing one.
fn skip_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// From the first byte of a value to behind its last.
fn skip_value(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => skip_string(bytes, start + 1),
        b'{' | b'[' => {
            let mut depth = 1_usize;
            let mut at = start + 1;
            while depth > 0 {
                let byte = *bytes.get(at)?;
                at += 1;
                match byte {
                    b'"' => at = skip_string(bytes, at)?,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
            }
            Some(at)
        }
        _ => {
            let rest = bytes.get(start..)?;
            let ends =
                |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            let length = rest.iter().position(ends).unwrap_or(rest.len());
            (length > 0).then_some(start + length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_a_batch_whatever_is_in_it() {
        let body = br#" {"ok" : true, "x":{"result":[1]}, "result": [ {"a":"]},{\"\\"}, {"b":[[{}]]},3 ,"s" ] }"#;
        assert_eq!(
            updates(body).unwrap(),
            [
                br#"{"a":"]},{\"\\"}"#.as_slice(),
                br#"{"b":[[{}]]}"#,
                b"3",
                br#""s""#
            ]
        );
        assert_eq!(updates(br#"{"result":[],"ok":true}"#).unwrap().len(), 0);
    }

    #[test]
    fn refuses_what_is_no_batch() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            r#"{"ok":true}"#,
            r#"{"ok":false,"result":[]}"#,
            r#"{"ok":true,"result":{}}"#,
            r#"{"ok":true,"result":[}"#,
            r#"{"ok":true,"result":[1 2]}"#,
            r#"{"ok":true,"result":["]}"#,
            r#"{"ok":true,"result":[,]}"#,
        ] {
            assert!(updates(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn finds_the_head_of_a_broken_update() {
        assert_eq!(
            update_head(br#"{"poll":{"x":tru},"update_id":9007199254740993}"#),
            (Some(9_007_199_254_740_993), Some("poll"))
        );
        assert_eq!(update_id(br#"{"update_id":12,"x":1}"#), Some(12));
        assert_eq!(update_id(br#"{ "x" : 1 , "update_id" : -12}"#), Some(-12));
        assert_eq!(update_id(br#"{"update_id":1.5,"x":1}"#), None);
        assert_eq!(update_head(b"[]"), (None, None));
        assert_eq!(update_head(br#"{"update_id":"7"}"#), (None, None));
    }
}
