//! Hashes that are the same on every machine and in every release.
//!
//! Not for tables that an attacker can fill: there is no secret key.

/// SplitMix64's finaliser: every input bit reaches every output bit.
pub(crate) const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Hashes bytes eight at a time, the length included.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::hash_bytes;
///
/// // A hash key for schedulers that keep one client on one member.
/// let key = hash_bytes(b"client-42");
/// assert_eq!(key, hash_bytes(b"client-42"));
/// assert_ne!(key, hash_bytes(b"client-43"));
/// ```
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = mix(bytes.len() as u64 ^ 0x243f_6a88_85a3_08d3);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0_u8; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_le_bytes(word));
    }
    let rest = chunks.remainder();
    let mut word = [0_u8; 8];
    word[..rest.len()].copy_from_slice(rest);
    mix(hash ^ u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::hash_bytes;

    #[test]
    fn a_hash_never_changes_between_releases() {
        let values: Vec<u64> = [&b"a"[..], b"node-1", b"a longer route name"]
            .iter()
            .map(|bytes| hash_bytes(bytes))
            .collect();
        assert_eq!(
            values,
            [
                0x74d5_df3e_26d6_ab0e,
                0x0c33_ca9e_ae55_e0b6,
                0xfca6_0372_f918_13e5
            ]
        );
    }

    #[test]
    fn trailing_zeros_are_not_lost() {
        assert_ne!(hash_bytes(b"a"), hash_bytes(b"a\0"));
    }
}
