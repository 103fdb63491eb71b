//! Bodies in chunks that are not what they should be: whatever came before the fault, the
//! member never sees the end of such a request, and nothing behind it.

use equipoise::proxy::Server;

use super::front::{Front, statuses};
use super::heads::{Outcome, SECOND, sent};
use super::member::{Member, OK};

/// Sends a POST with this body, as it is.
async fn chunked(body: &str) -> Outcome {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    sent([head, body].concat()).await
}

#[tokio::test]
async fn a_size_that_is_no_number_is_refused() {
    for size in [
        "0x5", "+5", "-5", "", " 5", "\t5", "5h", "5_0", "five", "\u{665}", ";", "5,", "5 5",
    ] {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        chunked(&body).await.is_refused(400, size);
    }
}

#[tokio::test]
async fn a_size_that_no_body_can_have_is_refused() {
    for size in [
        "10000000000000005",
        "ffffffffffffffffffff",
        "fffffffffffffffff",
    ] {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        chunked(&body).await.is_refused(400, size);
    }
}

#[tokio::test]
async fn a_size_with_zeros_before_it_is_the_number_that_it_says() {
    let outcome = chunked("00000000000000000005\r\nhello\r\n000\r\n\r\n").await;
    assert_eq!(statuses(&outcome.told), [200, 200]);
    assert_eq!(outcome.heard[0].text(), "hello");
}

#[tokio::test]
async fn a_line_feed_alone_ends_no_line_of_a_chunk() {
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5;x\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\rhello\r\n0\r\n\r\n",
        "5\r\nhello\r\r0\r\n\r\n",
    ] {
        chunked(body).await.is_refused(400, body);
    }
}

#[tokio::test]
async fn a_chunk_that_is_longer_than_it_says_is_refused() {
    for body in [
        "4\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello world\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
    ] {
        chunked(body).await.is_refused(400, body);
    }
}

/// RFC 9112, 7.1.1: there may be blanks before the semicolon, and what comes after it is
/// not passed on.
#[tokio::test]
async fn an_extension_of_a_chunk_goes_no_further() {
    for size in ["5 ;", "5;", "5;a=b", "5\t ; a=\"b\"", "5;\u{1}"] {
        let body = format!("{size}\r\nhello\r\n0;last\r\n\r\n");
        let outcome = chunked(&body).await;
        assert_eq!(statuses(&outcome.told), [200, 200], "{size:?}");
        let [first, second] = outcome.heard.as_slice() else {
            panic!("{size:?}: {:?}", outcome.heard);
        };
        assert_eq!(first.text(), "hello");
        assert_eq!(first.framing(), ["transfer-encoding: chunked"]);
        assert_eq!(second.first_line(), "GET /smuggled HTTP/1.1");
    }
}

/// hyper counts them over the whole body, and its limit cannot be set.
#[tokio::test]
async fn extensions_that_add_up_to_16_kib_are_refused_with_their_reason() {
    let signed = format!("1;chunk-signature={}\r\na\r\n", "f".repeat(64));
    for (body, what) in [
        (format!("5;{}\r\nhello\r\n", "x".repeat(20_000)), "one"),
        ("1;xxxxxxxxxxxxxxx\r\na\r\n".repeat(2_000), "many"),
        (signed.repeat(250), "signed"),
    ] {
        let outcome = chunked(&format!("{body}0\r\n\r\n")).await;
        outcome.is_refused(400, what);
        let told = outcome.told;
        assert!(told.contains("chunk extensions"), "{what}: {told}");
    }
    let outcome = chunked(&format!("{}0\r\n\r\n", signed.repeat(190))).await;
    assert_eq!(statuses(&outcome.told), [200, 200], "below the limit");
}

#[tokio::test]
async fn the_client_is_told_that_chunks_are_malformed() {
    let told = chunked("five\r\nhello\r\n0\r\n\r\n").await.told;
    assert!(told.contains("chunks of its body are malformed"), "{told}");
}

#[tokio::test]
async fn trailers_do_not_change_where_a_request_ends() {
    let trailers = "content-length: 3\r\ntransfer-encoding: chunked\r\nhost: b\r\nx-sum: 1\r\n";
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nte: trailers\r\n\
                trailer: content-length, transfer-encoding, host, x-sum\r\n\r\n";
    let outcome = sent(format!("{head}5\r\nhello\r\n0\r\n{trailers}\r\n")).await;
    assert_eq!(statuses(&outcome.told), [200, 200]);
    let [first, second] = outcome.heard.as_slice() else {
        panic!("{:?}", outcome.heard);
    };
    assert_eq!(first.text(), "hello");
    assert_eq!(first.framing(), ["transfer-encoding: chunked"]);
    assert_eq!(first.trailers, "x-sum: 1\n");
    assert_eq!(second.first_line(), "GET /smuggled HTTP/1.1");
}

/// A member that takes trailers for headers would believe them.
#[tokio::test]
async fn trailers_do_not_say_what_the_proxy_says() {
    let names = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "forwarded",
        "via",
        "connection",
        "upgrade",
        "cookie",
        "authorization",
    ];
    let trailers: String = names.map(|name| format!("{name}: made-up\r\n")).concat();
    let announced = names.join(", ");
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nte: trailers\r\n\
         trailer: {announced}\r\n\r\n"
    );
    let outcome = sent(format!("{head}5\r\nhello\r\n0\r\n{trailers}\r\n")).await;
    assert_eq!(statuses(&outcome.told), [200, 200]);
    assert_eq!(outcome.heard[0].trailers, "");
}

#[tokio::test]
async fn trailers_that_are_no_headers_are_refused() {
    for trailer in ["no colon", "a : b", " folded: x", "x: y\0z"] {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n");
        chunked(&body).await.is_refused(400, trailer);
    }
}

#[tokio::test]
async fn trailers_without_end_are_refused() {
    let many = "x: y\r\n".repeat(200);
    let body = format!("5\r\nhello\r\n0\r\n{many}\r\n");
    chunked(&body).await.is_refused(400, "many trailers");
    let long = "y".repeat(100_000);
    let body = format!("5\r\nhello\r\n0\r\nx: {long}\r\n\r\n");
    chunked(&body).await.is_refused(400, "a long trailer");
}

/// The last of it is missing: what looks like a request behind it is not one.
#[tokio::test]
async fn a_body_that_swallows_what_comes_after_it_never_ends() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client
        .say([head, "ff\r\nhello\r\n0\r\n\r\n", SECOND].concat())
        .await;
    front.in_flight_is(1).await;
    client.end().await;
    let told = String::from_utf8(client.all_the_rest().await).unwrap();
    assert!(
        statuses(&told).iter().all(|&status| status == 400),
        "{told}"
    );
    front.at_rest().await;
    assert_eq!(member.served(), [""; 0]);
}
