//! The log of a store, checked against what SQLite says that it holds.
//!
//! SQLite trusts its log: it goes on writing behind a hole where somebody has cut the file
//! short, and copies the hole back over the store. So each commit is read again before it is
//! answered, and what the log holds is kept in memory until it is copied back: a log that was
//! damaged is put right from there, and nothing that was answered is lost with it.
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::error::unavailable;
use super::lock::{beside, private};
use crate::store::StoreError;

/// Before the first frame.
const HEADER: usize = 32;
/// Before the page of each frame.
const FRAME: usize = 24;
/// More than this is not kept, in bytes: a log that cannot be copied back grows, because
/// somebody reads for a long time.
const MOST: usize = 64 << 20;

/// What the log held at the last look.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// Its header; `None` while it is empty.
    header: Option<[u8; HEADER]>,
    /// Where `frames` begin in the file: behind the header, unless they became too many.
    start: usize,
    /// Its frames, the last of them at least.
    frames: Vec<u8>,
    /// The checksum behind them, which is the beginning of the next one.
    sum: Sum,
    /// Whether the file is not what is kept.
    is_damaged: bool,
    /// Whether what is kept is all that the log held: it has been followed since it was opened.
    is_known: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum(u32, u32);

impl Sum {
    /// Goes on over words in the byte order of the log.
    fn over(mut self, bytes: &[u8], is_big: bool) -> Self {
        let word = |four: &[u8]| match (<[u8; 4]>::try_from(four), is_big) {
            (Ok(four), true) => u32::from_be_bytes(four),
            (Ok(four), false) => u32::from_le_bytes(four),
            (Err(_), _) => 0,
        };
        for pair in bytes.chunks_exact(8) {
            let (first, second) = pair.split_at(4);
            self.0 = self.0.wrapping_add(word(first)).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(word(second)).wrapping_add(self.0);
        }
        self
    }

    fn at(bytes: &[u8], place: usize) -> Option<Self> {
        Some(Self(number(bytes, place)?, number(bytes, place + 4)?))
    }
}

fn number(bytes: &[u8], place: usize) -> Option<u32> {
    let four = bytes.get(place..place.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// What the header of a log says.
#[derive(Debug, Clone, Copy)]
struct Header {
    is_big: bool,
    /// Bytes of a frame, with its page.
    frame: usize,
    sum: Sum,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let is_big = match number(bytes, 0)? {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let page = usize::try_from(number(bytes, 8)?).ok()?;
        let sum = Sum::default().over(bytes.get(..24)?, is_big);
        let is_whole = Sum::at(bytes, 24)? == sum && page.is_power_of_two();
        is_whole.then_some(Self {
            is_big,
            frame: FRAME + page,
            sum,
        })
    }
}

impl Log {
    pub(crate) fn beside(store: &Path) -> Self {
        Self {
            path: beside(store, "-wal"),
            header: None,
            start: HEADER,
            frames: Vec::new(),
            sum: Sum::default(),
            is_damaged: false,
            is_known: false,
        }
    }

    /// Forgets what it held; not known again before it is followed.
    pub(crate) fn forget(&mut self) {
        self.begin_anew();
        self.is_damaged = false;
        self.is_known = false;
    }

    /// All that it held was copied back.
    fn begin_anew(&mut self) {
        self.header = None;
        self.start = HEADER;
        self.frames = Vec::new();
    }

    fn end(&self) -> usize {
        self.start.saturating_add(self.frames.len())
    }

    /// The bytes of a frame; 0 without a header.
    fn frame(&self) -> usize {
        let header = self.header.as_ref().and_then(|header| Header::read(header));
        header.map_or(0, |header| header.frame)
    }

    /// How many frames it held.
    pub(crate) fn count(&self) -> usize {
        let behind = self.end().saturating_sub(HEADER);
        behind.checked_div(self.frame()).unwrap_or(0)
    }

    /// Fails if the file does not end any more as it did: whoever cuts it short takes the end
    /// away, whatever is written behind the hole.
    pub(crate) fn look(&mut self) -> Result<(), StoreError> {
        let last = self.frames.len().saturating_sub(self.frame());
        self.compare(last)
    }

    /// Fails if any of it is not there any more.
    pub(crate) fn look_at_all(&mut self) -> Result<(), StoreError> {
        if let Some(header) = self.header {
            let mut found = [0; HEADER];
            let same = self.read(0, &mut found)? && found == header;
            self.judge(same)?;
        }
        self.compare(0)
    }

    fn compare(&mut self, from: usize) -> Result<(), StoreError> {
        let kept = self.frames.get(from..).unwrap_or_default();
        let mut found = vec![0; kept.len()];
        let place = self.start.saturating_add(from);
        let same = found.is_empty() || (self.read(place, &mut found)? && found == kept);
        self.judge(same)
    }

    /// Takes over what was committed: the log holds so many frames now. Fails if it does not;
    /// if it does, whatever looked like damage before was none.
    pub(crate) fn follow(&mut self, frames: usize) -> Result<(), StoreError> {
        if frames == 0 {
            self.begin_anew();
        } else {
            let is_well = self.read_on(frames)?;
            self.judge(is_well)?;
        }
        self.is_damaged = false;
        self.is_known = true;
        if self.frames.len() > MOST {
            let last = self.frames.len().saturating_sub(self.frame());
            self.frames = self.frames.split_off(last);
            self.start = self.start.saturating_add(last);
        }
        Ok(())
    }

    /// Reads what is new; whether all of it is as SQLite writes it.
    fn read_on(&mut self, frames: usize) -> Result<bool, StoreError> {
        let mut first = [0; HEADER];
        if !self.read(0, &mut first)? {
            return Ok(false);
        }
        let Some(header) = Header::read(&first) else {
            return Ok(false);
        };
        if self.header == Some(first) {
            self.look()?;
        } else {
            self.begin_anew();
            self.header = Some(first);
            self.sum = header.sum;
        }
        let (old, end) = (
            self.end(),
            HEADER.saturating_add(frames.saturating_mul(header.frame)),
        );
        let Some(more) = end.checked_sub(old) else {
            return Ok(false);
        };
        let mut new = vec![0; more];
        let salts = first.get(16..24);
        let mut sum = self.sum;
        let is_whole = self.read(old, &mut new)?
            && new.chunks(header.frame).all(|frame| {
                let (Some(head), Some(page)) = (frame.get(..8), frame.get(FRAME..)) else {
                    return false;
                };
                sum = sum.over(head, header.is_big).over(page, header.is_big);
                frame.get(8..16) == salts && Sum::at(frame, 16) == Some(sum)
            });
        if is_whole {
            self.sum = sum;
            self.frames.append(&mut new);
        }
        Ok(is_whole)
    }

    /// SQLite has found less than it held.
    pub(crate) const fn is_cut_short(&mut self) {
        self.is_damaged = true;
    }

    /// Damage stays until it has been mended or explained: what is kept may be whole while what
    /// was written behind it is gone.
    fn judge(&mut self, is_well: bool) -> Result<(), StoreError> {
        if is_well {
            return Ok(());
        }
        self.is_damaged = true;
        Err(unavailable("its log was cut short or overwritten"))
    }

    /// Reads from a place; `false` if there is less.
    fn read(&self, from: usize, into: &mut [u8]) -> Result<bool, StoreError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unreadable(error)),
        };
        file.seek(SeekFrom::Start(from as u64))
            .map_err(unreadable)?;
        match file.read_exact(into) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Whether the file has to be put right, and can be. If it had just begun anew, it is put
    /// right by being empty.
    pub(crate) const fn can_mend(&self) -> bool {
        self.is_damaged && self.is_known && self.start == HEADER
    }

    /// Puts the file right, if it has to be. Nobody may have the store open.
    pub(crate) fn mend(&mut self) -> Result<(), StoreError> {
        if !self.can_mend() {
            return Ok(());
        }
        let unwritable = |error| unavailable("its log cannot be put right").with_source(error);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let mut file = private(options).open(&self.path).map_err(unwritable)?;
        let header = self.header.unwrap_or_default();
        file.write_all(&header).map_err(unwritable)?;
        file.write_all(&self.frames).map_err(unwritable)?;
        file.set_len(self.end() as u64).map_err(unwritable)?;
        file.sync_all().map_err(unwritable)?;
        let bytes = self.end();
        tracing::warn!(
            bytes,
            "the log of the store was damaged and has been put right"
        );
        self.is_damaged = false;
        Ok(())
    }
}

fn unreadable(error: std::io::Error) -> StoreError {
    unavailable("its log cannot be read").with_source(error)
}
