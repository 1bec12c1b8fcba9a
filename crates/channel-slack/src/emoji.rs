//! Emoji and Slack's names of them
//! (<https://docs.slack.dev/reference/methods/reactions.add/>).
//!
//! Slack names every emoji and takes nothing else for a reaction. The usual ones are
//! translated; names that are not in the table stay names, on both ways.

/// The names that Slack itself uses, which differ from others for some.
#[rustfmt::skip]
static NAMES: &[(&str, &str)] = &[
    ("\u{1f44d}", "+1"), ("\u{1f44e}", "-1"), ("\u{1f44c}", "ok_hand"), ("\u{1f44f}", "clap"),
    ("\u{1f64f}", "pray"), ("\u{1f44b}", "wave"), ("\u{1f4aa}", "muscle"), ("\u{1f91d}", "handshake"),
    ("\u{270c}", "v"), ("\u{1f64c}", "raised_hands"), ("\u{1f440}", "eyes"), ("\u{2764}", "heart"),
    ("\u{1f525}", "fire"), ("\u{1f389}", "tada"), ("\u{1f680}", "rocket"), ("\u{2705}", "white_check_mark"),
    ("\u{2714}", "heavy_check_mark"), ("\u{274c}", "x"), ("\u{2b50}", "star"), ("\u{1f31f}", "star2"),
    ("\u{1f4af}", "100"), ("\u{26a0}", "warning"), ("\u{2757}", "exclamation"), ("\u{2753}", "question"),
    ("\u{23f3}", "hourglass_flowing_sand"), ("\u{231b}", "hourglass"), ("\u{1f914}", "thinking_face"),
    ("\u{1f600}", "grinning"), ("\u{1f601}", "grin"), ("\u{1f602}", "joy"), ("\u{1f604}", "smile"),
    ("\u{1f605}", "sweat_smile"), ("\u{1f60a}", "blush"), ("\u{1f60d}", "heart_eyes"), ("\u{1f60e}", "sunglasses"),
    ("\u{1f642}", "slightly_smiling_face"), ("\u{1f643}", "upside_down_face"), ("\u{1f609}", "wink"),
    ("\u{1f622}", "cry"), ("\u{1f62d}", "sob"), ("\u{1f621}", "rage"), ("\u{1f631}", "scream"),
    ("\u{1f62e}", "open_mouth"), ("\u{1f634}", "sleeping"), ("\u{1f923}", "rolling_on_the_floor_laughing"),
    ("\u{1f937}", "shrug"), ("\u{1f926}", "face_palm"), ("\u{1f916}", "robot_face"), ("\u{1f4a1}", "bulb"),
    ("\u{1f4a9}", "hankey"), ("\u{1f47b}", "ghost"), ("\u{1f4dd}", "memo"), ("\u{1f4ce}", "paperclip"),
    ("\u{1f50d}", "mag"), ("\u{1f512}", "lock"), ("\u{1f41b}", "bug"), ("\u{1f6a7}", "construction"),
    ("\u{1f3c6}", "trophy"), ("\u{1f382}", "birthday"), ("\u{2615}", "coffee"), ("\u{1f354}", "hamburger"),
    ("\u{1f44a}", "facepunch"), ("\u{1f91e}", "crossed_fingers"), ("\u{1f494}", "broken_heart"),
    ("\u{1f6ab}", "no_entry_sign"), ("\u{1f501}", "repeat"), ("\u{23f0}", "alarm_clock"), ("\u{1f4c8}", "chart_with_upwards_trend"),
];

/// The emoji of a name, or the name.
pub(crate) fn from_name(name: &str) -> String {
    let plain = name.split("::").next().unwrap_or(name);
    let found = NAMES.iter().find(|(_, known)| *known == plain);
    match found {
        Some((emoji, _)) => (*emoji).to_owned(),
        None => name
            .get(..name.floor_char_boundary(255))
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The name of an emoji, or a name as it was given, with or without colons; `None` for what
/// Slack cannot know.
pub(crate) fn to_name(emoji: &str) -> Option<&str> {
    let plain = emoji.trim_end_matches('\u{fe0f}');
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == plain) {
        return Some(name);
    }
    let name = emoji
        .strip_prefix(':')
        .and_then(|name| name.strip_suffix(':'))
        .unwrap_or(emoji);
    let is_name = (1..=255).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '\'' | ':'))
        && !name.starts_with(':');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_emoji_survives_the_way_there_and_back() {
        for (emoji, name) in NAMES {
            assert_eq!(to_name(emoji), Some(*name));
            assert_eq!(from_name(name), *emoji);
        }
        assert_eq!(to_name("\u{2764}\u{fe0f}"), Some("heart"));
        assert_eq!(to_name(":party-parrot:"), Some("party-parrot"));
        assert_eq!(from_name("party-parrot"), "party-parrot");
        assert_eq!(from_name("+1::skin-tone-3"), "\u{1f44d}");
        for bad in ["", "::", "a b", "\u{1f9ff}", "<x>"] {
            assert_eq!(to_name(bad), None, "{bad}");
        }
    }
}
