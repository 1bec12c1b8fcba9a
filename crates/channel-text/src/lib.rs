#![doc = include_str!("../README.md")]

mod builder;
mod cut;
mod flatten;
mod inline_markdown;
mod markdown;
mod measure;
mod normalize;
mod offsets;
mod parse;
mod span;
mod split;
mod table;
mod tree;
mod visit;
mod walk;

pub use flatten::{flatten, to_plain};
pub use markdown::to_markdown;
pub use offsets::{byte_ranges, utf16_ranges};
pub use parse::{content_of, parse_markdown, spanned_of};
pub use span::{Mark, Span, Spanned};
pub use split::split_text;
pub use visit::{Tag, Visitor, visit};
