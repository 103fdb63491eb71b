//! All indices below a number in an order that a seed determines, without memory for them:
//! [`Shuffled`].
//!
//! Not here: what the indices stand for.

/// How often an index is mixed.
const ROUNDS: u32 = 4;

/// Iterates over `0..len` in an order that follows from a seed.
///
/// The indices of the next power of two are mapped to each other by additions, products
/// with odd numbers and shifts, each of which can be undone; those from `len` on are left
/// out. A step takes constant time on average.
#[derive(Clone, Debug)]
pub(super) struct Shuffled {
    len: u64,
    mask: u64,
    shift: u32,
    seed: u64,
    next: u64,
}

impl Shuffled {
    pub(super) fn new(len: usize, seed: u64) -> Self {
        let len = len as u64;
        let mask = len.next_power_of_two() - 1;
        Self {
            len,
            mask,
            shift: mask.count_ones() / 2 + 1,
            seed,
            next: 0,
        }
    }

    fn mapped(&self, index: u64) -> u64 {
        // Each round takes an offset and an odd factor from other bits of the seed.
        (0..ROUNDS).fold(index, |mixed, round| {
            let offset = self.seed.rotate_right(round * 64 / ROUNDS);
            let factor = offset.rotate_right(29) | 1;
            let mixed = mixed.wrapping_add(offset).wrapping_mul(factor) & self.mask;
            mixed ^ mixed >> self.shift
        })
    }
}

impl Iterator for Shuffled {
    type Item = usize;

    #[expect(clippy::cast_possible_truncation, reason = "less than a `usize`")]
    fn next(&mut self) -> Option<usize> {
        while self.next <= self.mask {
            let index = self.mapped(self.next);
            self.next += 1;
            if index < self.len {
                return Some(index as usize);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Shuffled;
    use crate::stable_hash::hash_bytes;

    #[test]
    fn each_index_comes_once() {
        for len in (0..70).chain([100, 255, 256, 257, 1_000]) {
            for seed in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
                let mut all: Vec<usize> = Shuffled::new(len, seed).collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..len), "{len} {seed:#x}");
            }
        }
    }

    #[test]
    fn each_pair_of_neighbours_is_about_as_frequent() {
        for len in [5_usize, 8, 12] {
            let mut pairs = vec![0_usize; len * len];
            let seeds = 20_000_u64;
            for seed in 0..seeds {
                let seed = hash_bytes(&seed.to_le_bytes());
                let order: Vec<usize> = Shuffled::new(len, seed).collect();
                pairs[order[0] * len + order[1]] += 1;
            }
            let mean = 20_000 / (len * (len - 1));
            for (at, &count) in pairs.iter().enumerate() {
                let (one, next) = (at / len, at % len);
                // Some pairs are more frequent than others, but none is left out or taken
                // by most seeds.
                assert!(one == next || count > 0, "{len}: {one} {next}");
                assert!(count < 4 * mean, "{len}: {one} {next}: {count} of {mean}");
            }
        }
    }
}
