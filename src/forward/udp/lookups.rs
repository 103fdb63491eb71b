//! The resolved addresses of members with names: [`AddressLookups`] resolves them in the
//! background, so that no datagram waits for a name that was resolved before.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::connected_socket::{OpenFailure, ResolvedAddresses};
use super::flow_context::nanos;
use crate::member::Cause;
use crate::net::{ConnectError, lookup};
use crate::timer::timeout;

/// The age at which addresses are resolved again.
const FRESH: Duration = Duration::from_secs(10);

/// The delay before a failed name is resolved again.
const FAILED: Duration = Duration::from_secs(1);

/// The time limit for resolving a name.
const LIMIT: Duration = Duration::from_secs(5);

/// Names that were not used for this time are removed.
const UNUSED: Duration = Duration::from_secs(600);

/// A name and a port.
type HostPort = (Arc<str>, u16);

/// The known names, and those that are being resolved. Times are nanoseconds since a moment
/// that the caller chooses.
#[derive(Debug, Default)]
pub(super) struct AddressLookups {
    known: HashMap<HostPort, KnownName>,
    running: JoinSet<(HostPort, Result<Vec<SocketAddr>, Failed>)>,
}

#[derive(Debug)]
struct KnownName {
    /// `None` until it is resolved for the first time.
    found: Option<Result<Vec<SocketAddr>, Failed>>,
    /// Addresses that have refused datagrams, the latest at the end.
    refused: Vec<SocketAddr>,
    /// When it is resolved again.
    due: u64,
    is_running: bool,
    used: u64,
}

#[derive(Clone, Copy, Debug)]
enum Failed {
    /// The name has no address, or the resolver failed.
    Name,
    /// This machine has no descriptor left for the lookup.
    Shortage,
}

impl AddressLookups {
    /// Returns the addresses of a name. If they are old, it is resolved again in the
    /// background.
    ///
    /// # Errors
    ///
    /// Fails if there are none yet, or if the name does not resolve.
    pub(super) fn find(
        &mut self,
        host: &Arc<str>,
        port: u16,
        now: u64,
    ) -> Result<ResolvedAddresses<'_>, OpenFailure> {
        let key = (host.clone(), port);
        if !self.known.contains_key(&key) {
            let unused = nanos(UNUSED);
            self.known
                .retain(|_, it| it.is_running || it.used.saturating_add(unused) > now);
        }
        let known = self.known.entry(key.clone()).or_insert(KnownName {
            found: None,
            refused: Vec::new(),
            due: now,
            is_running: false,
            used: now,
        });
        known.used = now;
        if known.due <= now && !known.is_running {
            known.is_running = true;
            self.running.spawn(resolve(key));
        }
        match &known.found {
            Some(Ok(addresses)) => Ok(ResolvedAddresses {
                addresses,
                unrefused: addresses.len().saturating_sub(known.refused.len()),
            }),
            // Another lookup is running, which may succeed.
            Some(Err(_)) if known.is_running => Err(OpenFailure::Resolving),
            Some(Err(Failed::Name)) => Err(OpenFailure::Member(Cause::Unresolved)),
            Some(Err(Failed::Shortage)) => Err(OpenFailure::Shortage),
            None => Err(OpenFailure::Resolving),
        }
    }

    /// Resolves when a lookup has ended; never, if none is running.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no result is lost.
    pub(super) async fn next(&mut self, now: impl Fn() -> u64) {
        let Some(ended) = self.running.join_next().await else {
            return std::future::pending().await;
        };
        // Lookup tasks neither panic nor are cancelled while `self` exists.
        let Ok((key, found)) = ended else { return };
        let Some(known) = self.known.get_mut(&key) else {
            return;
        };
        known.is_running = false;
        let again = if found.is_ok() { FRESH } else { FAILED };
        known.due = now().saturating_add(nanos(again));
        // A name that was resolved once keeps its addresses while the resolver fails.
        if found.is_ok() || !matches!(known.found, Some(Ok(_))) {
            known.found = Some(found);
            known.order();
        }
    }

    /// Moves an address that has refused datagrams behind the other addresses of its names.
    pub(super) fn refused(&mut self, address: SocketAddr) {
        for known in self.known.values_mut() {
            let Some(Ok(addresses)) = &known.found else {
                continue;
            };
            if addresses.contains(&address) {
                known.refused.retain(|it| *it != address);
                known.refused.push(address);
                known.order();
            }
        }
    }
}

impl KnownName {
    /// Sorts addresses that have refused datagrams behind the others, the latest last.
    fn order(&mut self) {
        let Some(Ok(addresses)) = &mut self.found else {
            return;
        };
        self.refused.retain(|it| addresses.contains(it));
        addresses.sort_by_key(|it| {
            let place = self.refused.iter().position(|refused| refused == it);
            place.map_or(0, |place| place + 1)
        });
    }
}

async fn resolve(key: HostPort) -> (HostPort, Result<Vec<SocketAddr>, Failed>) {
    let found = match timeout(LIMIT, lookup(&key.0, key.1)).await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(Failed::Name),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(Failed::Name),
    };
    (key, found)
}

fn failed(error: &ConnectError) -> Failed {
    if error.is_exhaustion() {
        return Failed::Shortage;
    }
    Failed::Name
}

#[cfg(test)]
mod tests {
    use super::{AddressLookups, FRESH, KnownName, OpenFailure, UNUSED, nanos};
    use std::net::SocketAddr;
    use std::sync::Arc;

    fn found(
        lookups: &mut AddressLookups,
        host: &str,
        now: u64,
    ) -> Result<Vec<SocketAddr>, OpenFailure> {
        let found = lookups.find(&host.into(), 53, now);
        found.map(|it| it.addresses.to_vec())
    }

    #[tokio::test]
    async fn a_name_is_resolved_once_and_then_known_while_it_is_resolved_again() {
        let mut lookups = AddressLookups::default();
        for _ in 0..3 {
            let later = found(&mut lookups, "localhost", 0);
            assert!(matches!(later, Err(OpenFailure::Resolving)));
        }
        assert_eq!(lookups.running.len(), 1);
        lookups.next(|| 0).await;
        let addresses = found(&mut lookups, "localhost", 1).unwrap();
        assert!(addresses.iter().all(|it| it.ip().is_loopback()));
        assert!(!addresses.is_empty() && lookups.running.is_empty());
        let old = nanos(FRESH);
        assert_eq!(found(&mut lookups, "localhost", old).unwrap(), addresses);
        assert_eq!(lookups.running.len(), 1);
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_the_members_failure_and_is_tried_again() {
        let mut lookups = AddressLookups::default();
        found(&mut lookups, "none.invalid", 0).unwrap_err();
        lookups.next(|| 0).await;
        let failed = found(&mut lookups, "none.invalid", 1);
        assert!(matches!(failed, Err(OpenFailure::Member(_))), "{failed:?}");
        let later = found(&mut lookups, "none.invalid", nanos(FRESH));
        assert!(matches!(later, Err(OpenFailure::Resolving)));
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_tried_after_the_others_also_once_resolved_again() {
        let mut lookups = AddressLookups::default();
        let host: Arc<str> = "api".into();
        let [a, b, c] = ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"].map(|it| it.parse().unwrap());
        let known = |found: Vec<SocketAddr>| KnownName {
            found: Some(Ok(found)),
            refused: Vec::new(),
            due: u64::MAX,
            is_running: false,
            used: 0,
        };
        lookups.known.insert((host.clone(), 53), known(vec![a, b]));
        let mut after = |refused: Option<SocketAddr>| {
            if let Some(refused) = refused {
                lookups.refused(refused);
            }
            let found = lookups.find(&host, 53, 0).unwrap();
            (found.addresses.to_vec(), found.unrefused)
        };
        assert_eq!(after(None), (vec![a, b], 2));
        assert_eq!(after(Some(a)), (vec![b, a], 1));
        assert_eq!(after(Some(a)), (vec![b, a], 1));
        assert_eq!(after(Some(c)), (vec![b, a], 1));
        assert_eq!(after(Some(b)), (vec![a, b], 0));
        assert_eq!(after(Some(a)), (vec![b, a], 0));

        let known = lookups.known.get_mut(&(host, 53)).unwrap();
        known.found = Some(Ok(vec![a, c]));
        known.order();
        let found = lookups.find(&"api".into(), 53, 0).unwrap();
        assert_eq!((found.addresses, found.unrefused), (&[c, a][..], 1));
    }

    #[tokio::test]
    async fn names_that_are_used_no_more_are_forgotten() {
        let mut lookups = AddressLookups::default();
        for number in 0..5 {
            let host: Arc<str> = format!("localhost{number}").into();
            let now = number * nanos(UNUSED);
            let _ = lookups.find(&host, 53, now);
            lookups.next(|| now).await;
        }
        assert_eq!(lookups.known.len(), 1);
    }
}
