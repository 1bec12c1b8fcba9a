//! The emulated platforms from outside: raw HTTP against the rules of the vendor's documentation.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where its own footing breaks"
)]

mod api;
mod dingtalk;
mod dingtalk_cards;
mod dingtalk_inbound;
mod dingtalk_sending;
mod dingtalk_stream;
mod discord_api;
mod discord_control;
mod discord_gateway;
mod discord_interactions;
mod discord_limits;
mod discord_messages;
mod feishu;
mod line_account;
mod line_api;
mod line_sending;
mod line_webhook;
mod slack_api;
mod slack_events;
mod slack_menus;
mod slack_oauth;
mod slack_socket;
mod slack_web;
mod telegram_control;
mod telegram_editing;
mod telegram_faults;
mod telegram_files;
mod telegram_hostile;
mod telegram_people;
mod telegram_polling;
mod telegram_sending;
mod telegram_webhook;
mod wecom;
mod wecom_api;
mod wecom_link;
