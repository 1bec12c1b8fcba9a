//! Bodies to texts of frames.

use std::borrow::Cow;

use channel_core::{Body, TextLimit, TextUnit};
use channel_text::{spanned_of, split_text, to_markdown};

use crate::wire::MAX_TEXT;
use crate::wire::client::Format;

const LIMIT: TextLimit = TextLimit::new(MAX_TEXT, TextUnit::CodePoints);

/// The text of one frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) format: Format,
}

impl<'a> Part<'a> {
    const fn markdown(text: Cow<'a, str>) -> Self {
        Self {
            text,
            format: Format::Markdown,
        }
    }
}

/// Cuts a body into texts that fit; empty if there is nothing to show.
///
/// Markdown goes out as it is, unless it has to be cut: then it is cut as a tree, so that
/// no mark is left open.
pub(crate) fn render(body: &Body) -> Vec<Part<'_>> {
    match body {
        Body::Plain(text) => split_text(text, LIMIT)
            .into_iter()
            .map(|text| Part {
                text: Cow::Borrowed(text),
                format: Format::Plain,
            })
            .collect(),
        Body::Markdown(text) if LIMIT.fits(text) => {
            if text.trim().is_empty() {
                Vec::new()
            } else {
                vec![Part::markdown(Cow::Borrowed(text))]
            }
        }
        Body::Content(content) => {
            let text = to_markdown(content);
            if text.trim().is_empty() {
                Vec::new()
            } else if LIMIT.fits(&text) {
                vec![Part::markdown(Cow::Owned(text))]
            } else {
                cut(body)
            }
        }
        _ => cut(body),
    }
}

/// Marks and escapes make Markdown longer than what it shows, so a part is measured as it
/// will be written.
fn cut(body: &Body) -> Vec<Part<'_>> {
    let measure = |part: &channel_text::Spanned| {
        TextUnit::CodePoints.measure(&to_markdown(&part.to_content()))
    };
    spanned_of(body)
        .split_by(MAX_TEXT, measure)
        .iter()
        .map(|part| Part::markdown(Cow::Owned(to_markdown(&part.to_content()))))
        .collect()
}

/// What is shown of a text that is still growing: as much of it as fits.
pub(crate) fn preview(body: &Body) -> Option<Part<'_>> {
    render(body).into_iter().next()
}
