//! The head of an HTTP request, as it is kept for another attempt: [`KeptHead`].

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Extensions, Method, Request, Uri, Version};

use super::marks::{FreshConnection, HostKept};

/// The head of a request, as the client sent it.
pub(super) enum KeptHead {
    /// It is not needed again.
    Gone,
    /// The next attempt gets it.
    Whole(Parts),
    /// An attempt has it. This is enough to send it again, which few requests need.
    Packed(PackedHead),
}

impl KeptHead {
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    /// Returns the head to look at, unless it is gone. After an attempt it is unpacked.
    pub(super) fn whole(&mut self) -> Option<&Parts> {
        if let Self::Packed(_) = self {
            *self = self.take().map_or(Self::Gone, Self::Whole);
        }
        match self {
            Self::Whole(head) => Some(head),
            Self::Packed(_) | Self::Gone => None,
        }
    }

    /// Returns the head for the next attempt, and keeps what is needed to send it again
    /// unless this is the `last` one. With `all`, the attempt gets the extensions, too.
    #[inline]
    pub(super) fn next(&mut self, last: bool, all: bool) -> Option<Parts> {
        let mut head = self.take()?;
        let passed = if !all {
            passed_on(&head.extensions)
        } else if last {
            std::mem::take(&mut head.extensions)
        } else {
            head.extensions.clone()
        };
        let extensions = std::mem::replace(&mut head.extensions, passed);
        if !last {
            *self = Self::Packed(PackedHead::pack(&head, extensions));
        }
        Some(head)
    }

    #[inline]
    fn take(&mut self) -> Option<Parts> {
        match std::mem::replace(self, Self::Gone) {
            Self::Whole(head) => Some(head),
            Self::Packed(packed) => packed.unpack(),
            Self::Gone => None,
        }
    }

    /// Takes the extensions, of which only the allocation is used.
    pub(super) fn take_extensions(&mut self) -> Extensions {
        let extensions = match self {
            Self::Gone => return Extensions::new(),
            Self::Packed(packed) => &mut packed.extensions,
            Self::Whole(head) => &mut head.extensions,
        };
        std::mem::take(extensions)
    }
}

/// A head with its header lines in one allocation, where a map needs three.
pub(super) struct PackedHead {
    method: Method,
    uri: Uri,
    version: Version,
    extensions: Extensions,
    /// For each line: the lengths of name and value, whether the value is sensitive, name
    /// and value.
    lines: Vec<u8>,
}

/// The size of the lengths and the mark before a line.
const PREFIX: usize = 7;

/// More than most lines have: usually one allocation is enough.
const USUAL: usize = 64;

impl PackedHead {
    /// Packs a head that an attempt is about to send, with these extensions.
    fn pack(head: &Parts, extensions: Extensions) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            extensions,
            lines: pack_lines(&head.headers),
        }
    }

    fn unpack(self) -> Option<Parts> {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = self.method;
        head.uri = self.uri;
        head.version = self.version;
        head.extensions = self.extensions;
        head.headers = unpack_lines(&self.lines)?;
        Some(head)
    }
}

/// Returns the extensions that a member gets in any case.
fn passed_on(extensions: &Extensions) -> Extensions {
    let mut passed = Extensions::new();
    if extensions.is_empty() {
        return passed;
    }
    if let Some(&kept) = extensions.get::<HostKept>() {
        passed.insert(kept);
    }
    if let Some(&fresh) = extensions.get::<FreshConnection>() {
        passed.insert(fresh);
    }
    passed
}

fn pack_lines(headers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::with_capacity(headers.len() * USUAL);
    for (name, value) in headers {
        let (text, bytes) = (name.as_str().as_bytes(), value.as_bytes());
        // Names have less than 2^16 bytes.
        let [.., a, b] = text.len().to_be_bytes();
        let [.., c, d, e, f] = bytes.len().to_be_bytes();
        lines.extend_from_slice(&[a, b, c, d, e, f, u8::from(value.is_sensitive())]);
        lines.extend_from_slice(text);
        lines.extend_from_slice(bytes);
    }
    lines
}

/// Returns `None` if the lines do not come from [`pack_lines`].
fn unpack_lines(mut lines: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(lines.len() / USUAL);
    while let Some((&[a, b, c, d, e, f, sensitive], rest)) = lines.split_first_chunk::<PREFIX>() {
        let name = usize::from(u16::from_be_bytes([a, b]));
        let value = usize::try_from(u32::from_be_bytes([c, d, e, f])).ok()?;
        let (name, rest) = rest.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        let mut value = HeaderValue::from_bytes(value).ok()?;
        value.set_sensitive(sensitive == 1);
        headers.append(HeaderName::from_bytes(name).ok()?, value);
        lines = rest;
    }
    lines.is_empty().then_some(headers)
}

#[cfg(test)]
mod tests {
    use super::{pack_lines, unpack_lines};
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn packed_lines_are_the_same_lines_in_the_same_order() {
        let long = "n".repeat(65_535);
        let mut headers = HeaderMap::new();
        for (name, value) in [("b", &b"1"[..]), ("a", b""), ("b", b"\xff\t2"), ("c", b"3")] {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let long = HeaderName::from_bytes(long.as_bytes()).unwrap();
        let value = HeaderValue::from_str(&"v".repeat(70_000)).unwrap();
        headers.append(long, value);
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        headers.append("authorization", secret);
        let unpacked = unpack_lines(&pack_lines(&headers)).unwrap();
        let lines = |headers: &HeaderMap| format!("{headers:?}");
        assert_eq!(lines(&unpacked), lines(&headers));
        assert!(unpacked["authorization"].is_sensitive());
        assert_eq!(unpack_lines(&[]), Some(HeaderMap::new()));
    }

    #[test]
    fn what_was_not_packed_is_no_head() {
        let mut headers = HeaderMap::new();
        headers.append("a", HeaderValue::from_static("1"));
        let packed = pack_lines(&headers);
        for end in 1..packed.len() {
            assert_eq!(unpack_lines(&packed[..end]), None, "{end}");
        }
    }
}
