//! Every store runs the suite.

mod alike;
mod broken;
mod faults;
mod files;
mod memory;
mod sqlite;
mod together;
