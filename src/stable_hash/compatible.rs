//! The hashes of keys that nginx, HAProxy, Envoy and memcached clients use, for picks that
//! are the same as theirs.
//!
//! Not here: the rings and maps that these programs look keys up in
//! (`scheduler/hashing`).

use md5::{Digest, Md5};
use twox_hash::XxHash64;

/// Hashes bytes to the CRC-32 of gzip and Ethernet (polynomial 04C11DB7, reflected).
///
/// nginx and HAProxy (`hash-type … crc32`) hash keys with it. For nginx use
/// [`crc32_with_length`], which [`Modulo::nginx`](crate::scheduler::Modulo::nginx) needs.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::crc32;
///
/// assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
/// ```
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Hashes the text of nginx's `hash` directive to a key for
/// [`Ring::nginx`](crate::scheduler::Ring::nginx) and
/// [`Modulo::nginx`](crate::scheduler::Modulo::nginx).
///
/// The lower 32 bits are the [`crc32`] of the text, and the upper 32 bits are its length.
/// With the length, the hashes that nginx computes after a failure follow from the first
/// one.
///
/// # Examples
///
/// ```
/// use equipoise::PickRequest;
/// use equipoise::stable_hash::{crc32, crc32_with_length};
///
/// // `hash $uri consistent;`
/// let key = crc32_with_length(b"/images/logo.png");
/// assert_eq!(key & 0xffff_ffff, u64::from(crc32(b"/images/logo.png")));
/// let request = PickRequest::new().with_hash(key);
/// # let _ = request;
/// ```
#[must_use]
pub fn crc32_with_length(text: &[u8]) -> u64 {
    (text.len() as u64) << 32 | u64::from(crc32(text))
}

/// A text of which only its CRC-32 and its length are known, for the CRC-32 of longer texts
/// that end with it.
///
/// A CRC is a remainder of polynomials over bits, so that a prefix adds the product of its own
/// CRC and of `x^(8 · length)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc32Suffix {
    crc: u32,
    /// `x^(8 · length)`.
    power: u32,
}

impl Crc32Suffix {
    pub(crate) fn new(crc: u32, mut length: u64) -> Self {
        // 1 and x^8; the first bit is that of x^0.
        let (mut power, mut square) = (1 << 31, 1 << 23);
        while length > 0 {
            if length & 1 == 1 {
                power = product(power, square);
            }
            square = product(square, square);
            length >>= 1;
        }
        Self { crc, power }
    }

    /// Returns the CRC-32 of `prefix` and the text.
    pub(crate) fn after(self, prefix: &[u8]) -> u32 {
        product(self.power, crc32(prefix)) ^ self.crc
    }
}

/// Multiplies two polynomials modulo that of CRC-32.
fn product(one: u32, mut other: u32) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut sum = 0;
    for bit in (0..u32::BITS).rev() {
        // All bits set, or none.
        sum ^= other & (one >> bit & 1).wrapping_neg();
        other = other >> 1 ^ POLYNOMIAL & (other & 1).wrapping_neg();
    }
    sum
}

/// Hashes bytes with the function of the database library sdbm: HAProxy's default, and
/// `hash-type … sdbm`.
///
/// `hash-type consistent` without a function's name applies [`avalanche`] to the result;
/// `hash-type map-based` does not.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::{avalanche, sdbm};
///
/// // The key of `balance uri` with `hash-type map-based`, and with `hash-type consistent`.
/// let path = b"/images/logo.png";
/// assert_eq!(sdbm(path), 713_581_038);
/// assert_eq!(avalanche(sdbm(path)), 3_707_622_295);
/// ```
#[must_use]
pub fn sdbm(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0_u32, |hash, &byte| {
        // The multiplier of sdbm: 2^16 + 2^6 - 1.
        hash.wrapping_mul(65_599).wrapping_add(u32::from(byte))
    })
}

/// Hashes bytes with Bernstein's function: `hash-type … djb2` of HAProxy.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::djb2;
///
/// assert_eq!(djb2(b"/images/logo.png"), 3_368_543_325);
/// ```
#[must_use]
pub fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5_381_u32, |hash, &byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

/// Mixes a hash so that each of its bits changes about half of the result: `avalanche` of
/// HAProxy's `hash-type`.
///
/// HAProxy applies it to the key where `avalanche` is written, and in `hash-type
/// consistent` without a function's name. No two numbers have the same result.
///
/// Source: Bob Jenkins: *Integer hashing*
/// (<https://burtleburtle.net/bob/hash/integer.html>), the function of six shifts. HAProxy
/// multiplies its result by 3·2^30 + 1.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::{avalanche, djb2};
///
/// // `hash-type consistent djb2 avalanche`
/// assert_eq!(avalanche(djb2(b"/a")), 3_623_408_593);
/// ```
#[must_use]
pub fn avalanche(hash: u32) -> u32 {
    let hash = hash.wrapping_add(0x7ed5_5d16).wrapping_add(hash << 12);
    let hash = (hash ^ 0xc761_c23c) ^ (hash >> 19);
    let hash = hash.wrapping_add(0x1656_67b1).wrapping_add(hash << 5);
    let hash = hash.wrapping_add(0xd3a2_646c) ^ (hash << 9);
    let hash = hash.wrapping_add(0xfd70_46c5).wrapping_add(hash << 3);
    let hash = (hash ^ 0xb55a_4f09) ^ (hash >> 16);
    hash.wrapping_mul(3 << 30 | 1)
}

/// Hashes bytes to the first 32 bits of their MD5 digest, as memcached clients with ketama
/// do. For [`Ring::ketama`](crate::scheduler::Ring::ketama).
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::ketama;
///
/// assert_eq!(ketama(b"SVa_]_V41)"), 443_691_461);
/// ```
#[must_use]
pub fn ketama(bytes: &[u8]) -> u32 {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    let [a, b, c, d, ..] = digest;
    u32::from_le_bytes([a, b, c, d])
}

/// Hashes bytes with xxHash64 and the seed 0, as Envoy and gRPC do. For
/// [`Ring::envoy`](crate::scheduler::Ring::envoy).
///
/// This is the key of a request with one hash policy. If several policies have a value,
/// Envoy combines them in order: `key.rotate_left(1) ^ xxhash64(value)`, where `key` is that
/// of the policies before, and 0 at first.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::xxhash64;
///
/// assert_eq!(xxhash64(b""), 0xef46_db37_51d8_e999);
/// assert_eq!(xxhash64(b"a"), 0xd24e_c4f1_a98c_6e5b);
/// ```
#[must_use]
pub fn xxhash64(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

#[cfg(test)]
mod tests {
    use super::{Crc32Suffix, avalanche, crc32, crc32_with_length, djb2, ketama, sdbm};
    use proptest::prelude::*;

    /// `http-request return … "%[path,sdbm(0)] %[path,sdbm(1)] …"` of HAProxy 2.6.12.
    #[test]
    fn hashes_are_those_of_haproxy() {
        let rows: [(&[u8], [u32; 6]); 4] = [
            (
                b"/",
                [47, 2118074832, 177620, 3725504903, 2043925204, 2724628003],
            ),
            (
                b"/a",
                [
                    3083250, 1743195586, 5861557, 3623408593, 1768979292, 2112193429,
                ],
            ),
            (
                b"/%C3%A9",
                [
                    2759694583, 1595471412, 2161683246, 1159402070, 2262041887, 2250282115,
                ],
            ),
            (
                b"/k/1234567890123456",
                [
                    125874353, 2611303375, 1763257040, 2681937203, 3217691974, 3386866580,
                ],
            ),
        ];
        for (text, expected) in rows {
            let plain = [sdbm(text), djb2(text), crc32(text)];
            let ours = plain.map(|hash| [hash, avalanche(hash)]);
            assert_eq!(ours.as_flattened(), expected, "{}", text.escape_ascii());
        }
    }

    /// From the tests of libmemcached (`ketama_test_cases`).
    #[test]
    fn a_ketama_key_is_that_of_libmemcached() {
        for (key, hash) in [
            ("*/Z;?V(.\\8", 1_422_915_503),
            ("30C1*Z*S/_", 1_473_165_754),
            ("ERR:EC58G>", 2_148_406_511),
        ] {
            assert_eq!(ketama(key.as_bytes()), hash);
        }
    }

    proptest! {
        #[test]
        fn a_prefix_can_be_added_to_a_crc_alone(prefix: Vec<u8>, text: Vec<u8>) {
            let whole = [&*prefix, &*text].concat();
            let length = crc32_with_length(&text) >> 32;
            let suffix = Crc32Suffix::new(crc32(&text), length);
            prop_assert_eq!(suffix.after(&prefix), crc32(&whole));
        }
    }
}
