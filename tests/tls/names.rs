//! Which certificate a client gets, by the name that it asks for; also after they have
//! been replaced.

use equipoise::net::ServerTls;

use super::authority::Authority;
use super::client::Client;
use super::front::Front;
use super::within;

#[tokio::test]
async fn a_name_has_its_certificate_and_any_other_the_first() {
    within(async {
        let authority = Authority::new("clients");
        let first = authority.issue(&["first.test", "127.0.0.1"]);
        let shop = authority.issue(&["shop.test", "www.shop.test"]);
        let wild = authority.issue(&["*.shop.test"]);
        let identities = [first.identity(), shop.identity(), wild.identity()];
        let front = Front::telling(&ServerTls::new(identities).unwrap());
        for (name, issued) in [
            ("first.test", &first),
            ("shop.test", &shop),
            ("SHOP.test", &shop),
            ("www.shop.test", &shop),
            ("api.shop.test", &wild),
            // It asks for no name then.
            ("127.0.0.1", &first),
        ] {
            let client = Client::of(&authority);
            let connection = client.connect(front.address, name).await.unwrap();
            assert_eq!(connection.certificate, issued.der(), "{name}");
            let asked = match name {
                "127.0.0.1" => "-".to_owned(),
                name => name.to_lowercase(),
            };
            let told = connection.ask().await.unwrap();
            assert_eq!(told, format!("HTTP/1.1 1.3 {asked} 0"));
        }
        for unknown in ["a.b.shop.test", "other.test", "test"] {
            let client = Client::of(&authority);
            client
                .connect(front.address, unknown)
                .await
                .map(drop)
                .unwrap_err();
            let client = client.wanting(&authority, "first.test");
            let connection = client.connect(front.address, unknown).await.unwrap();
            assert_eq!(connection.certificate, first.der(), "{unknown}");
            let told = connection.ask().await.unwrap();
            assert_eq!(told, format!("HTTP/1.1 1.3 {unknown} 0"));
        }
    })
    .await;
}

#[tokio::test]
async fn certificates_are_replaced_while_connections_go_on() {
    within(async {
        let authority = Authority::new("clients");
        let old = authority.issue(&["shop.test"]);
        let new = authority.issue(&["shop.test"]);
        let tls = ServerTls::new([old.identity()]).unwrap();
        let front = Front::telling(&tls);
        let client = Client::of(&authority);
        let connection = client.connect(front.address, "shop.test").await.unwrap();
        assert_eq!(connection.certificate, old.der());
        let mut connection = connection.into_http_1().await;
        assert_eq!(connection.ask().await.unwrap(), "HTTP/1.1 1.3 shop.test 0");

        // Without any, all stays as it is.
        tls.replace([]).unwrap_err();
        let client = Client::of(&authority);
        let again = client.connect(front.address, "shop.test");
        assert_eq!(again.await.unwrap().certificate, old.der());

        tls.replace([new.identity()]).unwrap();
        assert_eq!(connection.ask().await.unwrap(), "HTTP/1.1 1.3 shop.test 0");
        let client = Client::of(&authority);
        let later = client.connect(front.address, "shop.test").await.unwrap();
        assert_eq!(later.certificate, new.der());
        assert_eq!(later.ask().await.unwrap(), "HTTP/1.1 1.3 shop.test 0");
        assert_eq!(connection.ask().await.unwrap(), "HTTP/1.1 1.3 shop.test 0");
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_server_has_the_certificates_of_the_clone_that_it_was_given() {
    within(async {
        let authority = Authority::new("clients");
        let [old, new] = [0, 1].map(|_| authority.issue(&["shop.test"]));
        let tls = ServerTls::new([old.identity()]).unwrap();
        let fronts = [
            Front::telling(&tls),
            Front::telling(&tls.clone().with_tls_1_3_only()),
        ];
        tls.clone().replace([new.identity()]).unwrap();
        for front in fronts {
            let client = Client::of(&authority);
            let connection = client.connect(front.address, "shop.test").await.unwrap();
            assert_eq!(connection.certificate, new.der());
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_for_the_hosts_of_its_certificate_if_the_edge_says_so() {
    use equipoise::proxy::{
        ClientBody, EdgeBody, EdgeLayer, Endpoint, Forwarding, ReverseProxy, Server,
    };
    use equipoise::{BalanceLayer, Balancer};
    use http::{Request, Response};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tower::Layer;
    within(async {
        let authority = Authority::new("clients");
        let first = authority.issue(&["first.test", "*.first.test", "127.0.0.1", "::1"]);
        let shop = authority.issue(&["shop.test"]);
        let tls = ServerTls::new([first.identity(), shop.identity()]).unwrap();
        let inner = tower::service_fn(async |_: Request<EdgeBody<_>>| {
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        });
        let edge = EdgeLayer::new(Forwarding::new());
        let strict = edge.clone().reject_misdirected().layer(inner);
        let strict = Front::start(Server::new().tls(&tls), strict);
        let lax = Front::start(Server::new().tls(&tls), edge.clone().layer(inner));
        // Directly behind a server, the certificate is known beside the request.
        let member = tower::service_fn(async |request: Request<ClientBody>| {
            assert_eq!(request.headers()["x-forwarded-proto"], "https");
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        });
        let member = Front::start(Server::new(), member);
        let uri = format!("http://{}", member.address).parse().unwrap();
        let members = Balancer::new([("a", Endpoint::new(uri).unwrap())]).unwrap();
        let beside = edge.reject_misdirected();
        let beside = ReverseProxy::from_parts(BalanceLayer::new(members), beside);
        let beside = Front::start(Server::new().tls(&tls), beside);
        for (name, host, status) in [
            ("first.test", "first.test", "200"),
            ("first.test", "A.FIRST.test.:443", "200"),
            ("x.first.test", "first.test", "200"),
            ("shop.test", "shop.test", "200"),
            ("shop.test", "first.test", "421"),
            ("first.test", "shop.test", "421"),
            ("first.test", "a.b.first.test", "421"),
            ("first.test", "nowhere.test", "421"),
            // By its address: a handshake names none.
            ("127.0.0.1", "127.0.0.1:443", "200"),
            ("127.0.0.1", "[::1]:443", "200"),
            ("127.0.0.1", "127.0.0.2", "421"),
            ("shop.test", "127.0.0.1", "421"),
        ] {
            for (front, status) in [(&strict, status), (&beside, status), (&lax, "200")] {
                let client = Client::of(&authority);
                let mut stream = client.connect(front.address, name).await.unwrap().stream;
                let request =
                    format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut told = String::new();
                stream.read_to_string(&mut told).await.unwrap();
                assert_eq!(&told[9..12], status, "{name} {host}");
            }
        }
    })
    .await;
}
