//! nginx as a member that expects a PROXY header: what it understands of ours.

use std::net::SocketAddr;
use std::process::Command;

use equipoise::net::{Connector, ProxyHeader, ProxyVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::program::{Folder, Program, free_address};
use super::within;

struct Nginx {
    address: SocketAddr,
    _program: Program,
}

impl Nginx {
    async fn start() -> Self {
        let address = free_address();
        let folder = Folder::new("nginx");
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
            folder.path.display()
        );
        let settings = folder.write("nginx.conf", text);
        let mut nginx = Command::new("nginx");
        nginx.arg("-c").arg(settings).arg("-p").arg(&folder.path);
        let program = Program::start(folder, &mut nginx);
        Self {
            address,
            _program: program.listens(address).await,
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

#[tokio::test]
#[ignore = "needs nginx"]
async fn nginx_understands_headers_of_both_versions() {
    within(async {
        let nginx = Nginx::start().await;
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
