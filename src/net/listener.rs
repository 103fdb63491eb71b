//! The socket that accepts connections: [`Listener`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::stream::Stream;

/// A socket that accepts connections: TCP, or a unix socket.
///
/// There are two ways to restart without refusing a connection:
///
/// * A parent that holds the socket (systemd's socket activation, `systemfd`) passes it on,
///   and the new process takes it with [`inherited`](Self::inherited). No connection is
///   lost.
/// * The old and the new process listen at the same time
///   ([`bind_shared`](Self::bind_shared)), and the old one stops once the new one listens.
///   When the old process stops, it still accepts the connections in its queue. No client
///   is refused, but a connection that the system completes at the moment of closing is
///   reset.
///
/// # Examples
///
/// ```
/// use equipoise::net::Listener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = match Listener::inherited()?.into_iter().next() {
///     Some(listener) => listener,
///     None => Listener::bind(([127, 0, 0, 1], 0).into())?,
/// };
/// println!("{}", listener.local_addr().unwrap());
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// The length of the accept queue; the system may allow less.
const BACKLOG: u32 = 4096;

impl Listener {
    /// Listens on an address. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// Fails if the system does not allow it, for example because another process listens
    /// on the address, and outside a tokio runtime with `enable_io`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::bound(address, false)
    }

    /// Listens on an address that other processes of the same user may also listen on
    /// (`SO_REUSEPORT`). The system distributes connections among them.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind), and on systems without `SO_REUSEPORT`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use equipoise::net::Listener;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let old = Listener::bind_shared(([127, 0, 0, 1], 0).into())?;
    /// let new = Listener::bind_shared(old.local_addr().unwrap())?;
    /// # drop(new);
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_shared(address: SocketAddr) -> io::Result<Self> {
        Self::bound(address, true)
    }

    fn bound(address: SocketAddr, shared: bool) -> io::Result<Self> {
        in_runtime()?;
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // Otherwise a restart would have to wait until the system has forgotten old
        // connections.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        if shared {
            share_port(&socket)?;
        }
        socket.bind(address)?;
        Ok(socket.listen(BACKLOG)?.into())
    }

    /// Listens on a unix socket. A socket file left behind by a process that no longer
    /// listens is replaced.
    ///
    /// # Errors
    ///
    /// Fails if the system does not allow it, if the path is not a socket, or if another
    /// process listens on it; and outside a tokio runtime with `enable_io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use equipoise::net::Listener;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let folder = std::env::temp_dir();
    /// # let path = folder.join(format!("equipoise-{}.sock", std::process::id()));
    /// let listener = Listener::unix(&path)?;
    /// # drop(listener);
    /// # std::fs::remove_file(path)
    /// # })?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        use std::os::unix::net::UnixStream;

        in_runtime()?;
        let path = path.as_ref();
        let bound = UnixListener::bind(path);
        let taken = matches!(&bound, Err(error) if error.kind() == ErrorKind::AddrInUse);
        let is_socket = || {
            let found = std::fs::symlink_metadata(path);
            found.is_ok_and(|it| it.file_type().is_socket())
        };
        let abandoned = || {
            let tried = UnixStream::connect(path);
            matches!(tried, Err(error) if error.kind() == ErrorKind::ConnectionRefused)
        };
        if taken && is_socket() && abandoned() {
            std::fs::remove_file(path)?;
            return Ok(UnixListener::bind(path)?.into());
        }
        Ok(bound?.into())
    }

    /// Takes the sockets that this process was started with, in order, as counted by
    /// `LISTEN_FDS` (systemd, `systemfd`). The result is empty if there are none, and on
    /// every later call. Call it first: it removes the variables from the environment, and
    /// no other thread should read the environment meanwhile.
    ///
    /// # Errors
    ///
    /// Fails if one of them is not a listening socket of TCP or of the unix domain, and
    /// outside a tokio runtime with `enable_io`.
    pub fn inherited() -> io::Result<Vec<Self>> {
        in_runtime()?;
        let mut passed = listenfd::ListenFd::from_env();
        let mut listeners = Vec::new();
        for place in 0..passed.len() {
            listeners.extend(inherit(&mut passed, place)?);
        }
        Ok(listeners)
    }

    /// Returns the address of a TCP listener.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(_) => None,
        }
    }

    /// Waits for the next connection; nothing has been read from it yet.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => listener.accept().await.map(tcp),
            #[cfg(unix)]
            Socket::Unix(listener) => listener.accept().await.map(unix),
        }
    }

    /// Closes the listener, and returns the connections that were in its queue.
    pub(super) fn close(self) -> Vec<(Stream, Option<SocketAddr>)> {
        let mut queued = Vec::new();
        match self.socket {
            Socket::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else {
                    return queued;
                };
                for _ in 0..BACKLOG {
                    let Some((stream, peer)) = queued_in(|| listener.accept()) else {
                        break;
                    };
                    let stream = stream.set_nonblocking(true).and(Ok(stream));
                    let stream = stream.and_then(TcpStream::from_std);
                    queued.extend(stream.map(|stream| tcp((stream, peer))));
                }
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let Ok(listener) = listener.into_std() else {
                    return queued;
                };
                for _ in 0..BACKLOG {
                    let Some((stream, _)) = queued_in(|| listener.accept()) else {
                        break;
                    };
                    let stream = stream.set_nonblocking(true).and(Ok(stream));
                    let stream = stream.and_then(UnixStream::from_std);
                    queued.extend(stream.map(|stream| (stream.into(), None)));
                }
            }
        }
        queued
    }
}

#[cfg(unix)]
fn inherit(passed: &mut listenfd::ListenFd, place: usize) -> io::Result<Option<Listener>> {
    if let Ok(Some(tcp)) = passed.take_tcp_listener(place) {
        tcp.set_nonblocking(true)?;
        return Ok(Some(TcpListener::from_std(tcp)?.into()));
    }
    let Some(unix) = passed.take_unix_listener(place)? else {
        return Ok(None);
    };
    unix.set_nonblocking(true)?;
    Ok(Some(UnixListener::from_std(unix)?.into()))
}

#[cfg(not(unix))]
fn inherit(passed: &mut listenfd::ListenFd, place: usize) -> io::Result<Option<Listener>> {
    let Some(tcp) = passed.take_tcp_listener(place)? else {
        return Ok(None);
    };
    tcp.set_nonblocking(true)?;
    Ok(Some(TcpListener::from_std(tcp)?.into()))
}

#[cfg(all(unix, not(target_os = "solaris"), not(target_os = "illumos")))]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(all(unix, not(target_os = "solaris"), not(target_os = "illumos"))))]
fn share_port(_: &TcpSocket) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Checks for a runtime, because tokio would panic without one.
fn in_runtime() -> io::Result<()> {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map(drop).map_err(io::Error::other)
}

/// Returns the next queued connection. One that the client has already closed is skipped.
fn queued_in<T>(accept: impl Fn() -> io::Result<T>) -> Option<T> {
    loop {
        match accept() {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(_) => return None,
        }
    }
}

fn tcp((stream, peer): (TcpStream, SocketAddr)) -> (Stream, Option<SocketAddr>) {
    // This only affects latency, so an error is ignored.
    let _ = stream.set_nodelay(true);
    (stream.into(), Some(peer))
}

#[cfg(unix)]
fn unix((stream, _): (UnixStream, tokio::net::unix::SocketAddr)) -> (Stream, Option<SocketAddr>) {
    (stream.into(), None)
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        let socket = Socket::Tcp(listener);
        Self { socket }
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        let socket = Socket::Unix(listener);
        Self { socket }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Socket::Tcp(listener) => listener.fmt(f),
            #[cfg(unix)]
            Socket::Unix(listener) => listener.fmt(f),
        }
    }
}
