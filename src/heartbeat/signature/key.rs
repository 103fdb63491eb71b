//! Signs and verifies messages: [`HeartbeatKey`].
//!
//! Not here: the detection of replays (`replays`).

use std::fmt::{self, Write as _};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::heartbeat::pairs::{Pairs, decimal};

/// A prefix of the signed text: it makes a code useless for other texts that the key may
/// sign.
const PURPOSE: &[u8] = b"equipoise heartbeat 1\n";

/// The separator between the text and its code.
const CODE_SEPARATOR: &[u8] = b"&mac=";

/// Hexadecimal digits of a code.
const CODE_DIGITS: usize = 64;

/// A key that senders and monitors share: only senders with the key can report.
///
/// A signed message has three more pairs: the time in milliseconds since 1970, a random
/// number that its sender has chosen at its start, and HMAC-SHA256 over everything before
/// it. httpd ignores them: one sender can send to both.
///
/// ```text
/// v=1&ready=30&busy=2&time=1767225600000&instance=5bd1e995c6a4a793&mac=9f86d081…
/// ```
///
/// # Trust
///
/// * Without a key, a monitor accepts each datagram that reaches it. The sender's address
///   is not authenticated. In a network where others can send with forged addresses, they
///   can attract all requests to one member, or keep requests away from it. They cannot add
///   a member, and a failing member is put in error as usual.
/// * With a key, messages without a valid code are dropped before they are parsed. All
///   holders of the key trust each other: each can report for every address.
/// * A message is accepted once, within 30 s (configurable) of its time, and only from the
///   address at which its sender was first seen. Clocks must agree within that limit. A
///   restarted monitor does not know earlier messages: within that limit, a recorded
///   message that would otherwise be dropped can be replayed once.
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

/// When a message was created, and by which sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::heartbeat) struct Stamp {
    /// Milliseconds since 1970.
    pub(in crate::heartbeat) time: u64,
    pub(in crate::heartbeat) instance: u64,
}

/// Why verification failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::heartbeat) enum Unverified {
    NotSigned,
    Wrong,
}

impl HeartbeatKey {
    /// Creates a key from secret bytes, preferably 32 random ones.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self {
            present: keyed(secret),
            previous: None,
        }
    }

    /// Accepts signatures of an older key, too. To change the key, first give monitors the
    /// new key with the old one as the previous, then give senders the new key.
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

    /// Appends the stamp and the code to a message.
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
        let signed = message
            .len()
            .checked_sub(CODE_SEPARATOR.len() + CODE_DIGITS);
        let (text, code) = match signed.map(|end| message.split_at(end)) {
            Some((text, rest)) if rest.starts_with(CODE_SEPARATOR) => {
                (text, &rest[CODE_SEPARATOR.len()..])
            }
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

/// Returns the value of a hexadecimal digit.
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

/// Leaves out the secret.
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
    fn a_signed_message_parses_and_is_verified_by_the_same_key_only() {
        let (key, other) = (HeartbeatKey::new(b"one"), HeartbeatKey::new(b"other"));
        let message = signed(&key);
        assert_eq!(key.verify(message.as_bytes()), Ok(STAMP));
        assert_eq!(other.verify(message.as_bytes()), Err(Unverified::Wrong));
        let message = HeartbeatMessage::parse(message.as_bytes()).unwrap();
        assert_eq!(message.to_string(), "v=1&ready=30&busy=2");
    }

    /// The definition for senders in other languages.
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
