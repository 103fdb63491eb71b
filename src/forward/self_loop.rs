//! Detecting that a member is the forwarder itself, which would create a loop:
//! [`is_forwarder_itself`].

use std::net::{IpAddr, SocketAddr};

use crate::member::Cause;

/// Returns whether traffic sent to a member would return to the forwarder that listens at
/// `here`. `own` is the local address of the connection.
pub(super) fn is_forwarder_itself(to: SocketAddr, own: IpAddr, here: SocketAddr) -> bool {
    let (to_ip, here_ip) = (to.ip().to_canonical(), here.ip().to_canonical());
    let is_own = to_ip.is_loopback() || to_ip.is_unspecified() || to_ip == own.to_canonical();
    to.port() == here.port() && (to_ip == here_ip || (here_ip.is_unspecified() && is_own))
}

/// Returns the cause of that failure.
pub(super) fn self_loop_cause() -> Cause {
    "the member is the forwarder itself".into()
}

#[cfg(test)]
mod tests {
    use super::is_forwarder_itself;

    #[test]
    fn a_member_that_is_the_forwarder_itself_is_recognised() {
        for (to, own, here, expected) in [
            ("127.0.0.1:53", "127.0.0.1", "127.0.0.1:53", true),
            ("127.0.0.1:53", "127.0.0.1", "0.0.0.0:53", true),
            ("127.0.0.1:53", "127.0.0.1", "[::]:53", true),
            ("10.0.0.1:53", "10.0.0.1", "0.0.0.0:53", true),
            ("127.0.0.1:54", "127.0.0.1", "0.0.0.0:53", false),
            ("10.0.0.2:53", "10.0.0.1", "0.0.0.0:53", false),
            ("127.0.0.2:53", "127.0.0.1", "127.0.0.1:53", false),
        ] {
            let (to, own) = (to.parse().unwrap(), own.parse().unwrap());
            let here = here.parse().unwrap();
            assert_eq!(
                is_forwarder_itself(to, own, here),
                expected,
                "{to} with {own}"
            );
        }
    }
}
