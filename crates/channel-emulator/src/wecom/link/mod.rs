//! The long connection. <https://developer.work.weixin.qq.com/document/path/101463>

mod commands;
mod serve;
mod upload;

pub(super) use serve::{accept, disconnect};
