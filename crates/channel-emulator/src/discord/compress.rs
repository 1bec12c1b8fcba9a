//! Compression of what the gateway sends.
//!
//! <https://docs.discord.com/developers/events/gateway#encoding-and-compression>

use flate2::{Compress, Compression, FlushCompress, Status};

/// The largest block of a Zstandard frame.
const ZSTD_BLOCK: usize = 128 * 1024;

/// What is done to the frames of one connection.
#[derive(Debug)]
pub(crate) enum Codec {
    /// Text frames.
    Plain,
    /// One zlib stream over the connection, flushed after each message.
    Zlib(Box<Compress>),
    /// One Zstandard frame over the connection, in blocks that are stored and not compressed: valid for every
    /// decoder, and without a library.
    Zstd {
        /// The frame header has been sent.
        begun: bool,
    },
}

impl Codec {
    /// By the `compress` of the address; `None` when there is no such kind.
    pub(crate) fn new(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("") => Some(Self::Plain),
            Some("zlib-stream") => Some(Self::Zlib(Box::new(Compress::new(
                Compression::default(),
                true,
            )))),
            Some("zstd-stream") => Some(Self::Zstd { begun: false }),
            Some(_) => None,
        }
    }

    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// The bytes of a binary frame; `None` when the text goes out as it is.
    pub(crate) fn encode(&mut self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Plain => None,
            Self::Zlib(stream) => Some(deflate(stream, text.as_bytes(), FlushCompress::Sync)),
            Self::Zstd { begun } => Some(stored(text.as_bytes(), begun)),
        }
    }
}

/// A whole zlib message, as Identify's `compress` asks for.
pub(crate) fn whole(text: &str) -> Vec<u8> {
    let mut stream = Compress::new(Compression::default(), true);
    deflate(&mut stream, text.as_bytes(), FlushCompress::Finish)
}

fn deflate(stream: &mut Compress, input: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut output = Vec::with_capacity(input.len() / 2 + 64);
    let begun = stream.total_in();
    loop {
        let read = usize::try_from(stream.total_in() - begun).unwrap_or(usize::MAX);
        let rest = input.get(read..).unwrap_or_default();
        if output.capacity() - output.len() < 64 {
            output.reserve(output.capacity().max(256));
        }
        let room = output.capacity();
        match stream.compress_vec(rest, &mut output, flush) {
            Ok(Status::StreamEnd) | Err(_) => return output,
            // Space left over means that nothing is left to write.
            Ok(Status::Ok | Status::BufError) if output.len() < room && rest.is_empty() => {
                return output;
            }
            Ok(_) => {
                let read = usize::try_from(stream.total_in() - begun).unwrap_or(usize::MAX);
                let flushed = flush != FlushCompress::Finish && output.len() < room;
                if read >= input.len() && flushed {
                    return output;
                }
            }
        }
    }
}

/// <https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1>
fn stored(input: &[u8], begun: &mut bool) -> Vec<u8> {
    let mut output = Vec::with_capacity(input.len() + 16);
    if !*begun {
        *begun = true;
        // The magic number, no flags, and a window of 128 KiB: exponent 7, mantissa 0.
        output.extend_from_slice(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3]);
    }
    for block in input.chunks(ZSTD_BLOCK) {
        // Size in the upper 21 bits, type 0 (stored), not the last.
        let header = u32::try_from(block.len()).unwrap_or(0) << 3;
        output.extend(header.to_le_bytes().iter().take(3));
        output.extend_from_slice(block);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zlib_stream_ends_each_message_with_the_flush_mark_and_keeps_its_context() {
        let mut codec = Codec::new(Some("zlib-stream")).unwrap();
        let mut inflate = flate2::Decompress::new(true);
        let long = "hello ".repeat(100_000);
        for text in ["hello", &long, "hello"] {
            let bytes = codec.encode(text).unwrap();
            assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
            let mut output = Vec::with_capacity(text.len() + 64);
            inflate
                .decompress_vec(&bytes, &mut output, flate2::FlushDecompress::Sync)
                .unwrap();
            assert_eq!(output, text.as_bytes());
        }
    }

    #[test]
    fn a_whole_message_is_a_zlib_file() {
        let text = "x".repeat(5000);
        let bytes = whole(&text);
        let mut output = Vec::with_capacity(6000);
        let status = flate2::Decompress::new(true)
            .decompress_vec(&bytes, &mut output, flate2::FlushDecompress::Finish)
            .unwrap();
        assert_eq!((status, output), (Status::StreamEnd, text.into_bytes()));
    }

    #[test]
    fn zstandard_blocks_are_stored() {
        let mut codec = Codec::new(Some("zstd-stream")).unwrap();
        let first = codec.encode("hi").unwrap();
        assert_eq!(
            first,
            [0x28, 0xb5, 0x2f, 0xfd, 0, 0x38, 0x10, 0, 0, b'h', b'i']
        );
        assert_eq!(codec.encode("ho").unwrap(), [0x10, 0, 0, b'h', b'o']);
    }
}
