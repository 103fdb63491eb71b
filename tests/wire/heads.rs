//! Heads by which a client could make two servers disagree on where its request ends: each
//! is refused, or reaches the member with one framing only.

use equipoise::proxy::Server;

use super::front::{Front, statuses};
use super::line::Message;
use super::member::{Member, OK};

/// What a client that sent something was told, and what the member got of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) told: String,
    pub(crate) heard: Vec<Message>,
}

impl Outcome {
    /// Asserts that there was one answer with this status, and that nothing whole reached
    /// the member.
    pub(crate) fn is_refused(&self, status: u16, what: &str) {
        let told = &self.told;
        assert_eq!(statuses(told), [status], "{what:?}: {told}");
        let whole = self.heard.iter().any(|request| request.whole);
        assert!(!whole, "{what:?}: {:?}", self.heard);
        self.is_not_smuggled(what);
    }

    /// Asserts that the second request is no request of the member's, and in none.
    pub(crate) fn is_not_smuggled(&self, what: &str) {
        let heard = format!("{:?}", self.heard);
        assert!(!heard.contains("smuggled"), "{what:?}: {heard}");
    }
}

pub(crate) const SECOND: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Sends something with a second request behind it.
pub(crate) async fn sent(first: impl AsRef<[u8]>) -> Outcome {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let told = front
        .told([first.as_ref(), SECOND.as_bytes()].concat())
        .await;
    front.at_rest().await;
    let heard = member.heard();
    Outcome { told, heard }
}

/// A POST with these headers and this body.
fn post(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_length_beside_a_coding_is_dropped_and_ends_the_connection() {
    for headers in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "content-length: 3\r\ntransfer-encoding: chunked\r\ncontent-length: 4",
        "content-length: 3\r\ncontent-length: 3\r\ntransfer-encoding: chunked",
    ] {
        let outcome = sent(post(headers, "5\r\nhello\r\n0\r\n\r\n")).await;
        // RFC 9112, 6.1: it may be handled so, but the connection must not live on.
        assert_eq!(statuses(&outcome.told), [200], "{headers:?}");
        let [request] = outcome.heard.as_slice() else {
            panic!("{headers:?}: {:?}", outcome.heard);
        };
        assert_eq!(request.framing(), ["transfer-encoding: chunked"]);
        assert_eq!(request.text(), "hello");
        outcome.is_not_smuggled(headers);
    }
}

#[tokio::test]
async fn two_lengths_that_differ_are_refused() {
    for lengths in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 6\r\nx: y\r\ncontent-length: 5",
        "content-length: 5\r\nCONTENT-LENGTH: 0",
        "content-length: 5\r\ncontent-length: five",
    ] {
        sent(post(lengths, "hello")).await.is_refused(400, lengths);
    }
}

#[tokio::test]
async fn two_lengths_that_are_equal_are_one_to_the_member() {
    let outcome = sent(post("content-length: 5\r\ncontent-length: 5", "hello")).await;
    assert_eq!(statuses(&outcome.told), [200, 200]);
    let [first, second] = outcome.heard.as_slice() else {
        panic!("{:?}", outcome.heard);
    };
    assert_eq!(first.framing(), ["content-length: 5"]);
    assert_eq!(first.text(), "hello");
    // The other is the client's own, and does not hide.
    assert_eq!(second.first_line(), "GET /smuggled HTTP/1.1");
}

#[tokio::test]
async fn a_length_that_is_no_number_is_refused() {
    for length in [
        "+5",
        "-1",
        "-0",
        "5,5",
        "5, 5",
        "5 5",
        "5;5",
        "0x5",
        "5.0",
        "5e0",
        "",
        "five",
        "\u{665}",
        "18446744073709551616",
        "99999999999999999999999999999999999999",
    ] {
        let outcome = sent(post(&format!("content-length: {length}"), "hello")).await;
        outcome.is_refused(400, length);
    }
}

/// The two greatest are hyper's own marks.
#[tokio::test]
async fn a_length_that_is_no_length_of_a_body_is_refused() {
    for length in ["18446744073709551615", "18446744073709551614"] {
        let outcome = sent(post(&format!("content-length: {length}"), "hello")).await;
        outcome.is_refused(431, length);
    }
}

#[tokio::test]
async fn a_length_with_zeros_before_it_is_the_number_that_it_says() {
    let outcome = sent(post("content-length: 0005", "hello")).await;
    assert_eq!(outcome.heard[0].text(), "hello");
    assert_eq!(statuses(&outcome.told), [200, 200]);
}

#[tokio::test]
async fn a_header_that_goes_on_in_the_next_line_is_refused() {
    for headers in [
        "x: one\r\n two",
        "x: one\r\n\ttwo",
        "content-length: 5\r\n 0",
        "transfer-encoding:\r\n chunked",
        "x: one\r\n content-length: 5",
    ] {
        sent(post(headers, "hello")).await.is_refused(400, headers);
    }
    let before_all = "POST / HTTP/1.1\r\n content-length: 5\r\nhost: a\r\n\r\nhello";
    sent(before_all).await.is_refused(400, before_all);
}

#[tokio::test]
async fn a_space_before_the_colon_is_refused() {
    for header in [
        "content-length : 5",
        "content-length\t: 5",
        "transfer-encoding : chunked",
        "x : y",
        ": y",
        "content length: 5",
        "content-length",
        "content_length\u{0}: 5",
    ] {
        sent(post(header, "hello")).await.is_refused(400, header);
    }
}

#[tokio::test]
async fn a_coding_that_does_not_end_with_chunked_is_refused() {
    for coding in [
        "xchunked",
        "chunkedx",
        "chunked, identity",
        "chunked,",
        "chunked;q=1",
        "chunked chunked",
        "\"chunked\"",
        "'chunked'",
        "\u{b}chunked",
        "\u{a0}chunked",
        "identity",
        "gzip",
        "",
        "chunked\r\ntransfer-encoding: identity",
        "chunked\r\ntransfer-encoding: xchunked",
    ] {
        let header = format!("transfer-encoding: {coding}");
        let outcome = sent(post(&header, "5\r\nhello\r\n0\r\n\r\n")).await;
        outcome.is_refused(400, coding);
    }
}

#[tokio::test]
async fn a_length_does_not_save_a_coding_that_is_unknown() {
    for headers in [
        "content-length: 5\r\ntransfer-encoding: xchunked",
        "transfer-encoding: identity\r\ncontent-length: 5",
    ] {
        sent(post(headers, "hello")).await.is_refused(400, headers);
    }
}

/// RFC 9112, 6.1: a coding that is not understood cannot be taken off, and the member
/// would take the coded bytes for the body. Chunks in chunks are no different.
#[tokio::test]
async fn a_coding_under_chunked_is_not_lost_in_silence() {
    for coding in [
        "gzip, chunked",
        "xchunked, chunked",
        "chunked, chunked",
        "chunked\r\ntransfer-encoding: chunked",
        "gzip\r\ntransfer-encoding: chunked",
    ] {
        let header = format!("transfer-encoding: {coding}");
        let outcome = sent(post(&header, "5\r\nhello\r\n0\r\n\r\n")).await;
        let told = statuses(&outcome.told);
        assert!(matches!(told[0], 400 | 501), "{coding:?}: {told:?}");
        let posts = |request: &&Message| request.head.starts_with("POST");
        assert_eq!(outcome.heard.iter().filter(posts).count(), 0);
    }
}

#[tokio::test]
async fn chunked_is_chunked_in_whatever_case() {
    for coding in ["Chunked", "CHUNKED", " chunked ", "\tchunked"] {
        let header = format!("transfer-encoding: {coding}");
        let outcome = sent(post(&header, "5\r\nhello\r\n0\r\n\r\n")).await;
        assert_eq!(statuses(&outcome.told), [200, 200], "{coding:?}");
        assert_eq!(outcome.heard[0].text(), "hello");
        assert_eq!(outcome.heard[0].framing(), ["transfer-encoding: chunked"]);
    }
}

#[tokio::test]
async fn a_coding_in_http_1_0_is_refused() {
    for headers in [
        "transfer-encoding: chunked",
        "transfer-encoding: chunked\r\nconnection: keep-alive",
        "content-length: 5\r\ntransfer-encoding: chunked",
    ] {
        let request = format!("POST / HTTP/1.0\r\n{headers}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        sent(request).await.is_refused(400, headers);
    }
}

#[tokio::test]
async fn a_carriage_return_alone_and_a_nul_are_refused() {
    for head in [
        "POST / HTTP/1.1\r\nhost: a\r\nx: y\rcontent-length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nx: y\r\rz\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nx\r: y\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\rx: y\r\n\r\n",
        "POST / HTTP/1.1\rhost: a\r\n\r\n",
        "POST /\r HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nx: y\0z\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nx\0: y\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\0\r\n\r\n",
        "POST /\0 HTTP/1.1\r\nhost: a\r\n\r\n",
        "PO\0ST / HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        sent(head).await.is_refused(400, head);
    }
}

#[tokio::test]
async fn a_request_line_of_another_form_is_refused() {
    for line in [
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "GET / http/1.1",
        "GET / HTTP/1.1 x",
        "GET /  HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /",
        "GET",
        "G T / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "GET a/b HTTP/1.1",
    ] {
        let request = format!("{line}\r\nhost: a\r\n\r\n");
        sent(request).await.is_refused(400, line);
    }
}

/// RFC 9112, 2.2: a line may be taken to end with a line feed alone. What the member gets
/// is written anew.
#[tokio::test]
async fn lines_that_end_without_a_carriage_return_get_one() {
    let outcome = sent("POST / HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello").await;
    assert_eq!(statuses(&outcome.told), [200, 200]);
    let first = &outcome.heard[0];
    assert_eq!(first.framing(), ["content-length: 5"]);
    assert_eq!(first.text(), "hello");
    assert!(!first.head.replace("\r\n", "").contains('\n'));
    assert_eq!(outcome.heard.len(), 2);
}

#[tokio::test]
async fn a_client_cannot_name_the_framing_away() {
    let length = "content-length: 5\r\nconnection: content-length";
    let coding = "transfer-encoding: chunked\r\nconnection: transfer-encoding";
    for (headers, body, framing) in [
        (length, "hello", "content-length: 5"),
        (
            coding,
            "5\r\nhello\r\n0\r\n\r\n",
            "transfer-encoding: chunked",
        ),
    ] {
        let outcome = sent(post(headers, body)).await;
        assert_eq!(statuses(&outcome.told), [200, 200], "{headers:?}");
        assert_eq!(outcome.heard[0].framing(), [framing]);
        assert_eq!(outcome.heard[0].text(), "hello");
    }
}

#[tokio::test]
async fn a_body_without_a_framing_is_the_next_request() {
    let outcome = sent("POST / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(statuses(&outcome.told), [200, 200]);
    assert_eq!(outcome.heard[0].text(), "");
    assert_eq!(outcome.heard[1].first_line(), "GET /smuggled HTTP/1.1");
}

#[tokio::test]
async fn a_method_that_mostly_has_no_body_keeps_its_own() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "X-OWN"] {
        for (framing, body) in [
            ("content-length: 5", "hello"),
            ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ] {
            let request = format!("{method} / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{body}");
            let outcome = sent(request).await;
            let [first, second] = outcome.heard.as_slice() else {
                panic!("{method}, {framing}: {:?}", outcome.heard);
            };
            assert_eq!(first.framing(), [framing], "{method}");
            assert_eq!(first.text(), "hello", "{method}, {framing}");
            assert_eq!(second.first_line(), "GET /smuggled HTTP/1.1");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_at_all_is_refused_or_cut() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\r\n\r\n\0",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        b"\xff\xfe\xfd",
    ] {
        let outcome = sent([bytes, b"\r\n\r\n"].concat()).await;
        let told = statuses(&outcome.told);
        assert!(told == [400] || told.is_empty(), "{bytes:?}: {told:?}");
        assert!(outcome.heard.is_empty());
    }
}
