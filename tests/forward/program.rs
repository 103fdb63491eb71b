//! A server from a package: a process with a folder of its own, both gone when it is dropped.
//!
//! Not here: how a certain server is set up.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

/// Returns `number` ports in a row, the first of them, that are free on these hosts for TCP and
/// for UDP.
///
/// They are no ports that the system gives to connections, so that nothing takes them before the
/// server does: other tests open many.
pub(crate) fn free_ports(number: u16, hosts: &[&str]) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 18_000;
    const PORTS: u16 = 14_000;
    // Programs of tests that run at the same time begin elsewhere.
    let begin = std::process::id().wrapping_mul(331) % u32::from(PORTS);
    let begin = u16::try_from(begin).unwrap();
    for _ in 0..1_000 {
        let at = (begin + NEXT.fetch_add(number, Ordering::Relaxed) % PORTS) % PORTS;
        let first = FIRST + at;
        let is_free = |port: u16| {
            hosts.iter().all(|host| {
                TcpListener::bind((*host, port)).is_ok() && UdpSocket::bind((*host, port)).is_ok()
            })
        };
        if (first..first + number).all(is_free) {
            return first;
        }
    }
    panic!("no free ports");
}

/// Returns an address of this machine at which nothing listens.
pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_ports(1, &["127.0.0.1"])))
}

/// A new folder of a server, which is removed when it is dropped.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn new(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut name = format!("equipoise-{server}-{}", std::process::id());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        write!(name, "-{number}").unwrap();
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self { path }
    }

    /// Writes a file of it, and returns where that is.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A server that runs in the foreground, until it is dropped.
pub(crate) struct Program {
    child: Child,
    signal: &'static str,
    // After the process.
    pub(crate) folder: Folder,
}

impl Program {
    /// Starts it. What it prints is in the file `log` of its folder.
    pub(crate) fn start(folder: Folder, command: &mut Command) -> Self {
        let log = std::fs::File::create(folder.path.join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            signal: "KILL",
            folder,
        }
    }

    /// The signal at which it ends at once, if it has processes or memory of its own to tidy up.
    pub(crate) fn ended_by(mut self, signal: &'static str) -> Self {
        self.signal = signal;
        self
    }

    /// Waits until it listens.
    pub(crate) async fn listens(mut self, address: SocketAddr) -> Self {
        while TcpStream::connect(address).await.is_err() {
            self.still_runs();
            sleep(Duration::from_millis(5)).await;
        }
        self.still_runs();
        self
    }

    fn still_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let log = std::fs::read_to_string(self.folder.path.join("log"));
            panic!("{status}: {}", log.unwrap_or_default());
        }
    }
}

impl Drop for Program {
    #[expect(
        clippy::disallowed_methods,
        reason = "no clock can be advanced to the end of a process"
    )]
    fn drop(&mut self) {
        send(self.signal, self.child.id());
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process of these tests.
pub(crate) fn send(signal: &str, process: u32) {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$0\" \"$1\"", signal, &process.to_string()]);
    let _ = kill.stderr(Stdio::null()).status();
}
