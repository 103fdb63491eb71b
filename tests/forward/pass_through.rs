//! Two names on one port, each with a member of its own that ends TLS itself.

use equipoise::forward::NameRoutes;
use equipoise::net::{Connector, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::front::{Certificate, front, member};
use super::within;

async fn all_of(mut stream: Stream) -> String {
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    got
}

#[tokio::test]
async fn each_name_has_its_member_which_shows_its_own_certificate() {
    within(async {
        let shown = [Certificate::of("a.test"), Certificate::of("*.b.test")];
        let members = [member("first", &shown[0]), member("second", &shown[1])];
        let routes = NameRoutes::new()
            .name("a.test", Connector::tcp(members[0]))
            .and_then(|routes| routes.name("*.b.test", Connector::tcp(members[1])))
            .unwrap();
        let front = front(routes);
        for (shown, name, own) in [
            (&shown[0], "a.test", "first"),
            (&shown[1], "x.b.test", "second"),
            (&shown[1], "y.b.test", "second"),
        ] {
            let stream = shown.client(name, front).connect().await.unwrap();
            let client = stream.local_addr().unwrap();
            let told = all_of(stream).await;
            assert_eq!(told, format!("{own} {client} {front} {name}"));
        }
        // Of any other name, and of what is no TLS, nothing reaches a member.
        shown[0]
            .client("c.test", front)
            .connect()
            .await
            .unwrap_err();
        let mut stream = Connector::tcp(front).connect().await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        assert_eq!(got, b"");
    })
    .await;
}
