//! Datagrams that wait until the name of a member is resolved: [`Held`].

use super::flow_key::FlowKey;

/// So many may wait.
const MOST: usize = 256;

/// So many bytes may wait.
const MOST_BYTES: usize = 512 * 1024;

/// A datagram that waits, with the lease of the member that was elected for it; `None` if that
/// is for an earlier one of its flow to have.
type Waiting<L> = (FlowKey, Box<[u8]>, Option<L>);

/// The datagrams that wait, in their order.
#[derive(Debug)]
pub(super) struct Held<L> {
    datagrams: Vec<Waiting<L>>,
    bytes: usize,
}

impl<L> Held<L> {
    pub(super) fn new() -> Self {
        Self {
            datagrams: Vec::new(),
            bytes: 0,
        }
    }

    /// Whether a datagram of that flow waits.
    pub(super) fn has(&self, key: FlowKey) -> bool {
        self.datagrams.iter().any(|(of, _, _)| *of == key)
    }

    /// Keeps a datagram.
    ///
    /// # Errors
    ///
    /// The lease, if there is no room.
    pub(super) fn keep(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        lease: Option<L>,
    ) -> Result<(), Option<L>> {
        let bytes = self.bytes + datagram.len();
        if self.datagrams.len() >= MOST || bytes > MOST_BYTES {
            return Err(lease);
        }
        self.datagrams.push((key, datagram.into(), lease));
        self.bytes = bytes;
        Ok(())
    }

    /// Takes all that wait.
    pub(super) fn take(&mut self) -> Vec<Waiting<L>> {
        self.bytes = 0;
        std::mem::take(&mut self.datagrams)
    }
}

#[cfg(test)]
mod tests {
    use super::{FlowKey, Held, MOST, MOST_BYTES};
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn no_more_datagrams_and_no_more_bytes_wait_than_may() {
        let key = FlowKey {
            client: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            local: None,
        };
        let mut held = Held::new();
        assert!(!held.has(key));
        for _ in 0..MOST {
            assert_eq!(held.keep(key, b"short", None), Ok(()));
        }
        assert!(held.has(key));
        assert_eq!(held.keep(key, b"short", Some("lease")), Err(Some("lease")));
        assert_eq!(held.take().len(), MOST);
        let long = [0; 65_507];
        let fits = MOST_BYTES / long.len();
        for _ in 0..fits {
            assert_eq!(held.keep(key, &long, Some("lease")), Ok(()));
        }
        assert_eq!(held.keep(key, &long, None), Err(None));
        assert_eq!(held.keep(key, b"short", None), Ok(()));
        assert_eq!(held.take().len(), fits + 1);
    }
}
