//! Clients that have to show a certificate, or may.

use std::convert::Infallible;

use equipoise::net::{ClientCertificates, ServerTls, TlsSession};
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use rustls::version::{TLS12, TLS13};
use tower::service_fn;

use super::authority::{Authority, Issued};
use super::client::{ALL, Client};
use super::front::Front;
use super::within;

const NAME: &str = "shop.test";

struct Parties {
    authority: Authority,
    staff: Authority,
    required: Front,
    optional: Front,
}

fn parties() -> Parties {
    let (authority, staff) = (Authority::new("servers"), Authority::new("staff"));
    let identity = authority.issue(&[NAME]).identity();
    let tls = ServerTls::new([identity]).unwrap();
    let required = ClientCertificates::required(staff.pem.as_bytes()).unwrap();
    let optional = ClientCertificates::optional(staff.pem.as_bytes()).unwrap();
    Parties {
        authority,
        staff,
        required: Front::telling(&tls.clone().with_client_certificates(required)),
        optional: Front::telling(&tls.with_client_certificates(optional)),
    }
}

#[tokio::test]
async fn who_shows_a_certificate_is_known_and_who_has_none_is_a_guest_or_refused() {
    within(async {
        let parties = parties();
        let shown = parties.staff.admit("alice");
        for (version, number) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
            let known = Client::with(&parties.authority, &[version], Some(&shown));
            for front in [&parties.required, &parties.optional] {
                let told = known.ask(front.address, NAME).await.unwrap();
                assert_eq!(told, format!("HTTP/1.1 {number} shop.test 1"));
            }
            let guest = Client::with(&parties.authority, &[version], None);
            let told = guest.ask(parties.optional.address, NAME).await.unwrap();
            assert_eq!(told, format!("HTTP/1.1 {number} shop.test 0"));
            guest.ask(parties.required.address, NAME).await.unwrap_err();
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_even_where_none_is_needed() {
    within(async {
        let parties = parties();
        let stranger = Authority::new("staff").admit("mallory");
        let server = parties.staff.issue(&["alice"]);
        for (shown, what) in [(&stranger, "a stranger"), (&server, "a server")] {
            for version in [&TLS12, &TLS13] {
                let client = Client::with(&parties.authority, &[version], Some(shown));
                for front in [&parties.required, &parties.optional] {
                    let refused = client.ask(front.address, NAME).await;
                    assert!(refused.is_err(), "{what}: {refused:?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_resumed_has_its_certificate_still() {
    within(async {
        let parties = parties();
        let shown = parties.staff.admit("alice");
        for (version, told) in [
            (&TLS12, "HTTP/1.1 1.2 shop.test 1"),
            (&TLS13, "HTTP/1.1 1.3 shop.test 1"),
        ] {
            let client = Client::with(&parties.authority, &[version], Some(&shown));
            let address = parties.required.address;
            assert_eq!(client.ask(address, NAME).await.unwrap(), told);
            let again = client.connect(address, NAME).await.unwrap();
            assert!(again.resumed, "{version:?}");
            assert_eq!(again.ask().await.unwrap(), told);
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_of_a_guest_is_of_no_use_where_certificates_are_required() {
    within(async {
        let parties = parties();
        // The same client, so that it has the ticket that the other server gave it.
        let client = Client::of(&parties.authority);
        client.ask(parties.optional.address, NAME).await.unwrap();
        client
            .ask(parties.required.address, NAME)
            .await
            .unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn a_service_sees_the_certificates_themselves() {
    within(async {
        let (authority, staff) = (Authority::new("servers"), Authority::new("staff"));
        let tls = ServerTls::new([authority.issue(&[NAME]).identity()]).unwrap();
        let required = ClientCertificates::required(staff.pem.as_bytes()).unwrap();
        let server = Server::new().tls(&tls.with_client_certificates(required));
        let alice: Issued = staff.admit("alice");
        let (expected, bob) = (alice.der(), staff.admit("bob"));
        let who = service_fn(move |request: Request<ClientBody>| {
            let session = request.extensions().get::<TlsSession>().unwrap();
            let [shown] = session.certificates() else {
                panic!("{session:?}");
            };
            let is_alice = shown[..] == expected[..];
            async move { Ok::<_, Infallible>(Response::new(is_alice.to_string())) }
        });
        let front = Front::start(server, who);
        for (shown, is_alice) in [(&alice, "true"), (&bob, "false")] {
            let client = Client::with(&authority, ALL, Some(shown)).speaking(&["h2"]);
            let told = client.ask(front.address, NAME).await.unwrap();
            assert_eq!(told, is_alice);
        }
    })
    .await;
}
