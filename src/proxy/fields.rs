//! Which header fields a proxy passes on, by name: one table for heads and trailers, of
//! requests and responses; and one look over a head that finds what there is to do.
//!
//! Many servers read `_` in a name as `-`, so a name with underscores is treated as the
//! name with hyphens. What does not live here: how the fields of a head are changed
//! (`hop_by_hop`, `forwarding`), and lists of names in a message.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRAILER};

/// The maximum number of header lines over HTTP/1.1, whatever is configured: hyper
/// allocates that many entries before it reads one, and a [`HeaderMap`] holds no more.
pub(super) const MOST_LINES: usize = 24_576;

/// The purpose of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeaderField {
    /// `Accept`, which is passed on, and read for error pages.
    Accept,
    /// `Transfer-Encoding`, which determines where the body ends.
    Coding,
    /// `Connection`, which names fields of one connection (RFC 9110, 7.6.1).
    Connection,
    /// `Expect`.
    Expect,
    /// The client, or the path of the request. Only a trusted proxy may set it.
    Forwarded,
    /// How the message is routed, authenticated, cached or interpreted. This must be known
    /// before the body, so it is allowed in heads only (RFC 9110, 6.5.1).
    Head,
    /// The connection that the message came on (RFC 9110, 7.6.1).
    HopByHop,
    /// `Host`.
    Host,
    /// `Content-Length`.
    Length,
    /// Anything else.
    Other,
    /// `Trailer`.
    Trailer,
    /// `Upgrade`.
    Upgrade,
}

/// The fields that are not [`Other`](HeaderField::Other), by the first letter. An asterisk
/// is any rest.
const KNOWN: &[(&str, HeaderField)] = &[
    ("accept", HeaderField::Accept),
    ("age", HeaderField::Head),
    ("authorization", HeaderField::Head),
    ("cache-control", HeaderField::Head),
    ("cf-connecting-ip", HeaderField::Forwarded),
    ("cf-connecting-ipv6", HeaderField::Forwarded),
    ("client-ip", HeaderField::Forwarded),
    ("connection", HeaderField::Connection),
    ("content-encoding", HeaderField::Head),
    ("content-length", HeaderField::Length),
    ("content-location", HeaderField::Head),
    ("content-range", HeaderField::Head),
    ("content-type", HeaderField::Head),
    ("cookie", HeaderField::Head),
    ("cookie2", HeaderField::Head),
    ("date", HeaderField::Head),
    ("destination", HeaderField::Head),
    ("expect", HeaderField::Expect),
    ("expires", HeaderField::Head),
    ("fastly-client-ip", HeaderField::Forwarded),
    ("forwarded", HeaderField::Forwarded),
    ("forwarded-for", HeaderField::Forwarded),
    ("front-end-https", HeaderField::Forwarded),
    ("host", HeaderField::Host),
    ("http2-settings", HeaderField::HopByHop),
    ("if-*", HeaderField::Head),
    ("keep-alive", HeaderField::HopByHop),
    ("location", HeaderField::Head),
    ("max-forwards", HeaderField::Head),
    ("pragma", HeaderField::Head),
    ("proxy-authenticate", HeaderField::HopByHop),
    ("proxy-authentication-info", HeaderField::HopByHop),
    ("proxy-authorization", HeaderField::HopByHop),
    ("proxy-client-ip", HeaderField::Forwarded),
    ("proxy-connection", HeaderField::HopByHop),
    ("range", HeaderField::Head),
    ("refresh", HeaderField::Head),
    ("retry-after", HeaderField::Head),
    ("set-cookie", HeaderField::Head),
    ("set-cookie2", HeaderField::Head),
    ("te", HeaderField::HopByHop),
    ("trailer", HeaderField::Trailer),
    ("transfer-encoding", HeaderField::Coding),
    ("true-client-ip", HeaderField::Forwarded),
    ("upgrade", HeaderField::Upgrade),
    ("uri", HeaderField::Head),
    ("vary", HeaderField::Head),
    ("via", HeaderField::Head),
    ("warning", HeaderField::Head),
    ("wl-proxy-client-ip", HeaderField::Forwarded),
    ("www-authenticate", HeaderField::Head),
    ("x-appengine-user-ip", HeaderField::Forwarded),
    ("x-azure-clientip", HeaderField::Forwarded),
    ("x-client-ip", HeaderField::Forwarded),
    ("x-cluster-client-ip", HeaderField::Forwarded),
    ("x-envoy-external-address", HeaderField::Forwarded),
    ("x-forwarded*", HeaderField::Forwarded),
    ("x-original-url", HeaderField::Forwarded),
    ("x-proxyuser-ip", HeaderField::Forwarded),
    ("x-real-ip", HeaderField::Forwarded),
    ("x-rewrite-url", HeaderField::Forwarded),
    ("x-url-scheme", HeaderField::Forwarded),
];

/// Which rows of [`KNOWN`] have a name with this first letter and length; the last length is
/// for all longer names. So most names are compared with one other or none.
const CANDIDATES: [[[u8; 4]; LONGEST + 1]; 26] = {
    let (mut candidates, mut at) = ([[[u8::MAX; 4]; LONGEST + 1]; 26], 0_u8);
    while (at as usize) < KNOWN.len() {
        let name = KNOWN[at as usize].0.as_bytes();
        let (mut length, mut longest) = (name.len(), name.len());
        if name[length - 1] == b'*' {
            (length, longest) = (length - 1, LONGEST);
        }
        while length <= longest {
            let row = &mut candidates[(name[0] - b'a') as usize][length];
            let mut free = 0;
            while row[free] != u8::MAX {
                free += 1;
            }
            row[free] = at;
            length += 1;
        }
        at += 1;
    }
    candidates
};

const LONGEST: usize = 31;

impl HeaderField {
    /// This runs for each field of each message.
    pub(super) fn of(name: &HeaderName) -> Self {
        let name = name.as_str().as_bytes();
        let letter = name
            .first()
            .map_or(u8::MAX, |first| first.wrapping_sub(b'a'));
        let Some(lengths) = CANDIDATES.get(usize::from(letter)) else {
            return Self::Other;
        };
        let candidates = lengths[name.len().min(LONGEST)].iter();
        let mut known = candidates.map_while(|&row| KNOWN.get(usize::from(row)));
        let found = known.find(|(known, _)| is_named(name, known.as_bytes()));
        found.map_or(Self::Other, |(_, field)| *field)
    }

    /// Returns whether the field is removed from every head, whatever the version of HTTP.
    /// `Content-Length` and forwarding headers may stay if they are spelled with hyphens:
    /// they are checked elsewhere.
    pub(super) fn stops_here(self, name: &HeaderName) -> bool {
        match self {
            Self::Coding | Self::Connection | Self::HopByHop | Self::Upgrade => true,
            Self::Length => name != CONTENT_LENGTH,
            Self::Forwarded => name.as_str().contains('_'),
            _ => false,
        }
    }

    /// Returns whether the field may be a trailer.
    fn may_come_last(self) -> bool {
        matches!(self, Self::Accept | Self::Other)
    }
}

/// `known` is in lower case and with hyphens.
fn is_named(name: &[u8], known: &[u8]) -> bool {
    let (name, known) = match known.strip_suffix(b"*") {
        Some(front) => (name.get(..front.len()).unwrap_or_default(), front),
        None => (name, known),
    };
    name == known || reads_as_bytes(name, known)
}

/// Returns whether servers that read `_` as `-` treat the two names as one.
pub(crate) fn reads_as(one: &HeaderName, other: &HeaderName) -> bool {
    reads_as_bytes(one.as_str().as_bytes(), other.as_str().as_bytes())
}

fn reads_as_bytes(one: &[u8], other: &[u8]) -> bool {
    let hyphened = |&byte: &u8| if byte == b'_' { b'-' } else { byte };
    one.len() == other.len() && one.iter().map(hyphened).eq(other.iter().map(hyphened))
}

/// What one look over a head has found, so that a step with nothing to do is left out. A
/// step may have less to do than this promises, never more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FoundFields {
    /// A bit for each [`HeaderField`].
    kinds: u16,
    /// The number of lines that [stop here](HeaderField::stops_here).
    stopping: usize,
    /// Whether a value begins or ends with whitespace.
    padded: bool,
    /// Whether there is a `Content-Length` that is not the only one, or not plain.
    unclear_length: bool,
}

/// One look over a head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadLook<'h> {
    pub(super) found: FoundFields,
    pub(super) host: HostLines<'h>,
}

/// The `Host` lines of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HostLines<'h> {
    pub(super) first: Option<&'h HeaderValue>,
    pub(super) several: bool,
}

impl<'h> HeadLook<'h> {
    pub(super) fn over(headers: &'h HeaderMap) -> Self {
        let mut look = Self::default();
        for (name, value) in headers {
            let field = HeaderField::of(name);
            look.found.add(field, name, value);
            if field == HeaderField::Host {
                look.host.add(value);
            }
        }
        look
    }
}

impl<'h> HostLines<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let mut lines = Self::default();
        for line in headers.get_all(HOST) {
            lines.add(line);
        }
        lines
    }

    fn add(&mut self, line: &'h HeaderValue) {
        self.several = self.first.is_some();
        self.first = self.first.or(Some(line));
    }
}

impl FoundFields {
    /// Looks over a head without its `Host`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            found.add(HeaderField::of(name), name, value);
        }
        found
    }

    fn add(&mut self, field: HeaderField, name: &HeaderName, value: &HeaderValue) {
        self.padded |= is_padded(value.as_bytes());
        if field == HeaderField::Length {
            self.unclear_length |= self.has(field) || !is_plain_length(value.as_bytes());
        }
        self.kinds |= 1 << field as u16;
        self.stopping += usize::from(field.stops_here(name));
    }

    pub(super) fn has(self, field: HeaderField) -> bool {
        self.kinds & 1 << field as u16 != 0
    }

    /// Returns whether [`trim`] has something to do.
    pub(super) fn padded(self) -> bool {
        self.padded
    }

    /// Returns whether there is a `Content-Length` that is not the only one, or not plain.
    pub(super) fn unclear_length(self) -> bool {
        self.unclear_length
    }

    /// Returns how many lines [stop here](HeaderField::stops_here).
    pub(super) fn stopping(self) -> usize {
        self.stopping
    }
}

/// Returns the names of these fields for which `holds` holds. For most messages there are
/// none, and nothing is allocated.
pub(super) fn names_where(
    fields: &HeaderMap,
    holds: impl Fn(HeaderField, &HeaderName) -> bool,
) -> Vec<HeaderName> {
    let names = fields.keys();
    names
        .filter(|name| holds(HeaderField::of(name), name))
        .cloned()
        .collect()
}

/// Removes the trailers that may not be passed on. `removed` are further names that the
/// head was not allowed to have, in any spelling.
pub(super) fn clean_trailers(trailers: &mut HeaderMap, removed: &[HeaderName]) {
    for name in names_where(trailers, |field, name| {
        !field.may_come_last() || removed.iter().any(|removed| reads_as(removed, name))
    }) {
        trailers.remove(name);
    }
    trim(trailers);
}

/// Reduces `Trailer` to the fields that [`clean_trailers`] keeps.
pub(super) fn clean_announcement(headers: &mut HeaderMap, removed: &[HeaderName]) {
    if !headers.contains_key(TRAILER) {
        return;
    }
    let is_left = |name: &&[u8]| match HeaderName::from_bytes(name) {
        Ok(name) => {
            HeaderField::of(&name).may_come_last()
                && !removed.iter().any(|removed| reads_as(removed, &name))
        }
        Err(_) => false,
    };
    let announced = headers.get_all(TRAILER).iter().flat_map(members);
    let left: Vec<&[u8]> = announced.filter(is_left).collect();
    let left = (!left.is_empty()).then(|| left.join(&b", "[..]));
    headers.remove(TRAILER);
    if let Some(Ok(left)) = left.map(HeaderValue::try_from) {
        headers.insert(TRAILER, left);
    }
}

/// Removes whitespace around values, which HTTP/2 can carry and which is not part of a
/// value (RFC 9110, 5.5).
pub(super) fn trim(fields: &mut HeaderMap) {
    for value in fields.values_mut() {
        let bytes = value.as_bytes();
        if is_padded(bytes) {
            if let Ok(mut trimmed) = HeaderValue::from_bytes(trimmed(bytes)) {
                trimmed.set_sensitive(value.is_sensitive());
                *value = trimmed;
            }
        }
    }
}

fn is_padded(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
}

/// Returns whether this is a number in its shortest form, and certainly a `u64`.
pub(super) fn is_plain_length(length: &[u8]) -> bool {
    match length {
        b"0" => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit) && rest.len() < 19,
        _ => false,
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let first = bytes.iter().position(is_text);
    let last = bytes.iter().rposition(is_text);
    match (first, last) {
        (Some(first), Some(last)) => &bytes[first..=last],
        _ => &[],
    }
}

/// Returns the elements of a comma-separated list.
pub(super) fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|&byte| byte == b',');
    members.map(<[u8]>::trim_ascii)
}
