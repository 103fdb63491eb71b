//! The code at the end of a message: [`HeartbeatKey`] makes and verifies it.
//!
//! What does not live here: whether a message whose code is right was received before
//! (`replays`).

use std::fmt::{self, Write as _};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::heartbeat::pairs::{Pairs, decimal};

/// Before the text, so that a code is one of nothing else that the key may sign.
const PURPOSE: &[u8] = b"equipoise heartbeat 1\n";

/// Between the text and its code.
const MARK: &[u8] = b"&mac=";

/// Hexadecimal digits of a code.
const DIGITS: usize = 64;

/// A key that senders and monitors share, so that others cannot report.
///
/// A signed message has three pairs more: the time in milliseconds since 1970, a number that its
/// sender chose at random when it began, and HMAC-SHA256 over all before it. httpd ignores them,
/// so one sender can serve both.
///
/// ```text
/// v=1&ready=30&busy=2&time=1767225600000&instance=5bd1e995c6a4a793&mac=9f86d081…
/// ```
///
/// # Trust
///
/// * Without a key, a monitor believes each datagram that reaches it. The sender's address is
///   not proven: in a network where others can send with forged addresses, they can attract all
///   requests to one member, or keep them from it. They cannot add a member, and a member that
///   fails is put in error as ever.
/// * With a key, messages of others are dropped before they are read. Those that have the key
///   trust each other: each can report for every address.
/// * A message is accepted once, within 30 s (settable) of its time, and from the address at
///   which its sender was first seen. So clocks must agree by that much. A monitor that begins
///   anew has forgotten what it has seen: for that time, a recorded message that it would have
///   dropped can be sent to it once more.
/// * Nothing is encrypted.
///
/// Source: RFC 2104.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{HeartbeatKey, HeartbeatMonitor, HeartbeatSender};
///
/// let key = HeartbeatKey::new(b"32 random bytes, from a file 0400");
/// let monitor = HeartbeatMonitor::builder().key(key.clone()).build();
/// let sender = HeartbeatSender::new(([239, 0, 0, 1], 27_999).into()).key(key);
/// # let _ = (monitor, sender);
/// ```
#[derive(Clone)]
pub struct HeartbeatKey {
    present: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

/// When a message was made, and by what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::heartbeat) struct Stamp {
    /// Milliseconds since 1970.
    pub(in crate::heartbeat) time: u64,
    pub(in crate::heartbeat) instance: u64,
}

/// Why a message is not verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::heartbeat) enum Unverified {
    NotSigned,
    Wrong,
}

impl HeartbeatKey {
    /// Creates a key of secret bytes, best 32 random ones.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self {
            present: keyed(secret),
            previous: None,
        }
    }

    /// Accepts also what was signed with an older key. To change the key, give monitors the new
    /// one with the old as the previous, then give senders the new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::HeartbeatKey;
    ///
    /// let key = HeartbeatKey::new(b"the new key, 32 random bytes").with_previous(b"the old one");
    /// # let _ = key;
    /// ```
    #[must_use]
    pub fn with_previous(self, secret: &[u8]) -> Self {
        Self {
            previous: Some(keyed(secret)),
            ..self
        }
    }

    /// Adds the stamp and the code to a message.
    pub(in crate::heartbeat) fn sign(&self, message: &mut String, stamp: Stamp) {
        let Stamp { time, instance } = stamp;
        let _ = write!(message, "&time={time}&instance={instance:016x}");
        let code = over(&self.present, message.as_bytes()).finalize();
        message.push_str("&mac=");
        for byte in code.into_bytes() {
            let _ = write!(message, "{byte:02x}");
        }
    }

    /// Verifies the code of a message.
    pub(in crate::heartbeat) fn verify(&self, message: &[u8]) -> Result<Stamp, Unverified> {
        let message = message.trim_ascii_end();
        let signed = message.len().checked_sub(MARK.len() + DIGITS);
        let (text, code) = match signed.map(|end| message.split_at(end)) {
            Some((text, rest)) if rest.starts_with(MARK) => (text, &rest[MARK.len()..]),
            _ => return Err(Unverified::NotSigned),
        };
        let code = bytes_of(code).ok_or(Unverified::Wrong)?;
        let keys = [Some(&self.present), self.previous.as_ref()];
        let fits = |key| over(key, text).verify_slice(&code).is_ok();
        if !keys.into_iter().flatten().any(fits) {
            return Err(Unverified::Wrong);
        }
        stamp_of(text).ok_or(Unverified::Wrong)
    }
}

fn over(key: &Hmac<Sha256>, text: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(PURPOSE);
    mac.update(text);
    mac
}

fn bytes_of(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?))
        .collect()
}

/// The value of a hexadecimal digit.
const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn stamp_of(text: &[u8]) -> Option<Stamp> {
    let (mut time, mut instance) = (None, None);
    for (key, value) in Pairs::new(text) {
        match &*key {
            b"time" => time = decimal(&value),
            b"instance" => {
                let digits = std::str::from_utf8(&value).ok();
                instance = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            }
            _ => {}
        }
    }
    Some(Stamp {
        time: time?,
        instance: instance?,
    })
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(secret) {
        Ok(keyed) => keyed,
        Err(_) => unreachable!("an HMAC takes keys of any length"),
    }
}

/// Without the secret.
impl fmt::Debug for HeartbeatKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{HeartbeatKey, Stamp, Unverified};
    use crate::heartbeat::HeartbeatMessage;

    const STAMP: Stamp = Stamp {
        time: 1_767_225_600_000,
        instance: 0x5bd1_e995,
    };

    fn signed(key: &HeartbeatKey) -> String {
        let mut message = String::from("v=1&ready=30&busy=2");
        key.sign(&mut message, STAMP);
        message
    }

    #[test]
    fn what_is_signed_is_verified_by_the_same_key_only_and_still_a_message() {
        let (key, other) = (HeartbeatKey::new(b"one"), HeartbeatKey::new(b"other"));
        let message = signed(&key);
        assert_eq!(key.verify(message.as_bytes()), Ok(STAMP));
        assert_eq!(other.verify(message.as_bytes()), Err(Unverified::Wrong));
        let message = HeartbeatMessage::parse(message.as_bytes()).unwrap();
        assert_eq!(message.to_string(), "v=1&ready=30&busy=2");
    }

    /// So that a sender in another language can be held against it.
    #[test]
    fn the_code_is_hmac_sha256_over_the_purpose_and_the_text() {
        use hmac::{Hmac, Mac};
        let message = signed(&HeartbeatKey::new(b"one"));
        let (text, code) = message.rsplit_once("&mac=").unwrap();
        assert_eq!(
            text,
            "v=1&ready=30&busy=2&time=1767225600000&instance=000000005bd1e995"
        );
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"one").unwrap();
        mac.update(format!("equipoise heartbeat 1\n{text}").as_bytes());
        let expected = mac.finalize().into_bytes();
        let expected: String = expected.iter().map(|it| format!("{it:02x}")).collect();
        assert_eq!(code, expected);
    }

    #[test]
    fn a_message_that_was_changed_anywhere_is_not_verified() {
        let key = HeartbeatKey::new(b"one");
        let message = signed(&key).into_bytes();
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert!(key.verify(&changed).is_err(), "byte {at}");
        }
        let added = [&message[..], b"&ready=1000"].concat();
        assert_eq!(key.verify(&added), Err(Unverified::NotSigned));
        assert_eq!(
            key.verify(b"v=1&ready=1&busy=1"),
            Err(Unverified::NotSigned)
        );
        assert_eq!(key.verify(b""), Err(Unverified::NotSigned));
    }

    #[test]
    fn an_older_key_is_accepted_as_long_as_it_is_named() {
        let old = signed(&HeartbeatKey::new(b"old"));
        let new = HeartbeatKey::new(b"new");
        assert!(new.verify(old.as_bytes()).is_err());
        let both = new.with_previous(b"old");
        assert_eq!(both.verify(old.as_bytes()), Ok(STAMP));
        assert_eq!(
            HeartbeatKey::new(b"new").verify(signed(&both).as_bytes()),
            Ok(STAMP)
        );
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        let shown = format!("{:?}", HeartbeatKey::new(b"one"));
        assert_eq!(shown, "HeartbeatKey { .. }");
    }
}
