//! Connectors to chat platforms: one vocabulary, one feature per platform
