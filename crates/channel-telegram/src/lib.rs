//! The Telegram channel: Bot API by long poll or webhook
