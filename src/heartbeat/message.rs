//! The text of a heartbeat: [`HeartbeatMessage`].
//!
//! Not here: the member of a message (`monitor`), and signatures
//! (`signature`).

use std::fmt;
use std::str::FromStr;

use super::pairs::{Pairs, decimal};
use crate::scheduler::HeartbeatReading;

/// The capacity that a server reports about itself: one datagram of httpd's
/// `mod_heartbeat`.
///
/// The text is `v=1&ready=30&busy=2`, optionally with `&port=8080`. Pairs with other keys
/// are ignored. Keys may be in upper case; keys and values may have `%` escapes. A key
/// without `=` has the value 1. If a key has several values, the last one counts.
///
/// | number | read as |
/// |---|---|
/// | digits, up to 4294967295 | that number |
/// | `-5` | 0 |
/// | larger, no digits, `0x10`, `1.5`, `NaN` | an error |
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::HeartbeatMessage;
/// use equipoise::scheduler::HeartbeatReading;
///
/// let message: HeartbeatMessage = "v=1&ready=30&busy=2".parse()?;
/// assert_eq!(message.reading(), HeartbeatReading { ready: 30, busy: 2 });
/// assert_eq!(message.port(), None);
/// assert_eq!(message.with_port(8080).to_string(), "v=1&ready=30&busy=2&port=8080");
/// # Ok::<(), equipoise::heartbeat::MessageError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeartbeatMessage {
    reading: HeartbeatReading,
    port: Option<u16>,
}

impl HeartbeatMessage {
    /// The longest message, in bytes. httpd truncates longer ones; here they are an error,
    /// because a truncated number is a different number.
    pub const MAX_BYTES: usize = 1000;

    /// Creates a message.
    #[must_use]
    pub const fn new(reading: HeartbeatReading) -> Self {
        Self {
            reading,
            port: None,
        }
    }

    /// Sets the port at which the server accepts requests, which distinguishes servers at
    /// the same address. 0 means no port.
    #[must_use]
    pub const fn with_port(self, port: u16) -> Self {
        let port = if port == 0 { None } else { Some(port) };
        Self { port, ..self }
    }

    /// Returns the reported capacity.
    #[must_use]
    pub const fn reading(&self) -> HeartbeatReading {
        self.reading
    }

    /// Returns the port at which the server accepts requests, if the message has one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Parses a datagram.
    ///
    /// # Errors
    ///
    /// If it is longer than [`MAX_BYTES`](Self::MAX_BYTES), if `v`, `ready` or `busy` is
    /// missing (the value of `v` is ignored), or if a number is invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::HeartbeatMessage;
    ///
    /// let error = HeartbeatMessage::parse(b"v=1&ready=many&busy=0").unwrap_err();
    /// assert_eq!(error.to_string(), "`ready` is not a number from 0 to 4294967295: \"many\"");
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        Self::read(bytes, true)
    }

    /// Parses the body of a POST request, which needs no `v`.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), except for a missing `v`.
    pub fn parse_form(bytes: &[u8]) -> Result<Self, MessageError> {
        Self::read(bytes, false)
    }

    fn read(bytes: &[u8], with_version: bool) -> Result<Self, MessageError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(MessageError::TooLong { bytes: bytes.len() });
        }
        let mut fields = Fields::default();
        let mut version = false;
        for (key, value) in Pairs::new(bytes.trim_ascii_end()) {
            version |= key.eq_ignore_ascii_case(b"v");
            fields.put(&key, &value);
        }
        if with_version && !version {
            return Err(MessageError::Missing { field: "v" });
        }
        let reading = HeartbeatReading {
            ready: slots("ready", fields.ready)?,
            busy: slots("busy", fields.busy)?,
        };
        let port = match fields.port {
            None => None,
            Some(text) => match decimal(&text).and_then(|it| u16::try_from(it).ok()) {
                Some(port) if port > 0 => Some(port),
                _ => return Err(MessageError::Port { text: shown(&text) }),
            },
        };
        Ok(Self { reading, port })
    }
}

/// The last value of each key.
#[derive(Default)]
struct Fields {
    ready: Option<Vec<u8>>,
    busy: Option<Vec<u8>>,
    port: Option<Vec<u8>>,
}

impl Fields {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        let field = match key {
            _ if key.eq_ignore_ascii_case(b"ready") => &mut self.ready,
            _ if key.eq_ignore_ascii_case(b"busy") => &mut self.busy,
            _ if key.eq_ignore_ascii_case(b"port") => &mut self.port,
            _ => return,
        };
        *field = Some(value.to_vec());
    }
}

fn slots(field: &'static str, value: Option<Vec<u8>>) -> Result<u32, MessageError> {
    let value = value.ok_or(MessageError::Missing { field })?;
    super::pairs::slots(&value).ok_or_else(|| MessageError::Number {
        field,
        text: shown(&value),
    })
}

/// The most bytes of a value that an error shows.
const MAX_SHOWN: usize = 40;

pub(super) fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(&value[..value.len().min(MAX_SHOWN)]);
    text.into_owned()
}

/// Prints the datagram.
impl fmt::Display for HeartbeatMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeartbeatReading { ready, busy } = self.reading;
        write!(f, "v=1&ready={ready}&busy={busy}")?;
        match self.port {
            Some(port) => write!(f, "&port={port}"),
            None => Ok(()),
        }
    }
}

impl FromStr for HeartbeatMessage {
    type Err = MessageError;

    fn from_str(text: &str) -> Result<Self, MessageError> {
        Self::parse(text.as_bytes())
    }
}

/// Why a [`HeartbeatMessage`] cannot be parsed.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{HeartbeatMessage, MessageError};
///
/// let error = "v=1&ready=3".parse::<HeartbeatMessage>().unwrap_err();
/// assert!(matches!(error, MessageError::Missing { field: "busy", .. }));
/// assert_eq!(error.to_string(), "`busy` is missing");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A required key is missing.
    #[error("`{field}` is missing")]
    #[non_exhaustive]
    Missing {
        /// The key.
        field: &'static str,
    },
    /// A value is not a number of slots.
    #[error("`{field}` is not a number from 0 to 4294967295: {text:?}")]
    #[non_exhaustive]
    Number {
        /// The key.
        field: &'static str,
        /// The first bytes of its value.
        text: String,
    },
    /// The port is invalid.
    #[error("`port` is not a number from 1 to 65535: {text:?}")]
    #[non_exhaustive]
    Port {
        /// The first bytes of its value.
        text: String,
    },
    /// The message is too long.
    #[error("the message has {bytes} bytes, more than 1000")]
    #[non_exhaustive]
    TooLong {
        /// The length of the message in bytes.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::{HeartbeatMessage, MessageError};
    use crate::scheduler::HeartbeatReading;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<(u32, u32, Option<u16>), MessageError> {
        let message = HeartbeatMessage::parse(text.as_bytes())?;
        let HeartbeatReading { ready, busy } = message.reading();
        Ok((ready, busy, message.port()))
    }

    #[test]
    fn messages_of_httpd_are_parsed() {
        assert_eq!(read("v=1&ready=64&busy=0"), Ok((64, 0, None)));
    }

    #[test]
    fn other_pairs_cases_escapes_and_repetitions_are_understood() {
        for (text, expected) in [
            ("v=1&ready=1&busy=2&load=high&&=&x", (1, 2, None)),
            ("busy=2&READY=1&V=9&Port=81", (1, 2, Some(81))),
            ("v=1&re%61dy=%31&%62usy=2", (1, 2, None)),
            ("v=1&ready=7&busy=2&ready=1", (1, 2, None)),
            ("v&ready&busy", (1, 1, None)),
            ("v=1&ready=1&busy=2\r\n", (1, 2, None)),
            ("v=1&ready=007&busy=2&port=00080", (7, 2, Some(80))),
            ("v=1&ready=-5&busy=-99999999999999999999", (0, 0, None)),
            ("v=1&ready=4294967295&busy=0", (u32::MAX, 0, None)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_number_is_an_error_and_never_a_huge_capacity() {
        let huge = format!("1{}", "0".repeat(40));
        for number in [
            "",
            "-",
            "+5",
            " 5",
            "5x",
            "0x10",
            "1.5",
            "1e3",
            "NaN",
            "inf",
            "4294967296",
            "--5",
            "%",
            "%3",
            "%zz",
            &huge,
        ] {
            let error = read(&format!("v=1&ready={number}&busy=1")).unwrap_err();
            assert!(
                matches!(error, MessageError::Number { field: "ready", .. }),
                "{number}: {error}"
            );
        }
        for port in ["0", "-1", "65536", "http", ""] {
            let error = read(&format!("v=1&ready=1&busy=1&port={port}")).unwrap_err();
            assert!(matches!(error, MessageError::Port { .. }), "{port}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, missing) in [
            ("", "v"),
            ("ready=1&busy=1", "v"),
            ("v=1&busy=1", "ready"),
            ("v=1&ready=1", "busy"),
        ] {
            assert_eq!(read(text), Err(MessageError::Missing { field: missing }));
        }
        let form = HeartbeatMessage::parse_form(b"ready=1&busy=1");
        assert!(form.is_ok());
    }

    #[test]
    fn a_message_has_a_thousand_bytes_at_most() {
        let filled = |length| {
            let mut text = String::from("v=1&busy=1&ready=1&x=");
            text.extend(std::iter::repeat_n('x', length - text.len()));
            text
        };
        assert!(read(&filled(1000)).is_ok());
        let error = read(&filled(1001)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the message has 1001 bytes, more than 1000"
        );
    }

    #[test]
    fn an_error_shows_a_bounded_part_without_control_characters() {
        let error = read(&format!("v=1&busy=1&ready=%00{}", "x".repeat(500))).unwrap_err();
        let text = error.to_string();
        assert!(text.len() < 120, "{text}");
        assert!(!text.contains(char::is_control), "{text}");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(ready: u32, busy: u32, port: u16) {
            let message = HeartbeatMessage::new(HeartbeatReading { ready, busy }).with_port(port);
            prop_assert_eq!(message.to_string().parse(), Ok(message));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1100)) {
            let _ = HeartbeatMessage::parse(&bytes);
            let _ = HeartbeatMessage::parse_form(&bytes);
        }

        #[test]
        fn nearly_a_message_does_not_panic(text in "(v|ready|busy|port|%)?=?[-+0-9a-f%x&.=]{0,60}") {
            let _ = HeartbeatMessage::parse(text.as_bytes());
        }
    }
}
