//! Formatting that came in.

use channel_core::InboundMessage as _;
use channel_text::{Mark, Spanned, flatten};
use serde_json::{Value, json};

use crate::fake::private;
use crate::inbound::{message, with};

#[test]
fn formatting_becomes_a_tree_even_with_hostile_offsets() {
    let entities = |entities: Value| with(private(1, "😀 bold"), json!({ "entities": entities }));
    let bold = message(entities(
        json!([{"type": "bold", "offset": 3, "length": 4}]),
    ));
    let tree = bold.content().into_owned();
    assert!(format!("{tree:?}").contains("Strong"), "{tree:?}");
    assert_eq!(tree.to_plain(), "😀 bold");
    let hostile = json!([
        {"type": "bold", "offset": 1, "length": 1}, {"type": "italic", "offset": 6, "length": 99},
        {"type": "code", "offset": u64::MAX, "length": u64::MAX}, {"type": "text_link", "offset": 0, "length": 2},
        {"type": "later_kind", "offset": 0, "length": 2}]);
    let message = message(entities(hostile));
    assert_eq!(message.text, "😀 bold");
    assert_eq!(message.content().to_plain(), "😀 bold");
}

/// Two independent ways from marks to a tree have to tell the same of any marks.
#[test]
fn any_entities_make_the_tree_that_flat_text_with_the_same_marks_makes() {
    const TEXT: &str = "Ada 😀 wrote\n\n> once\r\nand \u{301}again:\n  \nlet x = 1;\n\nend 👨‍👩‍👧.";
    const KINDS: [(&str, Mark); 9] = [
        ("bold", Mark::Strong),
        ("italic", Mark::Emphasis),
        ("underline", Mark::Underline),
        ("strikethrough", Mark::Strike),
        ("spoiler", Mark::Spoiler),
        ("code", Mark::Code),
        ("pre", Mark::Pre { language: None }),
        ("blockquote", Mark::Quote),
        ("mention", Mark::Mention { id: None }),
    ];
    let mut seed = 7_usize;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let units = TEXT.encode_utf16().count();
    for round in 0..3000 {
        let mut entities = vec![json!({"type": "bold", "offset": 0, "length": 1})];
        let mut marks = vec![(0..1, Mark::Strong)];
        for _ in 0..random(8) {
            let (name, mark) = KINDS[random(KINDS.len())].clone();
            let (offset, length) = (random(units + 3), random(units));
            entities.push(json!({"type": name, "offset": offset, "length": length}));
            marks.push((offset..offset + length, mark));
        }
        let message = message(with(private(1, TEXT), json!({ "entities": entities })));
        let expected = Spanned::from_utf16(TEXT, marks).to_content();
        assert_eq!(
            flatten(&message.content()),
            flatten(&expected),
            "round {round}: {entities:?}"
        );
    }
}
