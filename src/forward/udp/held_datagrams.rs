//! Datagrams that wait until the name of a member is resolved: [`HeldDatagrams`].

use super::flow_key::FlowKey;

/// The maximum number of waiting datagrams.
const MOST: usize = 256;

/// The maximum number of waiting datagrams of one flow.
const MOST_OF_FLOW: usize = 8;

/// The maximum number of waiting bytes.
const MOST_BYTES: usize = 512 * 1024;

/// A waiting datagram, with the lease of the member that was picked for it; `None` if an
/// earlier datagram of its flow has the lease.
type WaitingDatagram<L> = (FlowKey, Box<[u8]>, Option<L>);

/// The waiting datagrams, in order of arrival.
#[derive(Debug)]
pub(super) struct HeldDatagrams<L> {
    datagrams: Vec<WaitingDatagram<L>>,
    bytes: usize,
}

impl<L> HeldDatagrams<L> {
    pub(super) fn new() -> Self {
        Self {
            datagrams: Vec::new(),
            bytes: 0,
        }
    }

    /// Returns whether a datagram of that flow waits.
    pub(super) fn has(&self, key: FlowKey) -> bool {
        self.of(key).next().is_some()
    }

    fn of(&self, key: FlowKey) -> impl Iterator<Item = &WaitingDatagram<L>> {
        self.datagrams.iter().filter(move |(of, _, _)| *of == key)
    }

    /// Keeps a datagram.
    ///
    /// # Errors
    ///
    /// Returns the lease, if there is no room.
    pub(super) fn keep(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        lease: Option<L>,
    ) -> Result<(), Option<L>> {
        let bytes = self.bytes + datagram.len();
        let is_full = self.datagrams.len() >= MOST || bytes > MOST_BYTES;
        if is_full || self.of(key).count() >= MOST_OF_FLOW {
            return Err(lease);
        }
        self.datagrams.push((key, datagram.into(), lease));
        self.bytes = bytes;
        Ok(())
    }

    /// Takes all waiting datagrams.
    pub(super) fn take(&mut self) -> Vec<WaitingDatagram<L>> {
        self.bytes = 0;
        std::mem::take(&mut self.datagrams)
    }
}

#[cfg(test)]
mod tests {
    use super::{FlowKey, HeldDatagrams, MOST, MOST_BYTES, MOST_OF_FLOW};
    use std::net::{Ipv4Addr, SocketAddr};

    fn key(port: usize) -> FlowKey {
        FlowKey {
            client: SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap())),
            local: None,
        }
    }

    #[test]
    fn no_more_datagrams_and_no_more_bytes_wait_than_may() {
        let mut held = HeldDatagrams::new();
        assert!(!held.has(key(1)));
        for number in 0..MOST {
            assert_eq!(held.keep(key(number), b"short", None), Ok(()));
        }
        assert!(held.has(key(1)));
        let kept = held.keep(key(MOST), b"short", Some("lease"));
        assert_eq!(kept, Err(Some("lease")));
        assert_eq!(held.take().len(), MOST);
        let long = [0; 65_507];
        let fits = MOST_BYTES / long.len();
        for number in 0..fits {
            assert_eq!(held.keep(key(number), &long, Some("lease")), Ok(()));
        }
        assert_eq!(held.keep(key(fits), &long, None), Err(None));
        assert_eq!(held.keep(key(fits), b"short", None), Ok(()));
        assert_eq!(held.take().len(), fits + 1);
    }

    #[test]
    fn a_flow_leaves_room_for_others() {
        let mut held = HeldDatagrams::new();
        for _ in 0..MOST_OF_FLOW {
            assert_eq!(held.keep(key(1), b"short", None), Ok(()));
        }
        assert_eq!(
            held.keep(key(1), b"short", Some("lease")),
            Err(Some("lease"))
        );
        assert_eq!(held.keep(key(2), b"short", None), Ok(()));
        assert_eq!(held.take().len(), MOST_OF_FLOW + 1);
        assert_eq!(held.keep(key(1), b"short", None), Ok(()));
    }
}
