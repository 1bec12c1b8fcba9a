//! Reading, laying out and splitting text.

mod dialect;
mod generate;
mod layout;
mod properties;
mod splitting;
