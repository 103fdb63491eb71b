//! Where connections come in: [`Listener`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::stream::Stream;

/// A socket that accepts connections: TCP, or a unix socket.
///
/// Two ways lead to a restart without a refused connection:
///
/// * a parent that holds the socket (systemd's socket activation, `systemfd`) passes it
///   on, and the new process takes it by [`inherited`](Self::inherited): nothing is lost;
/// * old and new process listen at the same time ([`bind_shared`](Self::bind_shared)), and
///   the old one stops once the new one listens. What has been queued for the old one it
///   still takes when it stops. No client is refused, but a connection that the system
///   completes in the very moment of closing is reset.
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

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 4096;

impl Listener {
    /// Listens on an address; port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// If the system does not allow it, for one because another process listens there; and
    /// outside a tokio runtime with `enable_io`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::bound(address, false)
    }

    /// Listens on an address where other processes of the same user may do the same
    /// (`SO_REUSEPORT`): the system spreads connections over them.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind), and where there is no such thing.
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
        // Else a restart would have to wait for connections of before to be forgotten.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        if shared {
            share_port(&socket)?;
        }
        socket.bind(address)?;
        Ok(socket.listen(BACKLOG)?.into())
    }

    /// Listens on a unix socket. A socket file that a process has left behind, and on which none
    /// listens any more, is replaced.
    ///
    /// # Errors
    ///
    /// If the system does not allow it, or the path is something else, or taken; and
    /// outside a tokio runtime with `enable_io`.
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

    /// Takes the sockets that this process was started with, in their order: those that
    /// `LISTEN_FDS` counts (systemd, `systemfd`). Empty if there are none, and the second
    /// time. Call it first thing: it takes the variables out of the environment, which no
    /// other thread should be reading meanwhile.
    ///
    /// # Errors
    ///
    /// If one of them is no listening socket of TCP or of the unix domain; and outside a
    /// tokio runtime with `enable_io`.
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

    /// Waits for the next connection, of which nothing has been read yet.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => listener.accept().await.map(tcp),
            #[cfg(unix)]
            Socket::Unix(listener) => listener.accept().await.map(unix),
        }
    }

    /// Closes it, and returns what the system had accepted for it.
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

/// tokio would panic.
fn in_runtime() -> io::Result<()> {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map(drop).map_err(io::Error::other)
}

/// The next that is there; one that has gone again is no end.
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
    // Only a matter of speed.
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
