//! Emoji and Feishu's names of them
//! (<https://open.feishu.cn/document/server-docs/im-v1/message-reaction/emojis-introduce>).
//!
//! Feishu has reactions of its own, each with a name. Those that look like an emoji are
//! translated; the names stay names, on both ways.

#[rustfmt::skip]
static NAMES: &[(&str, &str)] = &[
    ("\u{1f44d}", "THUMBSUP"), ("\u{1f44e}", "ThumbsDown"), ("\u{1f44c}", "OK"), ("\u{1f64f}", "THANKS"),
    ("\u{1f4aa}", "MUSCLE"), ("\u{1f44f}", "APPLAUSE"), ("\u{1f44a}", "FISTBUMP"), ("\u{1f604}", "SMILE"),
    ("\u{1f60a}", "BLUSH"), ("\u{1f606}", "LAUGH"), ("\u{1f602}", "LOL"), ("\u{1f926}", "FACEPALM"),
    ("\u{1f60d}", "LOVE"), ("\u{1f609}", "WINK"), ("\u{1f914}", "THINKING"), ("\u{1f62d}", "SOB"),
    ("\u{1f622}", "CRY"), ("\u{1f440}", "GLANCE"), ("\u{1f62e}", "WOW"), ("\u{1f618}", "KISS"),
    ("\u{1f44b}", "WAVE"), ("\u{1f917}", "HUG"), ("\u{1f621}", "ANGRY"), ("\u{1f631}", "TERROR"),
    ("\u{1f480}", "SKULL"), ("\u{1f605}", "SWEAT"), ("\u{1f634}", "SLEEP"), ("\u{1f971}", "YAWN"),
    ("\u{1f912}", "SICK"), ("\u{1f92e}", "PUKE"), ("\u{1f91d}", "SHAKE"), ("\u{1f339}", "ROSE"),
    ("\u{2764}", "HEART"), ("\u{1f389}", "PARTY"), ("\u{1f37a}", "BEER"), ("\u{1f382}", "CAKE"),
    ("\u{1f381}", "GIFT"), ("\u{2615}", "Coffee"), ("\u{2705}", "CheckMark"), ("\u{274c}", "CrossMark"),
    ("\u{1f4af}", "Hundred"), ("\u{1f4cc}", "Pin"), ("\u{23f0}", "Alarm"), ("\u{1f4e2}", "Loudspeaker"),
    ("\u{1f3c6}", "Trophy"), ("\u{1f525}", "Fire"), ("\u{1f4a3}", "BOMB"), ("\u{1f3b5}", "Music"),
    ("\u{1f494}", "HEARTBROKEN"), ("\u{1f4a9}", "POOP"), ("\u{1f4a1}", "StatusFlashOfInspiration"),
    ("\u{1f386}", "FIREWORKS"), ("\u{26bd}", "Soccer"), ("\u{1f3c0}", "Basketball"),
];

/// The longest name, in bytes.
const MAX_NAME: usize = 64;

/// The emoji of a name, or the name.
pub(crate) fn from_name(name: &str) -> String {
    let found = NAMES.iter().find(|(_, known)| *known == name);
    let end = name.floor_char_boundary(MAX_NAME);
    let shown = found.map_or(name.get(..end).unwrap_or_default(), |(emoji, _)| emoji);
    shown.to_owned()
}

/// The name of an emoji, or a name as it was given; `None` for what Feishu cannot know.
pub(crate) fn to_name(emoji: &str) -> Option<&str> {
    let plain = emoji.trim_end_matches('\u{fe0f}');
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == plain) {
        return Some(name);
    }
    let is_name = (1..=MAX_NAME).contains(&emoji.len())
        && emoji
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some(emoji)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_have_names_and_names_stay_names() {
        assert_eq!(to_name("\u{1f44d}"), Some("THUMBSUP"));
        assert_eq!(to_name("\u{2764}\u{fe0f}"), Some("HEART"));
        assert_eq!(to_name("Typing"), Some("Typing"));
        assert_eq!(from_name("Typing"), "Typing");
        for (emoji, name) in NAMES {
            assert_eq!(
                (to_name(emoji), from_name(name).as_str()),
                (Some(*name), *emoji)
            );
        }
        for wrong in ["", "\u{1f9ff}", "a b", "../x"] {
            assert_eq!(to_name(wrong), None);
        }
    }
}
