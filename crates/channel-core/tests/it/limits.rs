use std::time::Duration;

use channel_core::{AttachmentKind, Limits, Rate, TextLimit, TextUnit};

#[test]
fn each_unit_counts_its_own() {
    // A family of three joined by zero-width joiners, and an accent put on afterwards.
    let text = "a👩‍👩‍👧e\u{301}";
    assert_eq!(TextUnit::Bytes.measure(text), 1 + 18 + 3);
    assert_eq!(TextUnit::CodePoints.measure(text), 1 + 5 + 2);
    assert_eq!(TextUnit::Utf16.measure(text), 1 + 8 + 2);
    assert_eq!(TextUnit::Graphemes.measure(text), 3);
}

#[test]
fn a_text_at_the_limit_fits_and_one_unit_more_does_not() {
    for unit in [
        TextUnit::Bytes,
        TextUnit::CodePoints,
        TextUnit::Utf16,
        TextUnit::Graphemes,
    ] {
        for text in ["", "hello", "héllo 👋🏽 世界"] {
            let size = unit.measure(text);
            assert!(TextLimit::new(size, unit).fits(text));
            assert!(size == 0 || !TextLimit::new(size - 1, unit).fits(text));
        }
    }
}

#[test]
fn the_largest_upload_is_told_by_kind_with_a_rest_for_all_others() {
    let mut limits = Limits::new(TextLimit::new(10, TextUnit::Bytes));
    assert_eq!(limits.upload_bytes_for(AttachmentKind::File), u64::MAX);
    limits.upload_bytes = vec![(Some(AttachmentKind::Image), 10), (None, 50)];
    assert_eq!(limits.upload_bytes_for(AttachmentKind::Image), 10);
    assert_eq!(limits.upload_bytes_for(AttachmentKind::File), 50);
}

#[test]
fn a_rate_of_nothing_does_not_divide_by_zero() {
    assert_eq!(
        Rate::new(0, Duration::from_secs(1)).interval(),
        Duration::from_secs(1)
    );
    assert_eq!(
        Rate::new(20, Duration::from_secs(60)).interval(),
        Duration::from_secs(3)
    );
}
