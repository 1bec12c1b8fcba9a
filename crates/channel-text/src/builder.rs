//! A text under construction together with the marks that are open in it.

use crate::span::{Mark, Span, Spanned};

/// Collects words and marks; a gap before the next words is written only if words come.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    text: String,
    spans: Vec<Span>,
    open: Vec<Open>,
    /// How many of the open marks have a start already.
    started: usize,
    gap: String,
}

#[derive(Debug)]
struct Open {
    mark: Mark,
    start: usize,
}

impl Builder {
    /// Opens a mark; it begins with the next words, so never in a gap.
    pub(crate) fn open(&mut self, mark: Mark) {
        self.open.push(Open { mark, start: 0 });
    }

    /// Closes the mark opened last. A link without words shows where it leads.
    pub(crate) fn close(&mut self) {
        if let Some(Open {
            mark: Mark::Link { url },
            ..
        }) = self.open.last()
            && self.since_open().trim().is_empty()
        {
            let url = url.clone();
            self.push(&url);
        }
        if let Some(Open { mark, start }) = self.open.pop()
            && self.open.len() < self.started
        {
            self.started = self.open.len();
            self.spans.push(Span::new(start..self.text.len(), mark));
        }
    }

    /// Adds words.
    pub(crate) fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(&self.gap);
        }
        self.gap.clear();
        for open in self.open.iter_mut().skip(self.started) {
            open.start = self.text.len();
        }
        self.started = self.open.len();
        self.text.push_str(text);
    }

    /// Says what stands between the words so far and the next ones, if any come.
    pub(crate) fn gap(&mut self) -> &mut String {
        &mut self.gap
    }

    /// The words inside the innermost mark so far.
    pub(crate) fn since_open(&self) -> &str {
        match self.open.last() {
            Some(open) if self.open.len() == self.started => {
                self.text.get(open.start..).unwrap_or_default()
            }
            _ => "",
        }
    }

    pub(crate) fn finish(self) -> Spanned {
        Spanned::new(self.text, self.spans)
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}
