//! Runs channels: dispatch in order per conversation, supervision, drain
