//! Every store runs the suite.

mod broken;
mod faults;
mod files;
mod folder;
mod memory;
mod sqlite;
