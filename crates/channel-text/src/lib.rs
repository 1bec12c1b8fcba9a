//! Markdown to rich content, rich content to each platform's dialect, and splitting in the platform's own unit
