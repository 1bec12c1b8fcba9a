//! The ready gateway and its demo
