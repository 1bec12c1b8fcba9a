//! The words of a simulation: short, unique, and readable in a trace.

/// The id and the text of the event of this number.
pub(super) fn event_id(number: usize) -> String {
    format!("e{number}")
}

/// The number of the event with this id.
pub(super) fn event_number(id: &str) -> Option<usize> {
    id.strip_prefix('e')?.parse().ok()
}

/// The text of a reply: one line for each part, `e7.0.2` for the third part of the first
/// reply to the eighth event.
pub(super) fn reply_text(event: usize, reply: usize, parts: usize) -> String {
    let lines: Vec<_> = (0..parts)
        .map(|part| format!("{}.{reply}.{part}", event_id(event)))
        .collect();
    lines.join("\n")
}

/// The text of a message on the application's own account: `a` for one that is shown, `h`
/// for one that is hidden.
pub(super) fn unasked_text(number: usize, parts: usize, hidden: bool) -> String {
    let kind = if hidden { 'h' } else { 'a' };
    let lines: Vec<_> = (0..parts)
        .map(|part| format!("{kind}{number}.0.{part}"))
        .collect();
    lines.join("\n")
}

/// Whether a line is one that must not be shown twice.
fn is_payload(line: &str) -> bool {
    line.starts_with(['e', 'a', 'h']) && line.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// The line that must not be shown twice, without notes above it.
pub(super) fn payload(text: &str) -> Option<&str> {
    text.lines().find(|line| is_payload(line))
}

/// The event, reply and part of a payload.
pub(super) fn place_of(payload: &str) -> Option<(&str, usize, usize)> {
    let mut words = payload.split('.');
    let event = words.next()?;
    Some((
        event,
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
    ))
}

/// Cuts a text into parts: each ends with its payload; what follows is a part as well.
pub(super) fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part: Vec<&str> = Vec::new();
    for line in text.lines() {
        part.push(line);
        if is_payload(line) {
            parts.push(part.join("\n"));
            part.clear();
        }
    }
    if !part.is_empty() {
        parts.push(part.join("\n"));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_as_many_parts_as_it_was_made_with() {
        assert_eq!(parts(&reply_text(7, 0, 3)), ["e7.0.0", "e7.0.1", "e7.0.2"]);
        assert!(parts("").is_empty());
    }

    #[test]
    fn a_note_belongs_to_the_part_below_it_and_alone_is_one_part() {
        assert_eq!(
            parts("(again)\ne7.0.0\ne7.0.1"),
            ["(again)\ne7.0.0", "e7.0.1"]
        );
        assert_eq!(parts("(again)"), ["(again)"]);
        assert_eq!(payload("(again)\ne7.0.0"), Some("e7.0.0"));
        assert_eq!(payload("(sent again. e.g. this)"), None);
    }
}
