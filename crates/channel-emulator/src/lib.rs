//! The server side of chat platforms, for demos and tests
