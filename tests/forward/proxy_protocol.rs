//! The headers of the PROXY protocol: what is written is what the crate `ppp` reads, what is
//! read is what was written, and no bytes panic, however they are split.

use std::net::{IpAddr, SocketAddr};

use equipoise::net::{ProxyHeader, ProxyVersion};
use ppp::{v1, v2};
use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use super::pieces::{block, cuts, in_pieces};

fn address() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(SocketAddr::from)
}

fn header() -> impl Strategy<Value = ProxyHeader> {
    let values = prop::collection::vec((any::<u8>(), any::<Vec<u8>>()), 0..4);
    (prop::option::of((address(), address())), values).prop_map(|(addresses, values)| {
        let header = match addresses {
            Some((source, destination)) => ProxyHeader::new(source, destination),
            None => ProxyHeader::unknown(),
        };
        let add = |header: ProxyHeader, (kind, value): (u8, Vec<u8>)| {
            header.with_value(kind, &value).unwrap()
        };
        values.into_iter().fold(header, add)
    })
}

fn read(bytes: &[u8]) -> std::io::Result<ProxyHeader> {
    block(ProxyHeader::read(&mut &bytes[..]))
}

proptest! {
    #[test]
    fn a_line_is_what_the_other_parser_reads(header in header()) {
        let line = header.encode(ProxyVersion::V1);
        prop_assert!(line.len() <= 107);
        let found = v1::Header::try_from(&line[..]).unwrap();
        let expected = match header.source().zip(header.destination()) {
            Some(addresses) => v1::Addresses::from(addresses),
            None => v1::Addresses::Unknown,
        };
        prop_assert_eq!(found.addresses, expected);
        let again = read(&line).unwrap();
        prop_assert_eq!(again.source(), header.source());
        prop_assert_eq!(again.destination(), header.destination());
    }

    #[test]
    fn a_binary_header_is_what_the_other_parser_reads(header in header()) {
        let bytes = header.encode(ProxyVersion::V2);
        let found = v2::Header::try_from(&bytes[..]).unwrap();
        prop_assert_eq!(found.len(), bytes.len());
        let Some(addresses) = header.source().zip(header.destination()) else {
            prop_assert_eq!(found.command, v2::Command::Local);
            prop_assert_eq!(found.addresses, v2::Addresses::Unspecified);
            prop_assert_eq!(read(&bytes).unwrap(), ProxyHeader::unknown());
            return Ok(());
        };
        prop_assert_eq!(found.command, v2::Command::Proxy);
        prop_assert_eq!(found.protocol, v2::Protocol::Stream);
        prop_assert_eq!(found.addresses, v2::Addresses::from(addresses));
        let values: Vec<_> = found.tlvs().map(Result::unwrap).collect();
        let values: Vec<_> = values.iter().map(|it| (it.kind, &it.value[..])).collect();
        prop_assert_eq!(values, header.values().collect::<Vec<_>>());
        prop_assert_eq!(read(&bytes).unwrap(), header);
    }

    #[test]
    fn pieces_of_any_size_are_read_alike(
        header in header(),
        second in any::<bool>(),
        cuts in cuts(),
        rest: Vec<u8>,
    ) {
        let version = if second { ProxyVersion::V2 } else { ProxyVersion::V1 };
        let bytes = header.encode(version);
        let mut stream = in_pieces(&[&bytes[..], &rest].concat(), &cuts);
        let left = block(async {
            let found = ProxyHeader::read(&mut stream).await.unwrap();
            assert_eq!(found.source(), header.source());
            let mut left = Vec::new();
            stream.read_to_end(&mut left).await.unwrap();
            left
        });
        prop_assert_eq!(left, rest);
    }

    #[test]
    fn no_bytes_panic(sent: Vec<u8>, header in header(), at: usize, to: u8, cuts in cuts()) {
        let mut changed = header.encode(ProxyVersion::V2).to_vec();
        let at = at % changed.len();
        changed[at] = to;
        changed.extend_from_slice(&sent);
        for bytes in [sent, changed] {
            let whole = read(&bytes).ok();
            let mut stream = in_pieces(&bytes, &cuts);
            prop_assert_eq!(block(ProxyHeader::read(&mut stream)).ok(), whole);
        }
    }

    #[test]
    fn a_header_that_is_cut_short_is_an_error(header in header(), at: usize) {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let bytes = header.encode(version);
            prop_assert!(read(&bytes[..at % bytes.len()]).is_err());
        }
    }
}

#[test]
fn addresses_of_two_versions_are_both_written_as_version_6() {
    let header = ProxyHeader::new(
        "203.0.113.7:5000".parse().unwrap(),
        "[2001:db8::1]:443".parse().unwrap(),
    );
    let source = "[::ffff:203.0.113.7]:5000".parse().unwrap();
    assert_eq!(header.source(), Some(source));
    assert_eq!(read(&header.encode(ProxyVersion::V2)).unwrap(), header);
}

#[test]
fn a_mapped_address_is_written_as_the_one_that_it_is() {
    let header = ProxyHeader::new(
        "[::ffff:203.0.113.7]:5000".parse().unwrap(),
        "[::ffff:10.0.0.1]:443".parse().unwrap(),
    );
    assert_eq!(
        header.encode(ProxyVersion::V1),
        "PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\r\n"
    );
}

#[test]
fn a_header_is_full_at_64_kib() {
    let header = ProxyHeader::new(
        "203.0.113.7:5000".parse().unwrap(),
        "10.0.0.1:443".parse().unwrap(),
    );
    let room = usize::from(u16::MAX) - 12 - 3;
    let full = header.clone().with_value(0xE0, &vec![7; room]).unwrap();
    assert_eq!(read(&full.encode(ProxyVersion::V2)).unwrap(), full);
    header.with_value(0xE0, &vec![7; room + 1]).unwrap_err();
    full.clone().with_alpn(b"").unwrap_err();
    // One that takes the place of another needs no more room.
    assert_eq!(
        full.with_value(0xE0, b"").unwrap().value(0xE0),
        Some(&b""[..])
    );
}
