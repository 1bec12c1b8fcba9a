//! The default transport of channel-kit: HTTP client, websockets, clock, guarded fetch
