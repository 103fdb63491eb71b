//! Hashes that are the same on every machine and in every release: SipHash-2-4 with a
//! published key, and the hashes of keys that other load balancers use.
//!
//! | function | hashes keys as |
//! |---|---|
//! | [`hash_bytes`] | this crate does; use it unless another program must pick alike |
//! | [`crc32_with_length`] | nginx, for `hash`, with and without `consistent` |
//! | [`sdbm`], [`djb2`], [`crc32`] | HAProxy, for `hash-type` with the function of that name |
//! | [`avalanche`] | HAProxy, after one of these functions |
//! | [`ketama`] | memcached clients with ketama |
//! | [`xxhash64`] | Envoy, for one hash policy |
//!
//! Not for tables that an attacker can fill: no key is secret. Random numbers use a
//! different mixer (`random`).

mod compatible;

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher24Of128};

pub(crate) use compatible::Crc32Suffix;
pub use compatible::{avalanche, crc32, crc32_with_length, djb2, ketama, sdbm, xxhash64};

/// The key of the published test vectors: the bytes 0 to 15. With it, each value here can
/// be checked with any other implementation, in any language.
///
/// Source: Aumasson, Bernstein: *SipHash: a fast short-input PRF* (INDOCRYPT 2012),
/// appendix A.
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Hashes bytes to 64 bits.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::hash_bytes;
///
/// // A hash key for schedulers that keep a client on one member.
/// let key = hash_bytes(b"client-42");
/// assert_eq!(key, hash_bytes(b"client-42"));
/// assert_ne!(key, hash_bytes(b"client-43"));
/// ```
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    SipHasher24::new_with_key(&KEY).hash(bytes)
}

/// Hashes bytes to 128 bits, for tables that need two independent hashes of one name, such
/// as an offset and a step, and for keys that must not collide by accident.
///
/// This is SipHash's own 128-bit variant, not [`hash_bytes`] twice.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::hash_bytes_128;
///
/// /// The start and the step of a member's permutation of a table.
/// fn permutation(name: &str, table: u64) -> (u64, u64) {
///     let hash = hash_bytes_128(name.as_bytes());
///     let (upper, lower) = ((hash >> 64) as u64, hash as u64);
///     (upper % table, lower % (table - 1) + 1)
/// }
///
/// assert_ne!(permutation("node1", 65_537), permutation("node2", 65_537));
/// ```
#[must_use]
pub fn hash_bytes_128(bytes: &[u8]) -> u128 {
    let mut hasher = SipHasher24Of128::new_with_key(&KEY);
    hasher.write(bytes);
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::{hash_bytes, hash_bytes_128};

    /// The first `length` of the bytes 0, 1, 2 …: the messages of the published vectors.
    fn message(length: u8) -> Vec<u8> {
        (0..length).collect()
    }

    #[test]
    fn the_published_vectors_come_out() {
        // Appendix A of the paper.
        assert_eq!(hash_bytes(&message(15)), 0xa129_ca61_49be_45e5);
        // `vectors.h` of the reference implementation.
        assert_eq!(
            hash_bytes(b"").to_le_bytes(),
            *b"\x31\x0e\x0e\xdd\x47\xdb\x6f\x72"
        );
        assert_eq!(
            hash_bytes(&message(1)).to_le_bytes(),
            *b"\xfd\x67\xdc\x93\xc5\x39\xf8\x74"
        );
        assert_eq!(
            hash_bytes_128(b"").to_le_bytes(),
            *b"\xa3\x81\x7f\x04\xba\x25\xa8\xe6\x6d\xf6\x72\x14\xc7\x55\x02\x93"
        );
    }

    #[test]
    fn a_hash_never_changes_between_releases() {
        let texts = ["a", "node-1", "a longer route name"];
        assert_eq!(
            texts.map(|text| hash_bytes(text.as_bytes())),
            [
                0x2ba3_e8e9_a711_48ca,
                0x9839_7ccc_f601_8808,
                0x37a0_9859_b318_b052
            ]
        );
        assert_eq!(
            texts.map(|text| hash_bytes_128(text.as_bytes())),
            [
                0x2664_f284_16c9_5f2d_d921_ad02_fbf2_a40e,
                0xcf2b_096a_92e6_85a7_bc16_12a3_f6c3_05d8,
                0xd198_00f1_0a5d_4dda_d471_567b_9d6b_8a7c
            ]
        );
    }

    #[test]
    fn trailing_zeros_are_not_lost() {
        assert_ne!(hash_bytes(b"a"), hash_bytes(b"a\0"));
    }
}
