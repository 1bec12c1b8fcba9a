//! The standard channel: a JSON websocket protocol for browsers and custom clients
