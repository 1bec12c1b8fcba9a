//! Reading, laying out and splitting text.

mod layout;
mod splitting;
