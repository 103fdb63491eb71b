//! nginx's ranges of weight, in which a key is looked up again under another hash if its
//! member is unusable: [`WeightRanges`].
//!
//! Source: nginx's documentation of `hash` in `ngx_http_upstream_module`, and that of the
//! Perl module Cache::Memcached, whose hashes these are; a test compares picks with a running
//! nginx.

use super::map::greatest_common_divisor;
use crate::scheduler::hashing::by_score::MemberHashes;
use crate::scheduler::hashing::hashed_member::HashedMember;
use crate::scheduler::{PlanMember, PlanMembers};
use crate::stable_hash::Crc32Suffix;

/// The number of hashes of a key that nginx looks up before it turns to round robin.
const ATTEMPTS: u8 = 21;

/// The number of different hashes.
const HASHES: u64 = 1 << 15;

/// A range for each member, as long as its weight.
#[derive(Debug)]
pub(super) struct WeightRanges {
    /// The end of each range.
    ends: Box<[u64]>,
    /// The slot of each range's member in the balancer.
    slots: Box<[usize]>,
    members: MemberHashes,
}

impl WeightRanges {
    pub(super) fn new(members: &PlanMembers<'_>) -> Self {
        let hundredths = |member: &PlanMember<'_>| member.weight().hundredths();
        let divisor = members.iter().map(|member| hundredths(&member));
        let divisor = divisor.fold(0, greatest_common_divisor);
        // Whole weights, as in nginx, which divides them by nothing else.
        let unit = if divisor % 100 == 0 { 100 } else { divisor }.max(1);
        let mut end = 0;
        let ends = members.iter().map(|member| {
            end += u64::from(hundredths(&member) / unit);
            end
        });
        Self {
            ends: ends.collect(),
            slots: members.iter().map(|member| member.id().slot()).collect(),
            members: MemberHashes::new(members),
        }
    }

    /// Returns the hashes of the members' names.
    pub(super) fn hashes(&self) -> &MemberHashes {
        &self.members
    }

    /// Returns the sum of the weights.
    pub(super) fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Returns the number of members to which less than nine tenths of the keys belong that
    /// are due to their weights: a hash has too few bits.
    pub(super) fn too_small(&self) -> usize {
        let total = self.total().max(1);
        // The hashes whose positions are below `end`.
        let hashes = |end: u64| HASHES / total * end + end.min(HASHES % total);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(self.ends.iter().copied());
        let is_too_small = |&(start, end): &(u64, u64)| {
            let due = u128::from(end - start) * u128::from(HASHES);
            u128::from(hashes(end) - hashes(start)) * u128::from(total) * 10 < due * 9
        };
        ranges.filter(is_too_small).count()
    }

    /// Iterates over the positions that the hashes of a key give, in the order of attempts:
    /// sums of 15 bits each of the CRC-32 of the key's text, and of the attempt's number and the
    /// text.
    #[inline]
    pub(super) fn positions(&self, key: u64) -> impl Iterator<Item = u64> {
        let total = self.total();
        let attempts = if total == 0 { 0 } else { ATTEMPTS };
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let crc = key as u32;
        let (mut suffix, mut sum) = (None, 0_u64);
        (0..attempts).map(move |attempt| {
            let crc = if attempt == 0 {
                crc
            } else {
                let new = || Crc32Suffix::new(crc, key >> 32);
                crc_of_attempt(attempt, *suffix.get_or_insert_with(new))
            };
            sum += u64::from(crc >> 16 & 0x7fff);
            sum % total
        })
    }

    /// Iterates over the member that owns a key, and those that it is passed on to, one for
    /// each hash of the key.
    #[inline]
    pub(super) fn walk(&self, key: u64) -> impl Iterator<Item = HashedMember> {
        self.positions(key).filter_map(|position| {
            let index = self.ends.partition_point(|&end| end <= position);
            self.members.at(self.slots[index])
        })
    }
}

/// Returns the CRC-32 of the attempt's decimal number and the key's text.
#[cold]
fn crc_of_attempt(attempt: u8, text: Crc32Suffix) -> u32 {
    let digits = [b'0' + attempt / 10, b'0' + attempt % 10];
    text.after(if attempt < 10 { &digits[1..] } else { &digits })
}
