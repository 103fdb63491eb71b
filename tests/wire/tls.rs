//! Members with whom there is no TLS: nothing of a request was sent to them.

use equipoise::net::MemberTls;
use equipoise::proxy::{Endpoint, Server};

use super::front::{Front, statuses};
use super::member::{Member, OK};
use super::unreached::{builder, is_passed_over};

fn over_tls(member: &Member) -> Endpoint {
    let tls = MemberTls::dangerously_without_verification();
    let uri = format!("https://{}", member.address);
    builder(&uri).tls(&tls).build().unwrap()
}

/// One that takes the handshake for a request, and says that it is none.
async fn plain() -> Member {
    Member::scripted(|mut talk| async move {
        talk.line.more().await;
        talk.say("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            .await;
    })
    .await
}

#[tokio::test]
async fn a_member_that_speaks_no_tls_is_passed_over() {
    let member = plain().await;
    is_passed_over(over_tls(&member)).await;
    assert!(member.connections() > 0);
}

#[tokio::test]
async fn a_member_that_never_answers_the_handshake_is_passed_over() {
    let member = Member::scripted(|mut talk| async move { talk.until_gone().await }).await;
    is_passed_over(over_tls(&member)).await;
    assert!(member.connections() > 0);
}

#[tokio::test]
async fn a_member_that_closes_in_the_handshake_is_passed_over() {
    let member = Member::scripted(|mut talk| async move {
        talk.line.more().await;
    })
    .await;
    is_passed_over(over_tls(&member)).await;
}

#[tokio::test]
async fn a_member_that_speaks_tls_where_none_is_expected_gives_502() {
    let alert = [21, 3, 3, 0, 2, 2, 70];
    let member = Member::ending(alert).await;
    let good = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint(), good.endpoint()]);
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
    let mut told = Vec::new();
    for _ in 0..2 {
        told.extend(statuses(&front.told(post).await));
    }
    told.sort_unstable();
    assert_eq!(
        told,
        [200, 502],
        "it was sent, so it is sent to nobody else"
    );
    front.at_rest().await;
}
