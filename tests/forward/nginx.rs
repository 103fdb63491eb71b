//! nginx as a member that expects a PROXY header: what it understands of ours.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use equipoise::net::{Connector, ProxyHeader, ProxyVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::within;

/// It dies when it is dropped, with its files.
struct Nginx {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = std::env::temp_dir().join(format!("equipoise-nginx-{}", address.port()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "daemon off; master_process off; error_log {0}/error crit; pid {0}/pid;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;
               fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
               server {{
                 listen {address} proxy_protocol;
                 location / {{
                   return 200 '$proxy_protocol_addr $proxy_protocol_port
$proxy_protocol_server_addr $proxy_protocol_server_port';
                 }}
               }}
             }}",
            folder.display()
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(file).arg("-p").arg(&folder);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        Self {
            child,
            folder,
            address,
        }
    }

    async fn is_up(&self) {
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// What it has understood of a header.
    async fn told(&self, header: &ProxyHeader, version: ProxyVersion) -> String {
        let member = Connector::tcp(self.address).proxy_header(header, version);
        let mut stream = member.connect().await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut got = String::new();
        stream.read_to_string(&mut got).await.unwrap();
        let (_, body) = got.split_once("\r\n\r\n").unwrap();
        body.to_owned()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn nginx_understands_headers_of_both_versions() {
    within(async {
        let nginx = Nginx::start();
        nginx.is_up().await;
        for (source, destination, told) in [
            (
                "203.0.113.7:5000",
                "10.0.0.1:443",
                "203.0.113.7 5000\n10.0.0.1 443",
            ),
            (
                "[2001:db8::7]:5000",
                "[2001:db8::1]:443",
                "2001:db8::7 5000\n2001:db8::1 443",
            ),
            (
                "203.0.113.7:5000",
                "[2001:db8::1]:443",
                "::ffff:203.0.113.7 5000\n2001:db8::1 443",
            ),
        ] {
            let header = ProxyHeader::new(source.parse().unwrap(), destination.parse().unwrap())
                .with_alpn(b"h2")
                .and_then(|header| header.with_authority("db.example.org"))
                .unwrap();
            for version in [ProxyVersion::V1, ProxyVersion::V2] {
                assert_eq!(nginx.told(&header, version).await, told, "{version:?}");
            }
        }
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let told = nginx.told(&ProxyHeader::unknown(), version).await;
            assert_eq!(told.split_whitespace().count(), 0, "{version:?}: {told}");
        }
    })
    .await;
}
