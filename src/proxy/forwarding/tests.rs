//! Forwarding headers for untrusted clients, for trusted peers, and without a peer's
//! address.

use super::Forwarding;
use http::{HeaderMap, Request, Version, uri::Scheme};

const PEER: &str = "203.0.113.7";

fn applied(forwarding: &Forwarding, peer: &str, sent: &[(&str, &str)]) -> HeaderMap {
    let mut request = Request::get("/");
    for &(name, value) in sent {
        request = request.header(name, value);
    }
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    forwarding.apply(&mut head, peer.parse().ok());
    head.headers
}

#[test]
fn the_headers_of_an_untrusted_client_are_replaced() {
    let sent = [
        ("host", "shop.example.com"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-server", "evil"),
        ("forwarded", "for=10.0.0.1"),
    ];
    let told = applied(&Forwarding::new(), PEER, &sent);
    assert_eq!(told["x-forwarded-for"], PEER);
    assert_eq!(told["x-forwarded-host"], "shop.example.com");
    assert_eq!(told["x-forwarded-proto"], "http");
    assert!(!told.contains_key("x-forwarded-server"));
    assert!(!told.contains_key("forwarded"));
    assert_eq!(told.get_all("x-forwarded-for").iter().count(), 1);
}

#[test]
fn the_headers_of_a_trusted_peer_are_kept_and_its_own_address_is_added() {
    let forwarding = Forwarding::new()
        .with_trusted_peers(["203.0.113.0/24".parse().unwrap()])
        .with_forwarded();
    let sent = [
        ("host", "inner"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-host", "shop.example.com"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=198.51.100.1;proto=https"),
    ];
    let told = applied(&forwarding, PEER, &sent);
    assert_eq!(told["x-forwarded-for"], "198.51.100.1, 203.0.113.7");
    assert_eq!(told["x-forwarded-host"], "shop.example.com");
    assert_eq!(told["x-forwarded-proto"], "https");
    assert_eq!(
        told["forwarded"],
        "for=198.51.100.1;proto=https, for=203.0.113.7;host=inner;proto=http"
    );
    let stranger = applied(&forwarding, "198.51.100.9", &sent);
    assert_eq!(stranger["x-forwarded-for"], "198.51.100.9");
}

#[test]
fn as_apache_everything_is_appended_to() {
    let apache = Forwarding::new()
        .with_client_headers_kept()
        .with_server_name("proxy.example.com")
        .unwrap();
    let sent = [
        ("host", "h:8080"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-host", "a"),
        ("x-forwarded-server", "b"),
    ];
    let told = applied(&apache, PEER, &sent);
    assert_eq!(told["x-forwarded-for"], "1.1.1.1, 2.2.2.2, 203.0.113.7");
    assert_eq!(told["x-forwarded-host"], "a, h:8080");
    assert_eq!(told["x-forwarded-server"], "b, proxy.example.com");
}

#[test]
fn addresses_of_version_6_are_quoted_and_mapped_ones_are_read_as_version_4() {
    let forwarding = Forwarding::new().with_forwarded().without_x_forwarded();
    let told = applied(&forwarding, "2001:db8::1", &[("host", "[2001:db8::2]:80")]);
    assert_eq!(
        told["forwarded"],
        "for=\"[2001:db8::1]\";host=\"[2001:db8::2]:80\";proto=http"
    );
    assert!(!told.contains_key("x-forwarded-for"));
    let told = applied(&Forwarding::new(), "::ffff:203.0.113.7", &[]);
    assert_eq!(told["x-forwarded-for"], PEER);
    let trusting = Forwarding::new().with_trusted_peers(["203.0.113.7/32".parse().unwrap()]);
    let sent = [("x-forwarded-for", "1.1.1.1")];
    let told = applied(&trusting, "::ffff:203.0.113.7", &sent);
    assert_eq!(told["x-forwarded-for"], "1.1.1.1, 203.0.113.7");
}

#[test]
fn a_host_cannot_break_out_of_its_quotes() {
    let forwarding = Forwarding::new().with_forwarded();
    let told = applied(&forwarding, PEER, &[("host", "a\";for=evil;b=\"\\")]);
    assert_eq!(
        told["forwarded"],
        "for=203.0.113.7;host=\"a\\\";for=evil;b=\\\"\\\\\";proto=http"
    );
}

#[test]
fn without_a_peer_nothing_is_made_up() {
    let told = applied(&Forwarding::new().with_forwarded(), "", &[]);
    assert!(!told.contains_key("x-forwarded-for"));
    assert!(!told.contains_key("x-forwarded-host"));
    assert_eq!(told["forwarded"], "for=unknown;proto=http");
}

#[test]
fn via_contains_the_version_and_grows() {
    let forwarding = Forwarding::new().with_via("edge").unwrap();
    let request = Request::get("https://shop.example.com/").version(Version::HTTP_2);
    let request = request.header("via", "1.1 cdn");
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    forwarding.apply(&mut head, None);
    assert_eq!(head.headers["via"], "1.1 cdn, 2.0 edge");
    assert_eq!(head.headers["x-forwarded-host"], "shop.example.com");
}

#[test]
fn the_client_is_the_last_address_that_is_not_a_trusted_peers() {
    let forwarding = Forwarding::new()
        .with_scheme(Scheme::HTTPS)
        .with_trusted_peers(["10.0.0.0/8".parse().unwrap()]);
    let client = |sent: &[&[u8]], peer: &str| {
        let mut headers = HeaderMap::new();
        for value in sent {
            let value = http::HeaderValue::from_bytes(value).unwrap();
            headers.append("x-forwarded-for", value);
        }
        let client = forwarding.client(&headers, peer.parse().unwrap());
        client.map_or("unknown".to_owned(), |client| client.to_string())
    };
    let rows: [(&[&[u8]], &str, &str); 14] = [
        (&[], "10.0.0.1", "10.0.0.1"),
        (&[b"1.1.1.1"], "10.0.0.1", "1.1.1.1"),
        (&[b"9.9.9.9, 1.1.1.1", b"10.0.0.3"], "10.0.0.1", "1.1.1.1"),
        (&[b"10.0.0.9"], "10.0.0.1", "10.0.0.9"),
        (&[b"1.1.1.1"], "2.2.2.2", "2.2.2.2"),
        (&[b"junk, 10.0.0.3"], "10.0.0.1", "unknown"),
        (&[b"junk, 1.1.1.1"], "10.0.0.1", "1.1.1.1"),
        (&[b"\xff, 203.0.113.7"], "10.0.0.1", "203.0.113.7"),
        (&[b"203.0.113.7:5000"], "10.0.0.1", "203.0.113.7"),
        (&[b"[2001:db8::1]"], "10.0.0.1", "2001:db8::1"),
        (&[b"[2001:db8::1]:80"], "10.0.0.1", "2001:db8::1"),
        (&[b"203.0.113.7, "], "10.0.0.1", "203.0.113.7"),
        (&[b"203.0.113.7,, 10.0.0.2"], "10.0.0.1", "203.0.113.7"),
        (&[b"::ffff:10.0.0.2"], "::ffff:10.0.0.1", "10.0.0.2"),
    ];
    for (sent, peer, expected) in rows {
        assert_eq!(client(sent, peer), expected, "{sent:?} {peer}");
    }
}

#[test]
fn claims_are_removed_however_they_are_spelt() {
    let sent = [
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-forwarded_proto", "https"),
        ("x-real-ip", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("front-end-https", "on"),
        ("x-original-url", "/admin"),
        ("forwarded", "for=6.6.6.6"),
        ("x-request-id", "7"),
    ];
    let told = applied(&Forwarding::new(), PEER, &sent);
    let mut names: Vec<_> = told.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["x-forwarded-for", "x-forwarded-proto", "x-request-id"]
    );
    assert_eq!(told["x-forwarded-for"], PEER);
}

#[test]
fn the_clients_address_is_taken_from_trusted_peers_alone_whatever_it_is_called() {
    for name in [
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "client-ip",
        "fastly-client-ip",
        "forwarded-for",
        "proxy-client-ip",
        "true-client-ip",
        "wl-proxy-client-ip",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-url-scheme",
    ] {
        let told = applied(&Forwarding::new(), PEER, &[(name, "6.6.6.6")]);
        assert!(!told.contains_key(name), "{name}");
        let trusting = Forwarding::new().with_trusted_peers(["203.0.113.7/32".parse().unwrap()]);
        let told = applied(&trusting, PEER, &[(name, "6.6.6.6")]);
        assert_eq!(told[name], "6.6.6.6");
    }
}

#[test]
fn a_forwarded_that_we_do_not_add_to_is_not_passed_on() {
    let trusting = Forwarding::new().with_trusted_peers(["203.0.113.7/32".parse().unwrap()]);
    let sent = [("forwarded", "for=6.6.6.6")];
    assert!(!applied(&trusting, PEER, &sent).contains_key("forwarded"));
    let told = applied(
        &trusting.with_forwarded(),
        PEER,
        &[("forwarded", "for=\"6.6.6.6")],
    );
    assert_eq!(
        told["forwarded"], "for=203.0.113.7;proto=http",
        "it was open"
    );
}

#[test]
fn ipv4_networks_mapped_to_ipv6_are_trusted() {
    let mapped = Forwarding::new().with_trusted_peers(["::ffff:203.0.113.0/120".parse().unwrap()]);
    let told = applied(&mapped, PEER, &[("x-forwarded-for", "1.1.1.1")]);
    assert_eq!(told["x-forwarded-for"], "1.1.1.1, 203.0.113.7");
}
