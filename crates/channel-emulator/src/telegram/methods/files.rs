//! `getFile`. <https://core.telegram.org/bots/api#getfile>

use serde_json::json;

use super::super::answer::{Answer, ApiError};
use super::super::files::Files;
use super::Context;

impl Context<'_> {
    pub(super) fn get_file(&mut self) -> Answer {
        let id = self
            .params
            .text("file_id")
            .ok_or_else(|| ApiError::bad("file_id is empty"))?;
        let resolved = self.state.files.resolve(&id, self.bot);
        let (number, file) = resolved.ok_or_else(|| ApiError::bad("invalid file_id"))?;
        let size = file.bytes.len();
        if size > self.config.download_limit {
            return Err(ApiError::bad("file is too big"));
        }
        let now = self.state.now();
        let path = self.state.files.link(number, self.bot, now);
        Ok(json!({
            "file_id": id, "file_unique_id": Files::unique_id(number), "file_size": size, "file_path": path,
        }))
    }
}
