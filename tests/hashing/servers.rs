//! Real servers in front of members that answer with their names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::{sleep, timeout};

/// The number of keys that each test asks for.
const KEYS: usize = 10_000;

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The paths that are asked for.
pub(crate) fn paths() -> Vec<String> {
    let path = |number: usize| match number % 3 {
        0 => format!("/{number}"),
        1 => format!("/images/{}/logo-{number}.png", number % 17),
        _ => format!("/a/rather/long/path/of/a/document/with/the/number/{number}/index.html"),
    };
    (0..KEYS).map(path).collect()
}

pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap()
}

/// Starts members, and returns their addresses. Each answers every request with its address.
pub(crate) async fn members(count: usize) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for _ in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        addresses.push(address);
        serve_all(listener, address.to_string());
    }
    addresses
}

/// Starts a member that answers with `name`, and returns that; `None` if the address cannot be
/// bound.
pub(crate) async fn member_at(address: &str, name: &str) -> Option<String> {
    let listener = TcpListener::bind(address).await.ok()?;
    serve_all(listener, name.to_owned());
    Some(name.to_owned())
}

/// Starts a member at a Unix socket that answers with `name`.
pub(crate) fn unix_member(path: &Path, name: &str) {
    let (listener, name) = (UnixListener::bind(path).unwrap(), name.to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, name.clone()));
        }
    });
}

fn serve_all(listener: TcpListener, name: String) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream, name.clone()));
        }
    });
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, name: String) {
    let length = name.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => {
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
        }
    }
}

/// Returns an address at which nothing listens.
pub(crate) async fn unused() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A server that runs until it is dropped, with a folder of its own.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts nginx with an upstream.
    pub(crate) async fn nginx(upstream: &str) -> Self {
        let folder = folder();
        let address = unused().await;
        let text = format!(
            "daemon off; master_process off; error_log {0}/error crit; pid {0}/pid;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;
               fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
               keepalive_requests 1000000;
               upstream members {{ {upstream} keepalive 16; keepalive_requests 1000000; }}
               server {{
                 listen {address};
                 location / {{
                   proxy_pass http://members; proxy_http_version 1.1;
                   proxy_set_header Connection '';
                 }}
               }}
             }}",
            folder.display()
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(file).arg("-p").arg(&folder);
        Self::start(command, folder, address).await
    }

    /// Starts HAProxy with a backend.
    pub(crate) async fn haproxy(backend: &str) -> Self {
        let folder = folder();
        let address = unused().await;
        let text = format!(
            "defaults\n mode http\n timeout client 30s\n timeout server 30s\n \
             timeout connect 5s\nfrontend front\n bind {address}\n default_backend members\n\
             backend members\n http-reuse always\n{backend}"
        );
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file);
        Self::start(command, folder, address).await
    }

    async fn start(mut command: Command, folder: PathBuf, address: SocketAddr) -> Self {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(log).spawn().unwrap();
        let mut server = Self {
            child,
            folder,
            address,
        };
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = server.child.try_wait().unwrap() {
                let log = std::fs::read_to_string(server.folder.join("log")).unwrap();
                panic!("{status}: {log}");
            }
            sleep(Duration::from_millis(5)).await;
        }
        server
    }

    /// Returns the member that answers a request for each path, which is also the value of
    /// the header `x-key`.
    pub(crate) async fn answers(&self, paths: &[String]) -> Vec<String> {
        let clients = paths.chunks(paths.len().div_ceil(4)).map(|paths| {
            let (address, paths) = (self.address, paths.to_vec());
            tokio::spawn(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut stream = BufReader::new(stream);
                let mut names = Vec::new();
                for path in paths {
                    names.push(answer(&mut stream, &path).await);
                }
                names
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut names = Vec::new();
        for client in clients {
            names.extend(client.await.unwrap());
        }
        names
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: example.org\r\nx-key: {path}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        assert_ne!(stream.read_line(&mut head).await.unwrap(), 0, "{head}");
        let line = head[from..].to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Creates a folder for files of a test.
pub(crate) fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("equipoise-hashing-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).unwrap();
    path
}
