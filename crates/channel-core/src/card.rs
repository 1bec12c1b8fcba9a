//! Cards: structured messages with fields, images, buttons and choices.

use serde::{Deserialize, Serialize};

use crate::content::{Block, Body, Content, Inline, ListItem};
use crate::outbound::Button;

/// A structured message.
///
/// A channel with [`Cards`](crate::Cards) shows it in the platform's own form; every other
/// channel shows the same words as formatted text, with the buttons below.
///
/// ```
/// use channel_core::{Button, Card};
///
/// let card = Card::new("Deploy #42")
///     .text("Waits for your word.")
///     .field("Branch", "main")
///     .actions([Button::press("Approve", "approve:42"), Button::press("Reject", "reject:42")]);
/// assert_eq!(card.to_content().to_plain(), "Deploy #42\nWaits for your word.\nBranch: main");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Card {
    /// The heading; plain text, may be empty.
    pub title: String,
    /// How the card is meant.
    #[serde(default)]
    pub tone: Tone,
    /// What it holds, from top to bottom.
    pub blocks: Vec<CardBlock>,
}

/// How a card is meant; platforms show it as a colour, or not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Neutral,
    /// Something went well.
    Good,
    /// Something deserves attention.
    Warning,
    /// Something went wrong.
    Bad,
}

/// A part of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CardBlock {
    /// Running text.
    Text(Body),
    /// Names and values, side by side where there is room.
    Fields(Vec<(String, String)>),
    /// A picture that the platform fetches itself.
    Image {
        /// An `https` address.
        url: String,
        /// What it shows, in words.
        alt: String,
    },
    /// A line across.
    Divider,
    /// Small print.
    Note(String),
    /// A row of buttons.
    Actions(Vec<Button>),
    /// One of several options; the choice comes back as an [`Action`](crate::Action) whose
    /// value is the option's.
    Choice(Choice),
}

/// A list to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Choice {
    /// What is asked.
    pub prompt: String,
    /// Label and value of each option.
    pub options: Vec<(String, String)>,
}

impl Choice {
    /// Asks for one of these options: label and value each.
    #[must_use]
    pub fn new<L: Into<String>, V: Into<String>>(
        prompt: impl Into<String>,
        options: impl IntoIterator<Item = (L, V)>,
    ) -> Self {
        Self {
            prompt: prompt.into(),
            options: options
                .into_iter()
                .map(|(label, value)| (label.into(), value.into()))
                .collect(),
        }
    }
}

impl Card {
    /// A card that holds a title only.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            tone: Tone::Neutral,
            blocks: Vec::new(),
        }
    }

    /// Says how the card is meant.
    #[must_use]
    pub const fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Adds a block.
    #[must_use]
    pub fn block(mut self, block: CardBlock) -> Self {
        self.blocks.push(block);
        self
    }

    /// Adds running text.
    #[must_use]
    pub fn text(self, body: impl Into<Body>) -> Self {
        self.block(CardBlock::Text(body.into()))
    }

    /// Adds a name and its value, in one block with those just before.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let field = (name.into(), value.into());
        match self.blocks.last_mut() {
            Some(CardBlock::Fields(fields)) => fields.push(field),
            _ => self.blocks.push(CardBlock::Fields(vec![field])),
        }
        self
    }

    /// Adds a picture.
    #[must_use]
    pub fn image(self, url: impl Into<String>, alt: impl Into<String>) -> Self {
        self.block(CardBlock::Image {
            url: url.into(),
            alt: alt.into(),
        })
    }

    /// Adds a line across.
    #[must_use]
    pub fn divider(self) -> Self {
        self.block(CardBlock::Divider)
    }

    /// Adds small print.
    #[must_use]
    pub fn note(self, text: impl Into<String>) -> Self {
        self.block(CardBlock::Note(text.into()))
    }

    /// Adds a row of buttons.
    #[must_use]
    pub fn actions(self, row: impl IntoIterator<Item = Button>) -> Self {
        self.block(CardBlock::Actions(row.into_iter().collect()))
    }

    /// Adds a list to choose from.
    #[must_use]
    pub fn choice(self, choice: Choice) -> Self {
        self.block(CardBlock::Choice(choice))
    }

    /// The words of the card as rich text, without its buttons and options.
    ///
    /// A Markdown text becomes literal here, because the core has no parser; channels that
    /// render Markdown go through [`blocks`](Self::blocks).
    #[must_use]
    pub fn to_content(&self) -> Content {
        let mut blocks = Vec::new();
        if !self.title.is_empty() {
            blocks.push(Block::Paragraph(vec![Inline::strong(self.title.as_str())]));
        }
        for block in &self.blocks {
            match block {
                CardBlock::Text(Body::Content(content)) => {
                    blocks.extend(content.blocks.iter().cloned());
                }
                CardBlock::Text(Body::Plain(text) | Body::Markdown(text)) => {
                    blocks.extend(Content::plain(text.as_str()).blocks);
                }
                CardBlock::Fields(fields) => blocks.push(fields_block(fields)),
                CardBlock::Image { url, alt } => {
                    let shown = if alt.is_empty() { url } else { alt };
                    blocks.push(Block::Paragraph(vec![Inline::link(
                        url.as_str(),
                        shown.as_str(),
                    )]));
                }
                CardBlock::Divider => blocks.push(Block::Rule),
                CardBlock::Note(text) => {
                    blocks.push(Block::Paragraph(vec![Inline::emphasis(text.as_str())]));
                }
                CardBlock::Choice(choice) => {
                    blocks.extend(Content::plain(choice.prompt.as_str()).blocks);
                }
                CardBlock::Actions(_) => {}
            }
        }
        Content::new(blocks)
    }

    /// The rows of buttons, options of choices included: one row each.
    #[must_use]
    pub fn to_buttons(&self) -> Vec<Vec<Button>> {
        let mut rows = Vec::new();
        for block in &self.blocks {
            match block {
                CardBlock::Actions(row) if !row.is_empty() => rows.push(row.clone()),
                CardBlock::Choice(choice) => rows.extend(
                    choice
                        .options
                        .iter()
                        .map(|(label, value)| vec![Button::press(label.as_str(), value.as_str())]),
                ),
                _ => {}
            }
        }
        rows
    }
}

fn fields_block(fields: &[(String, String)]) -> Block {
    let line = |(name, value): &(String, String)| {
        vec![
            Inline::strong(format!("{name}:")),
            Inline::text(format!(" {value}")),
        ]
    };
    match fields {
        [one] => Block::Paragraph(line(one)),
        many => Block::List {
            start: None,
            items: many
                .iter()
                .map(|field| ListItem::new(vec![Block::Paragraph(line(field))]))
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_loses_no_word_as_text() {
        let card = Card::new("title")
            .text("plain")
            .text(Body::Markdown("*mark*".to_owned()))
            .field("a", "1")
            .field("b", "2")
            .image("https://example.org/x.png", "a picture")
            .divider()
            .note("small")
            .choice(Choice::new("which?", [("One", "1"), ("Two", "2")]))
            .actions([Button::press("Go", "go")]);
        let text = card.to_content().to_plain();
        for word in [
            "title",
            "plain",
            "*mark*",
            "a: 1",
            "b: 2",
            "a picture",
            "small",
            "which?",
        ] {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
        let labels: Vec<_> = card
            .to_buttons()
            .into_iter()
            .flatten()
            .map(|button| button.label)
            .collect();
        assert_eq!(labels, ["One", "Two", "Go"]);
    }

    #[test]
    fn fields_in_a_row_share_a_block() {
        let card = Card::new("")
            .field("a", "1")
            .field("b", "2")
            .divider()
            .field("c", "3");
        assert_eq!(card.blocks.len(), 3);
    }
}
