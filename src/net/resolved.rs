//! Connecting to a host name: all addresses of the name are tried, those of both versions
//! of IP side by side (RFC 8305, "happy eyeballs").

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use super::connect_error::{ConnectError, is_shortage};
use crate::timer::timeout;

/// How long only the IP version that the system prefers is tried.
const HEAD_START: Duration = Duration::from_millis(300);

/// Resolves a name, and connects to the first of its addresses that responds. `limit` is
/// divided among the addresses of each version, so that an address that does not respond
/// leaves time for the next.
pub(super) async fn connect(
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<TcpStream, ConnectError> {
    let found = lookup(host, port).await?;
    connect_to(found, limit).await.map_err(ConnectError::open)
}

/// Resolves a name to all of its addresses, in the system's order of preference.
///
/// The system resolves on a thread of the runtime. The lookup occupies that thread until it
/// is done, even if this future is dropped.
pub(crate) async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let unresolved = |source| ConnectError::Resolve {
        name: host.to_owned(),
        source: shortage().unwrap_or(source),
    };
    let found = lookup_host((host, port)).await.map_err(unresolved)?;
    Ok(found.collect())
}

/// Connects to the first of the addresses of a name that responds.
pub(super) async fn connect_to(found: Vec<SocketAddr>, limit: Duration) -> io::Result<TcpStream> {
    let (preferred, others) = by_version(found);
    race(&preferred, &others, limit).await
}

/// Returns the shortage error if this machine cannot open descriptors. The system resolves
/// names with files and sockets of its own, and does not distinguish a lack of descriptors
/// from a name that does not exist.
fn shortage() -> Option<io::Error> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err()
}

/// Returns the addresses of the IP version of the first address, and all others.
fn by_version(addresses: Vec<SocketAddr>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let is_6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    addresses.into_iter().partition(|it| it.is_ipv6() == is_6)
}

async fn race(
    preferred: &[SocketAddr],
    others: &[SocketAddr],
    limit: Duration,
) -> io::Result<TcpStream> {
    if others.is_empty() {
        return in_turn(preferred, limit).await;
    }
    let mut first = pin!(in_turn(preferred, limit));
    let mut second = pin!(in_turn(others, limit));
    // With a short limit, time must remain for the others.
    let head_start = HEAD_START.min(limit / 2);
    match timeout(head_start, first.as_mut()).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(failed)) => return second.await.map_err(|error| more_relevant(failed, error)),
        Err(_) => {}
    }
    tokio::select! {
        biased;
        opened = &mut first => match opened {
            Ok(stream) => Ok(stream),
            Err(failed) => second.await.map_err(|error| more_relevant(failed, error)),
        },
        opened = &mut second => match opened {
            Ok(stream) => Ok(stream),
            Err(failed) => first.await.map_err(|error| more_relevant(failed, error)),
        },
    }
}

/// Returns the error to report, of two: a shortage of this machine comes first, because the
/// address might have responded.
fn more_relevant(one: io::Error, other: io::Error) -> io::Error {
    if is_shortage(&one) { one } else { other }
}

/// Tries one address after the other. If none responds, returns the first error, because it
/// is about the address that the system prefers; a shortage takes precedence.
async fn in_turn(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let share = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let share = limit / share.max(1);
    let mut failed = None;
    for &address in addresses {
        let opened = match timeout(share, TcpStream::connect(address)).await {
            Ok(opened) => opened,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match opened {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                failed = Some(match failed {
                    None => error,
                    Some(first) => more_relevant(error, first),
                });
            }
        }
    }
    Err(failed
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

#[cfg(test)]
mod tests {
    use super::{by_version, connect, more_relevant, race};
    use crate::net::ConnectError;
    use std::io::{Error, ErrorKind};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    const LONG: Duration = Duration::from_secs(20);

    async fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn refusing() -> SocketAddr {
        listening().await.1
    }

    /// A listener whose queue is full, so that the system does not respond any more.
    struct Silent {
        address: SocketAddr,
        _listener: TcpListener,
        _queued: Vec<TcpStream>,
    }

    impl Silent {
        async fn new() -> Self {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
            let listener = socket.listen(1).unwrap();
            let address = listener.local_addr().unwrap();
            let mut queued = Vec::new();
            let patience = Duration::from_millis(100);
            let connects = || TcpStream::connect(address);
            while let Ok(Ok(stream)) = tokio::time::timeout(patience, connects()).await {
                queued.push(stream);
                assert!(queued.len() < 100, "the queue has no end");
            }
            Self {
                address,
                _listener: listener,
                _queued: queued,
            }
        }
    }

    #[test]
    fn the_version_of_the_first_address_is_preferred() {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        assert_eq!(
            by_version(vec![six, four, six]),
            (vec![six, six], vec![four])
        );
        assert_eq!(by_version(vec![four, six]), (vec![four], vec![six]));
        assert_eq!(by_version(vec![]), (vec![], vec![]));
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next() {
        let (_listener, good) = listening().await;
        let stream = race(&[refusing().await, good], &[], LONG).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let stream = race(&[refusing().await], &[good], LONG).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn an_address_that_is_silent_leaves_time_for_the_next() {
        let silent = Silent::new().await;
        let (_listener, good) = listening().await;
        let limit = Duration::from_millis(600);
        let stream = race(&[silent.address, good], &[], limit).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn the_other_version_is_tried_after_a_head_start_though_the_first_is_silent() {
        let silent = Silent::new().await;
        let (_listener, good) = listening().await;
        let (first, others) = ([silent.address], [good]);
        let raced = tokio::time::timeout(LONG / 2, race(&first, &others, LONG));
        let stream = raced.await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn a_short_limit_leaves_time_for_the_other_version() {
        let silent = Silent::new().await;
        let (_listener, good) = listening().await;
        let limit = Duration::from_millis(250);
        let (first, others) = ([silent.address], [good]);
        let raced = tokio::time::timeout(limit, race(&first, &others, limit));
        let stream = raced.await.expect("the others were not tried").unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn where_none_answers_the_error_is_that_of_an_address() {
        let (one, other) = (refusing().await, refusing().await);
        for (first, second) in [(vec![one, other], vec![]), (vec![one], vec![other])] {
            let error = race(&first, &second, LONG).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_shortage_of_this_machine_counts_more_than_a_refusal() {
        let shortage = || Error::from(ErrorKind::OutOfMemory);
        let refused = || Error::from(ErrorKind::ConnectionRefused);
        // A machine without IPv6 may return this error for one of its addresses.
        let of_no_kind = || Error::from(ErrorKind::AddrNotAvailable);
        for (one, other, expected) in [
            (shortage(), refused(), ErrorKind::OutOfMemory),
            (refused(), shortage(), ErrorKind::OutOfMemory),
            (of_no_kind(), refused(), ErrorKind::ConnectionRefused),
        ] {
            assert_eq!(more_relevant(one, other).kind(), expected);
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_told_from_one_that_does() {
        // No label may have this length, so no server is queried.
        let nameless = "n".repeat(64);
        let error = connect(&nameless, 1, LONG).await.unwrap_err();
        assert!(matches!(error, ConnectError::Resolve { name, .. } if name == nameless));
        let port = refusing().await.port();
        let error = connect("localhost", port, LONG).await.unwrap_err();
        assert!(matches!(error, ConnectError::Open { .. }));
    }
}
