//! The members: one listener in a process of its own, spread over 127.0.0.0/8.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The members: each connection has any number of requests, each of one packet.
pub(crate) async fn serve() -> Result<(), BoxError> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    // Where the line is full, connecting takes a second.
    let listener = socket.listen(4096)?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(async move {
            let mut request = [0; 1024];
            while let Ok(1..) = stream.read(&mut request).await {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

pub(crate) struct Served {
    child: Child,
    port: u16,
}

impl Served {
    pub(crate) fn begin() -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("its output is piped")?;
        BufReader::new(out).read_line(&mut line)?;
        let port = line.trim().parse()?;
        Ok(Self { child, port })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of a member.
pub(crate) fn place(at: u32, served: &Served) -> SocketAddr {
    let address = Ipv4Addr::from((127 << 24) + 256 + at);
    SocketAddr::from((address, served.port))
}
