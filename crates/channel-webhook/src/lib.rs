//! Hosts the webhooks and websocket endpoints of any channel on axum
