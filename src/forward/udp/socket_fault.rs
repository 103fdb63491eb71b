//! What an error of a socket means for a datagram: [`SocketFault`].

use std::io::{Error, ErrorKind};

/// The meaning of a socket error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SocketFault {
    /// A buffer is full; the next datagram may succeed.
    Backlog,
    /// The datagram is longer than the network path allows.
    Oversize,
    /// Nothing listens at the member's port, or the member is unreachable.
    Refused,
    /// This machine has no port left.
    Shortage,
    /// Another error, which does not concern the member.
    Unknown,
}

impl SocketFault {
    pub(super) fn of(error: &Error) -> Self {
        if is_too_long(error) {
            return Self::Oversize;
        }
        match error.kind() {
            ErrorKind::WouldBlock => Self::Backlog,
            // The member's host has reported it by ICMP; Windows calls it a reset.
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => Self::Refused,
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Self::Shortage,
            _ => Self::Unknown,
        }
    }
}

#[cfg(unix)]
fn is_too_long(error: &Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MSGSIZE)
}

/// `WSAEMSGSIZE`, for which the standard library has no name.
#[cfg(not(unix))]
fn is_too_long(error: &Error) -> bool {
    error.raw_os_error() == Some(10_040)
}

#[cfg(test)]
mod tests {
    use super::SocketFault;
    use std::io::ErrorKind;
    use std::net::UdpSocket;

    #[test]
    fn a_datagram_that_is_too_long_is_told_from_a_member_that_refuses() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let error = socket.send_to(&[0; 65_508], to).unwrap_err();
        assert_eq!(SocketFault::of(&error), SocketFault::Oversize);
        let refused = ErrorKind::ConnectionRefused.into();
        assert_eq!(SocketFault::of(&refused), SocketFault::Refused);
        let full = ErrorKind::WouldBlock.into();
        assert_eq!(SocketFault::of(&full), SocketFault::Backlog);
    }
}
