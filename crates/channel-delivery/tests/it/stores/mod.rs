//! Every store runs the suite.

mod folder;
mod memory;
mod sqlite;
