//! Randomness that a test can repeat.

use std::fmt;
use std::sync::Mutex;

use channel_core::Random;

use crate::wait::lock;

/// A [`Random`] that gives the same bytes for the same seed.
///
/// SplitMix64: good enough to spread values, and no secret to anybody.
pub struct SeededRandom {
    seed: u64,
    state: Mutex<u64>,
}

impl SeededRandom {
    /// Starts from a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            state: Mutex::new(seed),
        }
    }

    /// The next 64 bits.
    #[must_use]
    pub fn next_u64(&self) -> u64 {
        let mut state = lock(&self.state);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeededRandom")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next_u64().to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// A [`Random`] that gives one byte for ever: for tests that compare whole requests, and
/// for jitter that is to be nothing (`0x00`) or all (`0xff`).
#[derive(Debug, Clone, Copy)]
pub struct FixedRandom(u8);

impl FixedRandom {
    /// Gives this byte for ever.
    #[must_use]
    pub const fn new(byte: u8) -> Self {
        Self(byte)
    }
}

impl Random for FixedRandom {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}
