//! The vocabulary keeps its promises.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod assertions;
mod errors;
mod events;
mod formatted;
mod limits;
mod seams;
mod tokens;
mod words;
