//! Where a process goes on that comes after this one: a line for each shard.

use crate::address::is_id;

/// The longest cursor that is read, in bytes.
const LONGEST: usize = 1 << 20;
const VERSION: &str = "1";

/// A session and how far it has been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) session: Box<str>,
    pub(crate) url: Box<str>,
    pub(crate) seq: u64,
    /// When all was well, in seconds since 1970.
    pub(crate) at: u64,
    /// Of how many shards this is one.
    pub(crate) of: u32,
}

/// Whether a text may be a session's name, or its address: one word of plain characters.
pub(crate) fn is_word(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The line of a shard up to its position.
pub(crate) fn head(index: u32, of: u32, session: &str, url: &str, at: u64) -> String {
    format!("{VERSION} {index} {of} {session} {url} {at} ")
}

pub(crate) fn write(out: &mut String, index: u32, it: &Resumed) {
    out.push_str(&head(index, it.of, &it.session, &it.url, it.at));
    out.push_str(&it.seq.to_string());
    out.push('\n');
}

pub(crate) fn read(text: &str) -> Vec<(u32, Resumed)> {
    if text.len() > LONGEST {
        return Vec::new();
    }
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<(u32, Resumed)> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    if next()? != VERSION {
        return None;
    }
    let index = next()?.parse().ok()?;
    let of = next()?.parse().ok()?;
    let session = next().filter(|it| is_word(it))?;
    let url = next().filter(|it| is_word(it))?;
    let at = next().filter(|it| is_id(it))?.parse().ok()?;
    let seq = next().filter(|it| is_id(it))?.parse().ok()?;
    let resumed = Resumed {
        session: session.into(),
        url: url.into(),
        seq,
        at,
        of,
    };
    (words.next().is_none() && index < of).then_some((index, resumed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nonsense_is_not() {
        let it = Resumed {
            session: "abc".into(),
            url: "wss://gateway.example".into(),
            seq: 42,
            at: 7,
            of: 2,
        };
        let mut text = String::new();
        write(&mut text, 0, &it);
        write(&mut text, 1, &it);
        assert_eq!(read(&text), [(0, it.clone()), (1, it)]);
        for text in [
            "",
            "1",
            "2 0 1 a b 3",
            "1 1 1 a b 7 3",
            "1 0 1 a b 7 -3",
            "1 0 1 a b 7 3 4",
        ] {
            assert!(read(text).is_empty(), "{text}");
        }
    }
}
