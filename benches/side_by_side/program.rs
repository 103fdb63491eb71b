//! Starting programs, and ending them whatever happens: [`Program`].

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use equipoise::service::BoxError;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::procfs::{began, family};

/// The core of the proxy.
pub(crate) const PROXY_CORE: &str = "0";
/// The core of everything else.
pub(crate) const OTHER_CORE: &str = "1";

/// Where a program is, if it is installed. Those of administrators are not on everybody's
/// path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(others);
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

/// A command that runs what is added to it on one core.
pub(crate) fn pinned(core: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).stdin(Stdio::null());
    // Who stops us stops us only; what we have started is ours to end.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// A program that runs until this is dropped, and all that it has started, too.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a command, which writes into a file.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> io::Result<Self> {
        let file = File::create(&log)?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { child, log })
    }

    /// It and all that it has started.
    pub(crate) fn family(&self) -> Vec<u32> {
        family(self.child.id())
    }

    /// Waits until it accepts connections there.
    pub(crate) async fn accepts_at(&mut self, address: SocketAddr) -> Result<(), BoxError> {
        let asking = async {
            while TcpStream::connect(address).await.is_err() {
                if self.has_ended() {
                    let log = self.log().unwrap_or_default();
                    return Err(BoxError::from(format!("it has ended: {}", tail(&log))));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        let asked = timeout(Duration::from_secs(10), asking).await;
        asked.map_err(|_| "nothing listens after ten seconds")?
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn log(&self) -> io::Result<String> {
        std::fs::read_to_string(&self.log)
    }
}

/// How often it is asked whether a program has ended, 10 ms apart. In valgrind that takes long.
const PATIENCE: usize = 1_000;

impl Drop for Program {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let family = self.family();
        let family = family.into_iter().map(|process| (process, began(process)));
        let family: Vec<_> = family.collect();
        signal("TERM", self.child.id());
        for _ in 0..PATIENCE {
            if self.has_ended() {
                break;
            }
            pause();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for (process, since) in family {
            if since.is_some() && began(process) == since {
                signal("KILL", process);
            }
        }
    }
}

fn signal(name: &str, process: u32) {
    let mut command = Command::new("sh");
    let command = command.args(["-c", "kill -s \"$0\" \"$1\"", name]);
    let _ = command
        .arg(process.to_string())
        .stderr(Stdio::null())
        .status();
}

#[expect(clippy::disallowed_methods, reason = "a drop cannot wait otherwise")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Addresses that nobody listens on.
pub(crate) fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    // All at once, so that no two are the same.
    let held = (0..count).map(|_| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let held: Vec<_> = held.collect::<io::Result<_>>()?;
    held.iter().map(std::net::TcpListener::local_addr).collect()
}

/// How many connections may wait to be accepted: as many as with the others.
const BACKLOG: u32 = 4096;

/// Listens as [`Listener`](equipoise::net::Listener) does.
pub(crate) fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The last lines of a log, for an error.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// The first line that a program says of its version.
pub(crate) fn version(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    // nginx and wrk say it on the one, the others on the other.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    said.lines().next().map(|line| line.trim().to_owned())
}
