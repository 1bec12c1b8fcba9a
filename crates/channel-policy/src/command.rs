//! Commands: from a text to words.

use std::borrow::Cow;
use std::fmt;

/// Why a text is no command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// A double quote is not closed.
    UnbalancedQuote,
    /// The word after the slash is not made of `A-Za-z0-9_-`, or is longer than 64.
    BadName,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnbalancedQuote => "a double quote is not closed",
            Self::BadName => "a command is a slash and 1 to 64 of A-Z a-z 0-9 _ -",
        })
    }
}

impl std::error::Error for ParseError {}

/// Splits a text at white space; `"two words"` are one.
///
/// Only double quotes quote, an apostrophe is a letter, a backslash too.
///
/// ```
/// use channel_policy::tokenise;
///
/// let words = tokenise(r#"run "a b" it's"#)?;
/// assert_eq!(words, ["run", "a b", "it's"]);
/// # Ok::<(), channel_policy::ParseError>(())
/// ```
///
/// # Errors
///
/// [`ParseError::UnbalancedQuote`].
pub fn tokenise(text: &str) -> Result<Vec<String>, ParseError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
            word.get_or_insert_default();
        } else if c.is_whitespace() && !quoted {
            words.extend(word.take());
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    if quoted {
        return Err(ParseError::UnbalancedQuote);
    }
    words.extend(word);
    Ok(words)
}

/// What a text is, once it is normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
    /// Nothing but white space.
    Empty,
    /// Words for the bot, or for nobody in particular.
    Text(String),
    /// A command for us.
    Command(CommandLine),
    /// A command for another bot.
    ForAnother,
}

/// A command and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLine {
    /// The word in lower case, with its slash and without a bot's name.
    pub name: String,
    /// The words after it.
    pub arguments: Vec<String>,
}

/// Brings texts into one form, so that a rule need only know that.
///
/// `/Cmd`, `/cmd@bot` and `@bot /cmd` are `/cmd` if the bot is ours. A command counts only
/// at the start. Invisible characters and marks that change the direction of writing are
/// taken out first, so that no rule is blind where the eye sees a command.
#[derive(Debug, Clone, Default)]
pub struct Normaliser {
    me: Option<String>,
}

impl Normaliser {
    /// Knows the name that people mention us by, with or without `@`; without a name no
    /// mention is ours.
    #[must_use]
    pub fn new(username: Option<&str>) -> Self {
        Self {
            me: username
                .map(|name| name.trim_start_matches('@').to_lowercase())
                .filter(|name| !name.is_empty()),
        }
    }

    /// Reads one text.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if it begins like a command and is none.
    pub fn read(&self, text: &str) -> Result<Line, ParseError> {
        let visible = visible(text);
        let text = visible.trim();
        if text.is_empty() {
            return Ok(Line::Empty);
        }
        let text = match text.split_once(char::is_whitespace) {
            Some((first, rest)) if self.is_me(first) => rest.trim_start(),
            None if self.is_me(text) => return Ok(Line::Empty),
            _ => text,
        };
        let Some(command) = text.strip_prefix('/') else {
            return Ok(Line::Text(text.to_owned()));
        };
        let (word, rest) = command
            .split_once(char::is_whitespace)
            .unwrap_or((command, ""));
        let (name, bot) = match word.split_once('@') {
            Some((name, bot)) => (name, Some(bot)),
            None => (word, None),
        };
        if bot.is_some_and(|bot| !self.is_my_name(bot)) {
            return Ok(Line::ForAnother);
        }
        let is_name = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !is_name {
            return Err(ParseError::BadName);
        }
        Ok(Line::Command(CommandLine {
            name: format!("/{}", name.to_ascii_lowercase()),
            arguments: tokenise(rest)?,
        }))
    }

    fn is_me(&self, word: &str) -> bool {
        word.strip_prefix('@')
            .is_some_and(|name| self.is_my_name(name))
    }

    fn is_my_name(&self, name: &str) -> bool {
        self.me.as_deref() == Some(name.to_lowercase().as_str())
    }
}

/// The text without what cannot be seen.
fn visible(text: &str) -> Cow<'_, str> {
    if text.contains(is_invisible) {
        Cow::Owned(text.replace(is_invisible, ""))
    } else {
        Cow::Borrowed(text)
    }
}

const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{061c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}
