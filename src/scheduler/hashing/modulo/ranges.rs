//! nginx's ranges of weight, in which a key is looked up again under another hash if its
//! member is unusable: [`WeightRanges`].
//!
//! Source: nginx's documentation of `hash` in `ngx_http_upstream_module`, and that of the
//! Perl module Cache::Memcached, whose hashes these are; a test compares picks with a running
//! nginx.

use crate::scheduler::hashing::by_score::MemberHashes;
use crate::scheduler::hashing::hashed_member::HashedMember;
use crate::scheduler::{PlanMember, PlanMembers};
use crate::stable_hash::Crc32Suffix;

/// The number of hashes of a key that nginx looks up before it turns to round robin.
const ATTEMPTS: u8 = 21;

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
        // Whole weights, as in nginx, if all are whole.
        let hundredths = |member: &PlanMember<'_>| u64::from(member.weight().hundredths());
        let whole = members.iter().all(|member| hundredths(&member) % 100 == 0);
        let unit = if whole { 100 } else { 1 };
        let mut end = 0;
        let ends = members.iter().map(|member| {
            end += hundredths(&member) / unit;
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
