//! What a message says: text, blocks, attachments and metadata.
//!
//! <https://docs.slack.dev/reference/methods/chat.postMessage/>

use serde_json::Value;

use super::Call;
use crate::slack::answer::ApiError;
use crate::slack::check;

/// Longer texts are cut off. <https://docs.slack.dev/changelog/2018-truncating-really-long-messages/>
const MAX_TEXT: usize = 40_000;
/// <https://docs.slack.dev/reference/methods/chat.postMessage/#arg_markdown_text>
pub(crate) const MAX_MARKDOWN: usize = 12_000;

/// The checked content of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) text: Option<String>,
    pub(crate) blocks: Option<Value>,
    pub(crate) attachments: Option<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) is_cut: bool,
}

impl Content {
    /// Reads the arguments; an absent one stays absent, so that an update can keep what was there.
    pub(crate) fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let params = call.params;
        let markdown = params.text("markdown_text");
        let mut text = params.text("text");
        let blocks = params.nested("blocks", "invalid_blocks_format")?;
        let attachments = params.nested("attachments", "invalid_attachments_format")?;
        if let Some(blocks) = &blocks {
            check::blocks(blocks, check::MAX_BLOCKS)?;
        }
        if let Some(attachments) = &attachments {
            let list = attachments.as_array();
            let list = list.ok_or_else(|| ApiError::new("invalid_attachments"))?;
            if list.len() > 100 {
                return Err(ApiError::new("too_many_attachments"));
            }
        }
        if let Some(markdown) = &markdown {
            if text.is_some() || blocks.is_some() {
                return Err(ApiError::new("markdown_text_conflict"));
            }
            if check::length(markdown) > MAX_MARKDOWN {
                return Err(ApiError::new("msg_too_long"));
            }
            text = Some(markdown.clone());
        }
        let mut is_cut = false;
        if let Some(long) = text.as_mut().filter(|text| check::length(text) > MAX_TEXT) {
            *long = long.chars().take(MAX_TEXT).collect();
            is_cut = true;
        }
        Ok(Self {
            text,
            blocks,
            attachments,
            metadata: metadata(call)?,
            is_cut,
        })
    }

    /// The same, but there has to be something.
    pub(crate) fn required(call: &Call<'_>) -> Result<Self, ApiError> {
        let content = Self::read(call)?;
        if content.is_empty() {
            return Err(ApiError::new("no_text"));
        }
        Ok(content)
    }

    pub(crate) fn is_empty(&self) -> bool {
        let is_void = |value: &Option<Value>| {
            value
                .as_ref()
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty)
        };
        self.text.is_none() && is_void(&self.blocks) && is_void(&self.attachments)
    }
}

/// <https://docs.slack.dev/messaging/message-metadata/>
pub(crate) fn metadata(call: &Call<'_>) -> Result<Option<Value>, ApiError> {
    let Some(metadata) = call.params.nested("metadata", "invalid_metadata_format")? else {
        return Ok(None);
    };
    let is_named = metadata.get("event_type").is_some_and(Value::is_string);
    let is_filled = metadata.get("event_payload").is_some_and(Value::is_object);
    if is_named && is_filled {
        Ok(Some(metadata))
    } else {
        Err(ApiError::new("invalid_metadata_schema"))
    }
}
