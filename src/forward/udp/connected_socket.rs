//! The socket of a new flow, connected to its member: [`ConnectedSocket`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use super::socket_fault::SocketFault;
use crate::forward::self_loop::{is_forwarder_itself, self_loop_cause};
use crate::member::Cause;

/// The reason why there is no socket to a member.
#[derive(Debug)]
pub(super) enum OpenFailure {
    /// A failure of the member, which is put in error.
    Member(Cause),
    /// The member's name is being resolved.
    Resolving,
    /// This machine has no socket left.
    Shortage,
}

/// The addresses of a name, in the order in which to try them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResolvedAddresses<'a> {
    /// Addresses that have refused datagrams come last.
    pub(super) addresses: &'a [SocketAddr],
    /// The number of addresses that have not refused datagrams.
    pub(super) unrefused: usize,
}

/// A socket that is connected to an address of a member.
#[derive(Debug)]
pub(super) struct ConnectedSocket {
    pub(super) socket: UdpSocket,
    pub(super) to: SocketAddr,
    /// Whether the member has another address to try if this one refuses.
    pub(super) has_other: bool,
}

/// Opens a socket to the first reachable address of a member.
pub(super) fn connect_to_any(
    found: ResolvedAddresses<'_>,
    here: SocketAddr,
) -> Result<ConnectedSocket, OpenFailure> {
    let mut failed = OpenFailure::Member(Cause::Unresolved);
    for (place, &address) in found.addresses.iter().enumerate() {
        match connect(address, here) {
            Err(OpenFailure::Member(cause)) => failed = OpenFailure::Member(cause),
            Err(error) => return Err(error),
            Ok(connected) => {
                return Ok(ConnectedSocket {
                    has_other: place + 1 < found.unrefused,
                    ..connected
                });
            }
        }
    }
    Err(failed)
}

/// Opens a socket to a member, for the forwarder that listens at `here`. Nothing is sent
/// yet.
pub(super) fn connect(to: SocketAddr, here: SocketAddr) -> Result<ConnectedSocket, OpenFailure> {
    if to.port() == 0 {
        return Err(OpenFailure::Member("the member has no port".into()));
    }
    let socket = new_socket(to).map_err(|error| open_failure(&error, OpenFailure::Shortage))?;
    socket.connect(&to.into()).map_err(|error| {
        let failure = match SocketFault::of(&error) {
            // The system returns these errors if all local ports are in use.
            SocketFault::Backlog | SocketFault::Shortage => OpenFailure::Shortage,
            SocketFault::Refused => OpenFailure::Member(Cause::Refused),
            SocketFault::Oversize | SocketFault::Unknown => OpenFailure::Member(Cause::Unsent),
        };
        open_failure(&error, failure)
    })?;
    let from = socket.local_addr().ok().and_then(|it| it.as_socket());
    if from.is_some_and(|from| is_forwarder_itself(to, from.ip(), here)) {
        return Err(OpenFailure::Member(self_loop_cause()));
    }
    let socket = UdpSocket::from_std(socket.into()).map_err(|_| OpenFailure::Shortage)?;
    Ok(ConnectedSocket {
        socket,
        to,
        has_other: false,
    })
}

/// Interprets an error: this machine has no address of the member's family, for example
/// because IPv6 is disabled, or else `otherwise`.
fn open_failure(error: &io::Error, otherwise: OpenFailure) -> OpenFailure {
    // On systems other than Linux, this error may mean that no port is left.
    let has_no_address = cfg!(any(target_os = "linux", target_os = "android"))
        && error.kind() == ErrorKind::AddrNotAvailable;
    if has_no_address || is_of_no_family(error) {
        return OpenFailure::Member(Cause::Unsent);
    }
    otherwise
}

#[cfg(unix)]
fn is_of_no_family(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::AFNOSUPPORT)
}

/// `WSAEAFNOSUPPORT`, for which the standard library has no name.
#[cfg(not(unix))]
fn is_of_no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(10_047)
}

fn new_socket(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::{OpenFailure, ResolvedAddresses, connect, connect_to_any, open_failure};
    use std::io::{Error, ErrorKind};
    use std::net::UdpSocket;

    #[tokio::test]
    async fn a_member_without_a_port_is_its_own_failure() {
        let here = "127.0.0.1:53".parse().unwrap();
        let error = connect("127.0.0.1:0".parse().unwrap(), here).unwrap_err();
        assert!(matches!(error, OpenFailure::Member(_)), "{error:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_without_addresses_of_the_members_kind_has_sockets_left() {
        use rustix::io::Errno;
        for errno in [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT] {
            let failure = open_failure(&errno.into(), OpenFailure::Shortage);
            assert!(matches!(failure, OpenFailure::Member(_)), "{failure:?}");
        }
        for error in [Errno::MFILE.into(), Error::from(ErrorKind::WouldBlock)] {
            let failure = open_failure(&error, OpenFailure::Shortage);
            assert!(matches!(failure, OpenFailure::Shortage), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn a_way_has_another_while_there_is_an_address_that_has_not_refused() {
        let here = "127.0.0.1:53".parse().unwrap();
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let addresses = &sockets.map(|it| it.local_addr().unwrap());
        for (unrefused, has_other) in [(2, true), (1, false), (0, false)] {
            let found = ResolvedAddresses {
                addresses,
                unrefused,
            };
            let connected = connect_to_any(found, here).unwrap();
            assert_eq!(
                (connected.to, connected.has_other),
                (addresses[0], has_other)
            );
        }
    }
}
