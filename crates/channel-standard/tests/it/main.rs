//! The channel as its clients see it: in-process sockets on virtual time.

mod auth;
mod echo;
mod world;
