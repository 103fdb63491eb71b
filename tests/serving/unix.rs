//! Unix sockets, on either side of the proxy.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use equipoise::net::Listener;
use equipoise::proxy::{Endpoint, Server};
use http::{Uri, Version};
use tokio::net::{UnixListener, UnixStream};

use super::client::{Client, ask, get};
use super::front::Front;
use super::member::{Member, proxy, speak, tell};
use super::within;

/// A folder for sockets, which goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("equipoise-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn clients_come_by_a_unix_socket() {
    within(async {
        let folder = Folder::new("clients");
        let path = folder.path("front.sock");
        let member = Member::telling().await;
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(listener.local_addr(), None);
        let front = Front::on(listener, Server::new(), proxy([member.endpoint()]));
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let stream = UnixStream::connect(&path).await.unwrap();
            let answer = Client::over(stream, version).await.ask(get("/a")).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.told("x-forwarded-for"), None, "it has no address");
            assert_eq!(answer.told("x-forwarded-host"), Some("www.example.com"));
        }
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_member_listens_on_a_unix_socket() {
    within(async {
        let folder = Folder::new("member");
        let path = folder.path("member.sock");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(speak(stream, tell));
            }
        });
        let uri = Uri::from_static("http://app.internal/prefix");
        let member = Endpoint::builder(uri).unix_socket(&path);
        let front = Front::start(Server::new(), proxy([member]));
        let answer = ask(front.address, get("/a?b=c")).await;
        assert!(
            answer.text.starts_with("HTTP/1.1 GET /prefix/a?b=c\n"),
            "{answer:?}"
        );
        assert_eq!(answer.told("host"), Some("app.internal"));
        assert_eq!(answer.told("x-forwarded-for"), Some("127.0.0.1"));
    })
    .await;
}

#[tokio::test]
async fn a_member_whose_unix_socket_is_missing_is_passed_over() {
    within(async {
        let folder = Folder::new("missing");
        let uri = Uri::from_static("http://app.internal");
        let missing = Endpoint::builder(uri).unix_socket(folder.path("none.sock"));
        let member = Member::telling().await;
        let front = Front::start(Server::new(), proxy([missing, member.endpoint()]));
        for _ in 0..4 {
            assert_eq!(ask(front.address, get("/")).await.status, 200);
        }
    })
    .await;
}

fn kind(path: &Path) -> ErrorKind {
    Listener::unix(path).unwrap_err().kind()
}

#[tokio::test]
async fn only_a_socket_that_nobody_listens_on_is_replaced() {
    within(async {
        let folder = Folder::new("stale");
        let path = folder.path("front.sock");
        // Of a process that has ended.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let member = Member::telling().await;
        let listener = Listener::unix(&path).unwrap();
        let front = Front::on(listener, Server::new(), proxy([member.endpoint()]));
        assert_eq!(kind(&path), ErrorKind::AddrInUse, "somebody listens");
        let stream = UnixStream::connect(&path).await.unwrap();
        let mut client = Client::over(stream, Version::HTTP_11).await;
        assert_eq!(client.ask(get("/")).await.status, 200);
        drop(front);

        let file = folder.path("precious.txt");
        std::fs::write(&file, "precious").unwrap();
        assert_eq!(kind(&file), ErrorKind::AddrInUse, "it is a file");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
        assert_eq!(kind(&folder.path("no/such")), ErrorKind::NotFound);
    })
    .await;
}
