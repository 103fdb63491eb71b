//! What a client sends first, over records and reads that are cut anywhere: it is understood
//! alike, it is given once more, and no bytes panic.

use std::time::Duration;

use equipoise::forward::{ClientHello, Greeting, GreetingError, GreetingLimits};
use equipoise::net::{ProxyHeader, ProxyVersion};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, duplex};

use super::hello::{
    ALPN, ENCRYPTED_HELLO, GREASE, Hello, SERVER_NAME, asking, in_records, one_name, protocols,
    sized_16,
};
use super::pieces::{block, cuts, in_pieces};

/// What it is, and all that can be read then.
async fn greeted(stream: impl AsyncRead + Unpin) -> Result<(Greeting, Vec<u8>), GreetingError> {
    let (greeting, mut stream) = Greeting::read(stream, &GreetingLimits::new()).await?;
    let mut again = Vec::new();
    stream.read_to_end(&mut again).await.unwrap();
    Ok((greeting, again))
}

fn read(bytes: &[u8]) -> Result<Greeting, GreetingError> {
    block(greeted(bytes)).map(|(greeting, _)| greeting)
}

fn hello_in(bytes: &[u8]) -> ClientHello {
    match read(bytes) {
        Ok(Greeting::ClientHello(hello)) => hello,
        other => panic!("{other:?}"),
    }
}

/// The outcome, as far as it can be compared.
fn told(outcome: Result<(Greeting, Vec<u8>), GreetingError>) -> String {
    match outcome {
        Ok((greeting, _)) => format!("{greeting:?}"),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #[test]
    fn a_hello_is_understood_however_it_is_cut(
        (name, offered, hello) in asking(),
        sizes in prop::collection::vec(1_usize..300, 1..6),
        cuts in cuts(),
        rest: Vec<u8>,
    ) {
        let sent = [hello.records(&sizes), rest].concat();
        let (greeting, again) = block(greeted(in_pieces(&sent, &cuts))).unwrap();
        let Greeting::ClientHello(hello) = greeting else {
            panic!("{greeting:?}");
        };
        prop_assert_eq!(hello.server_name(), name.as_deref());
        prop_assert_eq!(hello.alpn().collect::<Vec<_>>(), offered);
        prop_assert_eq!(again, sent);
    }

    #[test]
    fn no_bytes_panic_and_none_is_lost(
        sent: Vec<u8>,
        begin in 0_usize..5,
        cuts in cuts(),
    ) {
        let begins = [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01\x00\x20\x01\x00\x00\x1c\x03\x03",
            b"\x80\x2e\x01", b"\x16"];
        let sent = [begins[begin], &sent].concat();
        let whole = block(greeted(&sent[..]));
        if let Ok((_, again)) = &whole {
            prop_assert_eq!(again, &sent);
        }
        let cut = block(greeted(in_pieces(&sent, &cuts)));
        prop_assert_eq!(told(cut), told(whole));
    }

    #[test]
    fn a_hello_with_wrong_bytes_is_understood_alike_however_it_is_cut(
        (_, _, hello) in asking(),
        changes in prop::collection::vec(any::<(usize, u8)>(), 1..4),
        cuts in cuts(),
    ) {
        let mut sent = hello.bytes();
        for (at, to) in changes {
            let at = at % sent.len();
            sent[at] = to;
        }
        let whole = told(block(greeted(&sent[..])));
        prop_assert_eq!(told(block(greeted(in_pieces(&sent, &cuts)))), whole);
    }

    #[test]
    fn a_hello_that_is_cut_short_has_ended((_, _, hello) in asking(), at: usize) {
        let sent = hello.records(&[40]);
        // Two bytes show that it is TLS.
        let sent = &sent[..2 + at % (sent.len() - 2)];
        prop_assert!(matches!(read(sent), Err(GreetingError::Ended)));
    }

    #[test]
    fn no_message_panics(body: Vec<u8>, sizes in prop::collection::vec(1_usize..50, 1..4)) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1], &length[1..], &body].concat();
        let outcome = read(&in_records(&message, &sizes));
        prop_assert!(matches!(outcome, Err(_) | Ok(Greeting::ClientHello(_))));
    }
}

#[test]
fn a_name_is_told_in_its_normal_form_and_what_is_no_name_is_none() {
    let long = vec![b'a'; 64];
    let longest = [&[b'a'; 63][..], &[b'a'; 63], &[b'a'; 63], &[b'a'; 61]].join(&b'.');
    let too_long = [&longest[..], b"a"].concat();
    let text = String::from_utf8(longest.clone()).unwrap();
    for (asked, told) in [
        (&b"DB.Example.ORG"[..], Some("db.example.org")),
        (b"db.example.org.", Some("db.example.org")),
        (b"xn--bcher-kva.example", Some("xn--bcher-kva.example")),
        (b"_sip.example.org", Some("_sip.example.org")),
        (b"localhost", Some("localhost")),
        (&longest, Some(&text)),
        (&too_long, None),
        (b"", None),
        (b".", None),
        (b"db..example.org", None),
        (b".example.org", None),
        (b"db.example.org..", None),
        (b"*.example.org", None),
        (b"db example.org", None),
        (b"db.example.org\0.evil.org", None),
        (b"db.example.org:443", None),
        ("b\u{fc}cher.example".as_bytes(), None),
        (b"\xff.example", None),
        (b"10.0.0.1", None),
        (b"::1", None),
        (&long, None),
    ] {
        let hello = hello_in(&Hello::named(asked).bytes());
        assert_eq!(hello.server_name(), told, "{}", asked.escape_ascii());
    }
}

#[test]
fn old_clients_without_extensions_ask_for_nothing() {
    for version in [[3, 0], [3, 1], [3, 3]] {
        for extensions in [None, Some(Vec::new())] {
            let hello = Hello {
                version,
                session: Vec::new(),
                extensions,
            };
            let mut bytes = hello.bytes();
            bytes[1..3].copy_from_slice(&version);
            let hello = hello_in(&bytes);
            assert_eq!(hello.server_name(), None);
            assert_eq!(hello.alpn().count(), 0);
        }
    }
}

#[test]
fn grease_and_an_encrypted_hello_leave_the_outer_name() {
    let hello = Hello::with([
        (GREASE, vec![]),
        (ENCRYPTED_HELLO, vec![0xee; 200]),
        (SERVER_NAME, one_name(b"public.example")),
        (ALPN, protocols(&[b"\x0a\x0a", b"h2"])),
        (GREASE + 0x1010, vec![0]),
    ]);
    let hello = hello_in(&hello.bytes());
    assert_eq!(hello.server_name(), Some("public.example"));
    assert!(hello.offers(b"h2") && !hello.offers(b"h"));
}

#[test]
fn empty_lists_ask_for_nothing() {
    for (kind, data) in [
        (SERVER_NAME, vec![]),
        (SERVER_NAME, sized_16(b"")),
        (ALPN, sized_16(b"")),
    ] {
        let hello = hello_in(&Hello::with([(kind, data)]).bytes());
        assert_eq!(hello.server_name(), None);
        assert_eq!(hello.alpn().count(), 0);
    }
}

#[test]
fn what_could_be_understood_in_two_ways_is_malformed() {
    let name = |name: &[u8]| [&[0], &sized_16(name)[..]].concat();
    let two = sized_16(&[name(b"a.org"), name(b"b.org")].concat());
    for extensions in [
        vec![(SERVER_NAME, two)],
        vec![
            (SERVER_NAME, one_name(b"a.org")),
            (SERVER_NAME, one_name(b"a.org")),
        ],
        vec![(SERVER_NAME, vec![]), (SERVER_NAME, one_name(b"a.org"))],
        vec![(ALPN, protocols(&[b"h2"])), (ALPN, protocols(&[b"h2"]))],
        vec![(
            SERVER_NAME,
            sized_16(&[&[1], &sized_16(b"a.org")[..]].concat()),
        )],
        vec![(SERVER_NAME, [one_name(b"a.org"), vec![0]].concat())],
        vec![(SERVER_NAME, b"\0\x09\0\0\x07a.org".to_vec())],
        vec![(ALPN, protocols(&[b"h2", b""]))],
        vec![(ALPN, [protocols(&[b"h2"]), vec![0]].concat())],
        vec![(ALPN, b"\0\x02\x05h".to_vec())],
    ] {
        let outcome = read(&Hello::with(extensions.clone()).bytes());
        assert!(
            matches!(outcome, Err(GreetingError::Malformed { .. })),
            "{extensions:?}: {outcome:?}"
        );
    }
}

#[test]
fn what_only_begins_like_tls_is_malformed() {
    let hello = Hello::named(b"a.org");
    let mut behind = hello.message();
    // It counts to the message, but is beyond the extensions.
    behind.push(0);
    behind[3] += 1;
    let second = [
        hello.records(&[30])[..35].to_vec(),
        b"\x15\x03\x01\0\x02\x02\x28".to_vec(),
    ];
    for sent in [
        in_records(&behind, &[1 << 14]),
        second.concat(),
        // No ClientHello, no record of a length that there is, and another version of them.
        in_records(&[2, 0, 0, 0], &[100]),
        b"\x16\x03\x01\0\0".to_vec(),
        b"\x16\x03\x01\x40\x01".to_vec(),
        [
            hello.records(&[30])[..35].to_vec(),
            b"\x16\x02\x01\0\x02".to_vec(),
        ]
        .concat(),
    ] {
        let outcome = read(&sent);
        assert!(
            matches!(outcome, Err(GreetingError::Malformed { .. })),
            "{}: {outcome:?}",
            sent.escape_ascii()
        );
    }
}

#[test]
fn a_hello_in_the_form_of_ssl_2_is_known() {
    // For TLS 1.0, with 7 cipher suites to follow.
    let sent = b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10";
    assert_eq!(read(sent).unwrap(), Greeting::Ssl2);
}

#[test]
fn a_few_bytes_that_tls_could_begin_with_are_not_tls_once_the_client_has_ended() {
    for sent in [&b"\x16"[..], b"\x80\x2e\x01"] {
        assert_eq!(
            block(greeted(sent)).unwrap(),
            (Greeting::NotTls, sent.to_vec())
        );
    }
    assert!(matches!(read(b""), Err(GreetingError::Ended)));
}

#[test]
fn a_hello_that_is_too_long_is_refused_before_it_is_read() {
    let extensions = vec![(GREASE, vec![0; 60_000])];
    let sent = Hello::with(extensions).records(&[100]);
    let mut stream = &sent[..];
    let limits = GreetingLimits::new();
    let outcome = block(Greeting::read(&mut stream, &limits));
    assert!(matches!(
        outcome,
        Err(GreetingError::TooLong { limit: 16_384 })
    ));
    assert!(
        sent.len() - stream.len() <= 4096,
        "{} bytes are left",
        stream.len()
    );

    let limits = limits.with_bytes(100_000);
    let outcome = block(Greeting::read(&sent[..], &limits)).unwrap();
    assert!(matches!(outcome, (Greeting::ClientHello(_), _)));
}

#[test]
fn no_more_is_read_than_the_limit() {
    // Its length would fit, but not with all of the records.
    let sent = Hello::with([(GREASE, vec![0; 900])]).records(&[1]);
    let mut stream = &sent[..];
    let limits = GreetingLimits::new().with_bytes(1000);
    let outcome = block(Greeting::read(&mut stream, &limits));
    assert!(matches!(
        outcome,
        Err(GreetingError::TooLong { limit: 1000 })
    ));
    assert_eq!(sent.len() - stream.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_is_cut_at_the_limit() {
    let (mut client, server) = duplex(1 << 16);
    let sent = Hello::named(b"db.example.org").bytes();
    let trickle = tokio::spawn(async move {
        for byte in sent {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    });
    let begun = tokio::time::Instant::now();
    let limits = GreetingLimits::new().with_time(Duration::from_secs(5));
    let outcome = Greeting::read(server, &limits).await;
    assert!(matches!(outcome, Err(GreetingError::TimedOut)));
    assert_eq!(begun.elapsed().as_secs(), 5);
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_silent_and_one_byte_is_not_tls() {
    for (sent, expected) in [(&b""[..], Greeting::Silence), (b"\x16", Greeting::NotTls)] {
        let (mut client, server) = duplex(64);
        client.write_all(sent).await.unwrap();
        let (greeting, mut stream) = Greeting::read(server, &GreetingLimits::new())
            .await
            .unwrap();
        assert_eq!(greeting, expected);
        // The other direction is as it was, and what comes later follows.
        stream.write_all(b"220 hello").await.unwrap();
        client.write_all(b"EHLO").await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, [sent, b"EHLO"].concat());
        let mut got = [0; 9];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"220 hello");
    }
}

#[tokio::test]
async fn what_is_not_tls_is_known_though_the_client_waits_for_an_answer() {
    let (mut client, server) = duplex(64);
    client.write_all(b"S").await.unwrap();
    let (greeting, _) = Greeting::read(server, &GreetingLimits::new())
        .await
        .unwrap();
    assert_eq!(greeting, Greeting::NotTls);
}

#[test]
fn a_proxy_header_tells_the_name_and_a_protocol_that_is_offered_alone() {
    let header = |offered: &[&[u8]]| {
        let extensions = [
            (SERVER_NAME, one_name(b"DB.example.org")),
            (ALPN, protocols(offered)),
        ];
        let hello = hello_in(&Hello::with(extensions).bytes());
        let header = ProxyHeader::new(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into());
        let bytes = hello.add_to(header).encode(ProxyVersion::V2);
        block(ProxyHeader::read(&mut &bytes[..])).unwrap()
    };
    assert_eq!(header(&[b"h2"]).authority(), Some("db.example.org"));
    assert_eq!(header(&[b"h2"]).alpn(), Some(&b"h2"[..]));
    assert_eq!(header(&[b"h2", b"http/1.1"]).alpn(), None);
    assert_eq!(header(&[]).alpn(), None);
}
