//! ClientHellos as bytes, put together as a test wants them.

use proptest::prelude::*;

/// Extension types.
pub(crate) const SERVER_NAME: u16 = 0;
pub(crate) const ALPN: u16 = 16;
pub(crate) const ENCRYPTED_HELLO: u16 = 0xfe0d;
pub(crate) const GREASE: u16 = 0x3a3a;

/// What a client sends.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) version: [u8; 2],
    pub(crate) session: Vec<u8>,
    /// Not even an empty list if there is `None`.
    pub(crate) extensions: Option<Vec<(u16, Vec<u8>)>>,
}

impl Hello {
    pub(crate) fn with(extensions: impl IntoIterator<Item = (u16, Vec<u8>)>) -> Self {
        Self {
            version: [3, 3],
            session: vec![7; 32],
            extensions: Some(extensions.into_iter().collect()),
        }
    }

    /// One that asks for a name.
    pub(crate) fn named(name: &[u8]) -> Self {
        Self::with([(SERVER_NAME, one_name(name))])
    }

    /// The message of the handshake.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = [&self.version[..], &[9; 32]].concat();
        body.extend(sized_8(&self.session));
        body.extend(sized_16(&[0x13, 1, 0, 0x2f]));
        body.extend(sized_8(&[0]));
        if let Some(extensions) = &self.extensions {
            let each = extensions
                .iter()
                .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &sized_16(data)].concat());
            body.extend(sized_16(&each.collect::<Vec<_>>()));
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1], &length[1..], &body].concat()
    }

    /// In records of at most so many bytes each; the last size counts for the rest.
    pub(crate) fn records(&self, sizes: &[usize]) -> Vec<u8> {
        in_records(&self.message(), sizes)
    }

    /// As clients send it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.records(&[1 << 14])
    }
}

pub(crate) fn in_records(message: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut sizes = sizes.iter().copied();
    let mut size = sizes.next().unwrap();
    let (mut records, mut left) = (Vec::new(), message);
    while !left.is_empty() {
        let (record, rest) = left.split_at(size.min(left.len()));
        records.extend([0x16, 3, 1]);
        records.extend(sized_16(record));
        left = rest;
        size = sizes.next().unwrap_or(size);
    }
    records
}

/// The data of an extension that asks for a name.
pub(crate) fn one_name(name: &[u8]) -> Vec<u8> {
    sized_16(&[&[0], &sized_16(name)[..]].concat())
}

/// The data of an extension that offers protocols.
pub(crate) fn protocols(protocols: &[&[u8]]) -> Vec<u8> {
    let each = protocols.iter().flat_map(|it| sized_8(it));
    sized_16(&each.collect::<Vec<_>>())
}

pub(crate) fn sized_8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

pub(crate) fn sized_16(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length, bytes].concat()
}

/// What one asks for, and one that does, among extensions of all kinds.
pub(crate) fn asking() -> impl Strategy<Value = (Option<String>, Vec<Vec<u8>>, Hello)> {
    let name = prop::option::of("([A-Za-z0-9_-]{1,20}\\.){0,4}[a-z][a-z0-9-]{0,9}\\.?");
    let protocol = prop::collection::vec(any::<u8>(), 1..9);
    let offered = prop::collection::vec(protocol, 0..5);
    let other = (1_u16..=u16::MAX, prop::collection::vec(any::<u8>(), 0..60));
    let others = prop::collection::vec(other, 0..6);
    let session = prop::collection::vec(any::<u8>(), 0..=32);
    (name, offered, others, session, any::<(usize, usize)>()).prop_map(
        |(name, offered, mut others, session, (one, two))| {
            others.retain(|(kind, _)| *kind != ALPN);
            if !offered.is_empty() {
                let offered: Vec<_> = offered.iter().map(Vec::as_slice).collect();
                others.insert(one % (others.len() + 1), (ALPN, protocols(&offered)));
            }
            if let Some(name) = &name {
                let asked = (SERVER_NAME, one_name(name.as_bytes()));
                others.insert(two % (others.len() + 1), asked);
            }
            let hello = Hello {
                session,
                ..Hello::with(others)
            };
            let normal = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
            (normal, offered, hello)
        },
    )
}
