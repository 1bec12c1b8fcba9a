//! Connect commands in chat.

/// How many mentions may stand before a command.
const MOST_MENTIONS: usize = 8;

/// The argument of a connect command: `/connect <code>` for the word `connect`.
///
/// Mentions before it are skipped, case does not count, the slash is needed, and there is
/// exactly one argument; anything else is ordinary text.
///
/// ```
/// use channel_binding::connect_argument;
///
/// assert_eq!(connect_argument("<@U1> /Connect abc", "connect"), Some("abc"));
/// assert_eq!(connect_argument("/connect", "connect"), None);
/// assert_eq!(connect_argument("/connect a b", "connect"), None);
/// assert_eq!(connect_argument("connect abc", "connect"), None);
/// ```
#[must_use]
pub fn connect_argument<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let mut words = skip_mentions(text).split_whitespace();
    let command = words.next()?.strip_prefix('/')?;
    let name = command.split_once('@').map_or(command, |(name, _)| name);
    let argument = words.next()?;
    (name.eq_ignore_ascii_case(word) && words.next().is_none()).then_some(argument)
}

fn skip_mentions(text: &str) -> &str {
    let mut rest = text.trim_start();
    for _ in 0..MOST_MENTIONS {
        match after_mention(rest) {
            Some(after) => rest = after.trim_start(),
            None => break,
        }
    }
    rest
}

/// What follows a mention: `@name`, `<@id>`, or markup such as `<at id="1">Kit</at>`.
fn after_mention(text: &str) -> Option<&str> {
    if let Some(name) = text.strip_prefix('@') {
        let end = name.find(char::is_whitespace)?;
        return if end == 0 { None } else { name.get(end..) };
    }
    if let Some(id) = text.strip_prefix("<@") {
        return id.split_once('>').map(|(_, after)| after);
    }
    let markup = text.strip_prefix("<at")?;
    let is_tag = markup.starts_with([' ', '>']);
    let (_, after) = markup.split_once("</at>")?;
    is_tag.then_some(after)
}
