//! Who is to see an answer.

use std::convert::Infallible;
use std::str::FromStr;

use channel_core::OutboundMessage;

/// How much of what the application says is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Visibility {
    /// All of it.
    #[default]
    Visible,
    /// No words of their own: only what comes with files, buttons or a card.
    SuppressText,
    /// As [`SuppressText`](Self::SuppressText): what tools hand over is files.
    ToolOnly,
    /// Nothing but buttons and cards.
    Internal,
}

impl FromStr for Visibility {
    type Err = Infallible;

    /// Reads a mode however it is spelled; what is unknown is visible, because a reply that
    /// vanishes is worse than one too many.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_alphabetic())
            .map(|c| c.to_ascii_lowercase())
            .collect();
        Ok(match name.as_str() {
            "suppresstext" | "suppress" | "notext" | "silent" => Self::SuppressText,
            "toolonly" | "toolsonly" | "tool" | "tools" => Self::ToolOnly,
            "internal" | "hidden" | "private" | "none" => Self::Internal,
            _ => Self::Visible,
        })
    }
}

/// For whom a message is meant, as far as it decides whether it is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audience {
    /// The mode that the application chose.
    pub visibility: Visibility,
    /// Whether the message answers something in a shared chat that was not said to the bot.
    pub unasked: bool,
}

impl Audience {
    /// Everybody, in this mode.
    #[must_use]
    pub const fn new(visibility: Visibility) -> Self {
        Self {
            visibility,
            unasked: false,
        }
    }

    /// Says that nobody in that shared chat spoke to the bot.
    #[must_use]
    pub const fn unasked(mut self) -> Self {
        self.unasked = true;
        self
    }
}

/// Why a message is not to be shown; `None` if it is.
///
/// Buttons and cards are always shown, because somebody waits for the answer.
#[must_use]
pub fn visibility(audience: Audience, message: &OutboundMessage) -> Option<&'static str> {
    let asks = message.card.is_some() || !message.buttons.is_empty();
    let files = !message.attachments.is_empty();
    if asks {
        return None;
    }
    match audience.visibility {
        Visibility::Internal => Some("internal"),
        Visibility::SuppressText if !files => Some("text is suppressed"),
        Visibility::ToolOnly if !files => Some("only files and questions are shown"),
        _ if audience.unasked && !files && message.to.target().thread.is_none() => {
            Some("nobody asked in this shared chat")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use channel_core::{Button, Card, Target, Upload};

    fn message() -> OutboundMessage {
        OutboundMessage::new(Target::chat("c"), "words")
    }

    fn shown(mode: &str, message: &OutboundMessage) -> bool {
        let Ok(mode) = mode.parse();
        visibility(Audience::new(mode), message).is_none()
    }

    #[test]
    fn only_the_visible_mode_shows_mere_words() {
        assert!(shown("visible", &message()));
        for mode in ["suppress_text", "tool_only", "internal"] {
            assert!(!shown(mode, &message()), "{mode}");
        }
    }

    #[test]
    fn files_are_shown_in_all_modes_but_internal() {
        let file = message().attach(Upload::file("a.txt", "a"));
        assert!(shown("suppress_text", &file));
        assert!(shown("tool_only", &file));
        assert!(!shown("internal", &file));
    }

    #[test]
    fn questions_are_shown_in_all_modes() {
        let buttons = message().buttons([Button::press("yes", "y")]);
        let card = message().card(Card::new("sure?"));
        for mode in ["suppress_text", "tool_only", "internal"] {
            assert!(shown(mode, &buttons), "{mode}");
            assert!(shown(mode, &card), "{mode}");
        }
    }

    #[test]
    fn modes_have_synonyms_and_an_unknown_one_is_visible() {
        assert!(!shown("Tool-Only", &message()));
        assert!(!shown("SUPPRESS TEXT", &message()));
        assert!(shown("whatever", &message()));
    }

    #[test]
    fn words_that_nobody_asked_for_stay_out_of_a_shared_chat_but_not_out_of_a_thread() {
        let unasked = Audience::default().unasked();
        assert!(visibility(unasked, &message()).is_some());
        let thread = OutboundMessage::new(Target::chat("c").thread("t"), "words");
        assert!(visibility(unasked, &thread).is_none());
    }
}
