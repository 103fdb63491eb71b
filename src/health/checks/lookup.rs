//! Looks up names for checks, with bounds: [`BoundedLookups`].
//!
//! The system looks up a name on a thread of the runtime, and a lookup cannot be cancelled.
//! If the name servers do not respond, a lookup takes longer than a check may take. Two
//! bounds keep lookups from piling up. A member has one lookup at a time; its next check
//! waits for the same lookup if the name has not changed. All members of the program share
//! a limited number of lookups, which leaves threads to the rest of the program. Members
//! whose last lookup exceeded its time have separate permits: they delay other members
//! once, and not again. A member without a permit is checked at the addresses found last.
//!
//! What does not live here: the lookup itself (`net`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::ProbeError;
use crate::net::{ConnectError, lookup};
use crate::sync::Mutex;
use crate::timer::timeout_at;

/// Out of the 512 blocking threads that a runtime has by default.
const MAX_LOOKUPS: usize = 48;
/// The same, for names whose last lookup exceeded its time.
const MAX_SLOW_LOOKUPS: usize = 16;

/// Limits the number of concurrent lookups.
#[derive(Clone)]
struct Permits {
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Permits {
    fn new() -> Self {
        Self {
            quick: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            slow: Arc::new(Semaphore::new(MAX_SLOW_LOOKUPS)),
        }
    }
}

/// Shared by all balancers: the threads belong to the program.
static PERMITS: LazyLock<Permits> = LazyLock::new(Permits::new);

type LookupResult = Result<Vec<SocketAddr>, ConnectError>;
type Looking = Pin<Box<dyn Future<Output = LookupResult> + Send>>;

/// Looks up names; the number of concurrent lookups is bounded.
pub(super) struct BoundedLookups {
    permits: Permits,
    look_up: Box<dyn Fn(Arc<str>, u16) -> Looking + Send + Sync>,
}

/// A host name and a port.
type NamedPort = (Arc<str>, u16);

/// The lookup state of one member's checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    lookup: Option<Lookup>,
    /// The addresses that the last lookup has found.
    last: Option<(NamedPort, Arc<[SocketAddr]>)>,
    /// The last lookup took longer than a check.
    was_slow: bool,
}

/// A lookup with its name and port: the member's name or port may have changed by its next
/// check.
#[derive(Debug)]
struct Lookup {
    of: NamedPort,
    task: JoinHandle<LookupResult>,
}

impl BoundedLookups {
    /// Uses the system's resolver.
    pub(super) fn new() -> Self {
        let look_up = |name: Arc<str>, port| -> Looking {
            Box::pin(async move { lookup(&name, port).await })
        };
        Self {
            permits: PERMITS.clone(),
            look_up: Box::new(look_up),
        }
    }

    #[cfg(test)]
    fn by(look_up: impl Fn(Arc<str>, u16) -> Looking + Send + Sync + 'static) -> Self {
        Self {
            permits: Permits::new(),
            look_up: Box::new(look_up),
        }
    }

    /// Finds the addresses of a member. If the wait is cancelled, the member's next check
    /// continues it.
    pub(super) async fn find(
        &self,
        (name, port): (&Arc<str>, u16),
        pending: &Pending,
        until: Instant,
    ) -> Result<Arc<[SocketAddr]>, ProbeError> {
        if let Ok(address) = name.parse::<IpAddr>() {
            // An address needs no lookup, and thus no permit.
            return Ok([SocketAddr::new(address, port)].into());
        }
        let (known, last, was_slow) = {
            let mut known = pending.known.lock();
            let last = known.last.as_ref();
            let last = last.filter(|((of, at), _)| of == name && *at == port);
            let last = last.map(|(_, found)| found.clone());
            (known.lookup.take(), last, known.was_slow)
        };
        let lookup = match known.filter(|it| *it.of.0 == **name && it.of.1 == port) {
            Some(lookup) => lookup,
            None => {
                let permits = if was_slow {
                    &self.permits.slow
                } else {
                    &self.permits.quick
                };
                // Most of the time limit is for the check itself.
                let now = Instant::now();
                let patience = match last {
                    Some(_) => now + until.saturating_duration_since(now) / 4,
                    None => until,
                };
                let permit = timeout_at(patience, permits.clone().acquire_owned()).await;
                let Ok(Ok(permit)) = permit else {
                    let words = "no lookup could start in time: too many are running";
                    return last.ok_or_else(|| ProbeError::from(words).inconclusive());
                };
                pending.known.lock().was_slow = false;
                let looking = (self.look_up)(name.clone(), port);
                let task = tokio::spawn(async move {
                    let found = looking.await;
                    drop(permit);
                    found
                });
                Lookup {
                    of: (name.clone(), port),
                    task,
                }
            }
        };
        let waiting = PendingLookup {
            lookup: Some(lookup),
            pending,
        };
        let Some(found) = waiting.await else {
            return Err(
                ProbeError::from("the lookup of the member's name was cancelled").inconclusive(),
            );
        };
        let found = found.map(Arc::<[SocketAddr]>::from);
        let last = found.as_ref().ok();
        let last = last.map(|found| ((name.clone(), port), found.clone()));
        pending.known.lock().last = last;
        Ok(found?)
    }
}

/// Waits for a lookup; if dropped early, it leaves the lookup to the member's next check.
struct PendingLookup<'p> {
    lookup: Option<Lookup>,
    pending: &'p Pending,
}

impl Future for PendingLookup<'_> {
    type Output = Option<LookupResult>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<LookupResult>> {
        let Some(lookup) = &mut self.lookup else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut lookup.task).poll(context);
        if polled.is_ready() {
            self.lookup = None;
        }
        polled.map(Result::ok)
    }
}

impl Drop for PendingLookup<'_> {
    fn drop(&mut self) {
        if let Some(lookup) = self.lookup.take() {
            let mut known = self.pending.known.lock();
            known.lookup = Some(lookup);
            known.was_slow = true;
        }
    }
}

impl fmt::Debug for BoundedLookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedLookups").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{BoundedLookups, MAX_LOOKUPS, MAX_SLOW_LOOKUPS, Pending};
    use crate::sync::{AtomicU32, SeqCst};
    use crate::timer::timeout;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::Notify;
    use tokio::time::Instant;

    /// Lookups that hang until they are notified, and how many have begun.
    fn hanging() -> (BoundedLookups, Arc<AtomicU32>, Arc<Notify>) {
        let (begun, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (counted, held) = (begun.clone(), go_on.clone());
        let lookups = BoundedLookups::by(move |_, port| {
            counted.fetch_add(1, SeqCst);
            let held = held.clone();
            Box::pin(async move {
                held.notified().await;
                Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
            })
        });
        (lookups, begun, go_on)
    }

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_checks_of_a_member_wait_for_one_lookup_of_its_name() {
        let (lookups, begun, go_on) = hanging();
        let (name, pending) = (Arc::from("db.internal"), Pending::default());
        let find = || lookups.find((&name, 7), &pending, Instant::now() + LIMIT);
        for _ in 0..5 {
            assert!(timeout(LIMIT, find()).await.is_err());
        }
        assert_eq!(begun.load(SeqCst), 1, "they do not pile up");
        go_on.notify_one();
        let found = timeout(LIMIT, find()).await.unwrap().unwrap();
        assert_eq!(found.first().unwrap().port(), 7);
        // The next one looks it up again.
        assert!(timeout(LIMIT, find()).await.is_err());
        assert_eq!(begun.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_without_a_permit_are_inconclusive() {
        let (lookups, begun, go_on) = hanging();
        let name = Arc::from("db.internal");
        let members: Vec<_> = (0..=MAX_LOOKUPS).map(|_| Pending::default()).collect();
        for pending in &members[..MAX_LOOKUPS] {
            let find = lookups.find((&name, 7), pending, Instant::now() + LIMIT);
            assert!(timeout(LIMIT, find).await.is_err());
        }
        let find = || lookups.find((&name, 7), &members[MAX_LOOKUPS], Instant::now() + LIMIT);
        let error = timeout(LIMIT, find()).await.unwrap().unwrap_err();
        assert!(error.is_inconclusive());
        assert_eq!(begun.load(SeqCst), 48);
        let plain = Arc::from("::1");
        let found = lookups.find((&plain, 7), &members[MAX_LOOKUPS], Instant::now() + LIMIT);
        assert_eq!(found.await.unwrap()[..], ["[::1]:7".parse().unwrap()]);
        go_on.notify_waiters();
        tokio::task::yield_now().await;
        go_on.notify_one();
        assert!(timeout(LIMIT, find()).await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_another_name_are_not_used() {
        let (lookups, begun, go_on) = hanging();
        let pending = Pending::default();
        let (old, new) = (Arc::from("old.internal"), Arc::from("new.internal"));
        let until = || Instant::now() + LIMIT;
        let find = lookups.find((&old, 7), &pending, until());
        assert!(timeout(LIMIT, find).await.is_err());
        // The member now has another payload, and then one with another port.
        for (name, port, all) in [(&new, 7, 2), (&new, 8, 3)] {
            let find = lookups.find((name, port), &pending, until());
            assert!(timeout(LIMIT, find).await.is_err());
            assert_eq!(begun.load(SeqCst), all);
        }
        go_on.notify_waiters();
        let found = lookups.find((&new, 8), &pending, until()).await.unwrap();
        assert_eq!(found.first().unwrap().port(), 8);
        assert_eq!(begun.load(SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_hang_again_leave_threads_to_others() {
        let (lookups, begun, go_on) = hanging();
        let name = Arc::from("db.internal");
        let members: Vec<_> = (0..MAX_LOOKUPS).map(|_| Pending::default()).collect();
        let give_up = async |pending: &Pending| {
            let find = lookups.find((&name, 7), pending, Instant::now() + LIMIT);
            timeout(LIMIT, find).await.is_err()
        };
        for pending in &members {
            assert!(give_up(pending).await, "all of them hang at first");
        }
        go_on.notify_waiters();
        tokio::task::yield_now().await;
        for pending in &members {
            let find = lookups.find((&name, 7), pending, Instant::now() + LIMIT);
            assert!(find.await.is_ok(), "found meanwhile");
        }
        begun.store(0, SeqCst);
        for pending in &members[..MAX_SLOW_LOOKUPS] {
            assert!(give_up(pending).await);
        }
        assert!(
            !give_up(&members[MAX_SLOW_LOOKUPS]).await,
            "it finds no permit"
        );
        assert_eq!(begun.load(SeqCst), 16);
        // Others do, as many as before.
        for _ in 0..MAX_LOOKUPS {
            assert!(give_up(&Pending::default()).await);
        }
        assert_eq!(begun.load(SeqCst), 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_without_a_permit_is_checked_at_its_last_addresses() {
        let (lookups, begun, go_on) = hanging();
        let name = Arc::from("db.internal");
        let known = Pending::default();
        let find = |port| {
            let (lookups, name, known) = (&lookups, &name, &known);
            async move {
                let until = Instant::now() + LIMIT;
                lookups.find((name, port), known, until).await
            }
        };
        go_on.notify_one();
        let first = timeout(LIMIT, find(7)).await.unwrap().unwrap();
        for _ in 0..MAX_LOOKUPS {
            let other = Pending::default();
            let find = lookups.find((&name, 7), &other, Instant::now() + LIMIT);
            assert!(timeout(LIMIT, find).await.is_err());
        }
        let began = Instant::now();
        assert_eq!(find(7).await.unwrap(), first);
        assert_eq!(began.elapsed(), LIMIT / 4, "most of the time is left");
        assert_eq!(begun.load(SeqCst), 49);
        // It does not apply to another port.
        assert!(find(8).await.unwrap_err().is_inconclusive());
    }
}
