//! The rows of a statement as two parameters.
//!
//! Every statement is a trip to the thread of the connection and back, and with a busy
//! machine it is the trips that cost. So all rows of a batch go into statements of fixed
//! text: their numbers as one JSON array of arrays, their words in one blob, where a word is
//! the number of its first byte and its length. Nothing has to be escaped, and nothing from
//! outside is ever part of a text.

use std::fmt::Write as _;

/// The words of all rows of one batch, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Heap(Vec<u8>);

/// Where a word stands: first byte, counted from 1, and length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word(usize, usize);

impl Heap {
    pub(crate) fn put(&mut self, word: &str) -> Word {
        let place = Word(self.0.len() + 1, word.len());
        self.0.extend_from_slice(word.as_bytes());
        place
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The rows of one statement.
#[derive(Debug, Default)]
pub(crate) struct Rows(String);

impl Rows {
    /// A row of numbers and words.
    pub(crate) fn push(&mut self, columns: &[Column]) {
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        for (place, column) in columns.iter().enumerate() {
            self.0.push(if place == 0 { '[' } else { ',' });
            // Writing to a string does not fail.
            let _ = match column {
                Column::Number(number) => write!(self.0, "{number}"),
                Column::Word(Word(first, length)) => write!(self.0, "{first},{length}"),
                Column::NoWord => write!(self.0, "null,null"),
            };
        }
        self.0.push(']');
    }

    pub(crate) fn into_json(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('[');
        }
        self.0.push(']');
        self.0
    }
}

/// A number takes one place of a row, a word two.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    Number(i64),
    Word(Word),
    NoWord,
}

impl From<i64> for Column {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Word> for Column {
    fn from(word: Word) -> Self {
        Self::Word(word)
    }
}

impl From<Option<Word>> for Column {
    fn from(word: Option<Word>) -> Self {
        word.map_or(Self::NoWord, Self::Word)
    }
}
