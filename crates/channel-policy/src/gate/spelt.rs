//! How platforms compare ids and handles.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use channel_core::{ChannelInfo, Platform, Spelling};

/// What the adapters of the channels declare, learnt before the first event.
#[derive(Debug, Default)]
pub(crate) struct Spelt(RwLock<HashMap<Platform, Spelling>>);

impl Spelt {
    /// Notes what these channels declare. Where two of one platform disagree every character
    /// counts.
    pub(crate) fn learn(&self, channels: &[&ChannelInfo]) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for info in channels {
            let spelling = known.entry(info.platform.clone()).or_insert(info.spelling);
            if *spelling != info.spelling {
                *spelling = Spelling::exact();
            }
        }
    }

    /// How a platform compares them; to the letter where no channel of it is known.
    pub(crate) fn by(&self, platform: &Platform) -> Spelling {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(platform).copied().unwrap_or_default()
    }
}
