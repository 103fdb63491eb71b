//! One destination of heartbeats, with its socket and its signatures:
//! [`HeartbeatDestination`].

use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::socket::{self, Multicast};
use crate::heartbeat::signature::{HeartbeatKey, Stamp};
use crate::heartbeat::{HeartbeatMessage, wall_clock};
use crate::random::Random;

/// A clock may be set back by this many milliseconds without a new sender number.
const MAX_CLOCK_STEP_BACK: u64 = 1_000;

pub(super) struct HeartbeatDestination {
    address: SocketAddr,
    way: Multicast,
    /// `None` before the first message, and after an error: network interfaces come and go.
    socket: Option<UdpSocket>,
    signer: Option<Signer>,
}

struct Signer {
    key: HeartbeatKey,
    /// Another number for each destination: each gets other messages, possibly from another
    /// address.
    instance: u64,
    last: u64,
}

impl HeartbeatDestination {
    pub(super) fn new(address: SocketAddr, way: Multicast, key: Option<HeartbeatKey>) -> Self {
        let signer = key.map(|key| Signer {
            key,
            instance: Random::from_entropy().next_u64(),
            last: 0,
        });
        Self {
            address,
            way,
            socket: None,
            signer,
        }
    }

    /// Sends a message without waiting: a message that cannot be sent now would be late.
    pub(super) fn send(&mut self, message: HeartbeatMessage) -> io::Result<()> {
        let mut text = message.to_string();
        if let Some(signer) = &mut self.signer {
            signer.sign(&mut text, wall_clock::millis());
        }
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket::sending(self.address, self.way)?,
        };
        socket.send_to(text.as_bytes(), self.address)?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Signer {
    fn sign(&mut self, text: &mut String, now: u64) {
        let next = self.last.saturating_add(1);
        if next.saturating_sub(now) > MAX_CLOCK_STEP_BACK {
            // The clock was ahead, and was set back. A monitor would refuse all times until
            // the clock has caught up, because it accepts each time of a sender only once.
            // A new number avoids that.
            self.instance = Random::from_entropy().next_u64();
            self.last = now;
        } else {
            self.last = now.max(next);
        }
        let stamp = Stamp {
            time: self.last,
            instance: self.instance,
        };
        self.key.sign(text, stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;
    use crate::heartbeat::HeartbeatKey;
    use crate::heartbeat::signature::{Replays, Unacceptable};

    #[test]
    fn the_times_of_a_sender_grow_even_if_its_clock_is_set_back() {
        let key = HeartbeatKey::new(b"key");
        let mut signer = Signer {
            key: key.clone(),
            instance: 1,
            last: 0,
        };
        let mut time_of = |now| {
            let mut text = String::from("v=1&ready=1&busy=1");
            signer.sign(&mut text, now);
            key.verify(text.as_bytes()).unwrap().time
        };
        assert_eq!(time_of(1_000), 1_000);
        assert_eq!(time_of(1_000), 1_001);
        assert_eq!(time_of(500), 1_002);
        assert_eq!(time_of(2_000), 2_000);
    }

    #[test]
    fn a_sender_whose_clock_was_an_hour_ahead_is_accepted_as_soon_as_it_is_right() {
        let key = HeartbeatKey::new(b"key");
        let mut signer = Signer {
            key: key.clone(),
            instance: 1,
            last: 0,
        };
        let (mut replays, here) = (Replays::new(30_000), [10, 0, 0, 1].into());
        let mut accepted = |clock: u64, now| {
            let mut text = String::from("v=1&ready=1&busy=1");
            signer.sign(&mut text, clock);
            let stamp = key.verify(text.as_bytes()).unwrap();
            replays.accept(stamp, here, now)
        };
        let (now, ahead) = (10_000_000, 3_600_000);
        assert_eq!(accepted(now, now), Ok(()));
        assert_eq!(
            accepted(now + ahead, now + 1_000),
            Err(Unacceptable::Outdated)
        );
        for passed in [2_000, 3_000, 3_000, 4_000] {
            assert_eq!(accepted(now + passed, now + passed), Ok(()), "{passed}");
        }
    }
}
