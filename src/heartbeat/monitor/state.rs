//! The shared state of a monitor: [`MonitorState`].
//!
//! No other lock is taken under its locks: balancers may run schedulers and clocks of the
//! caller, and are called outside them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::error::ReportError;
use super::followed::Followed;
use super::index::{AddressIndex, FollowedMember};
use super::member_address::MemberAddress;
use super::senders::{ReportResult, Senders};
use super::statistics::HeartbeatStatistics;
use crate::clock::{Clock, Timestamp};
use crate::heartbeat::signature::{HeartbeatKey, Replays};
use crate::heartbeat::{HeartbeatMessage, HeartbeatRecord, SenderId, wall_clock};
use crate::scheduler::HeartbeatReading;
use crate::sync::Mutex;

/// Is called for dropped reports.
pub(super) type OnDropped = dyn Fn(IpAddr, &ReportError) + Send + Sync;

pub(super) struct MonitorState {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) forget_after: Duration,
    pub(super) key: Option<HeartbeatKey>,
    pub(super) replays: Mutex<Replays>,
    pub(super) state: Mutex<Tables>,
    pub(super) statistics: HeartbeatStatistics,
    pub(super) on_dropped: Option<Box<OnDropped>>,
    /// The time between lookups of names.
    pub(super) lookup_interval: Duration,
    /// Is notified when a name without addresses was added.
    pub(super) named: Notify,
}

pub(super) struct Tables {
    pub(super) senders: Senders,
    pub(super) index: AddressIndex,
    pub(super) groups: HashMap<u64, Arc<dyn Followed>>,
    pub(super) next_group: u64,
}

/// A report on its way to a member's balancer.
struct Delivery {
    group: Arc<dyn Followed>,
    name: Arc<str>,
    reading: HeartbeatReading,
    age: Duration,
}

impl Tables {
    fn delivery(
        &self,
        target: FollowedMember,
        reading: HeartbeatReading,
        age: Duration,
    ) -> Option<Delivery> {
        let group = self.groups.get(&target.group)?.clone();
        Some(Delivery {
            group,
            name: target.name,
            reading,
            age,
        })
    }

    /// Returns the reports that arrived before a member had these addresses.
    fn earlier_reports(
        &self,
        target: &FollowedMember,
        keys: Vec<SenderId>,
        now: Timestamp,
    ) -> Option<Delivery> {
        let latest = keys.into_iter().flat_map(|key| {
            let without_port = SenderId::new(key.ip(), None);
            [
                self.senders.latest(without_port, now),
                self.senders.latest(key, now),
            ]
        });
        // The latest of all, from any of its addresses.
        let (message, age) = latest.flatten().min_by_key(|&(_, age)| age)?;
        self.delivery(target.clone(), message.reading(), age)
    }
}

fn deliver(deliveries: Vec<Delivery>) {
    for it in deliveries {
        it.group.report(&it.name, it.reading, it.age);
    }
}

impl MonitorState {
    /// The time that measures the age of reports. It is ahead of the clock, which gives
    /// reports from before the start of the clock a time, too.
    fn now(&self) -> Timestamp {
        self.clock.now() + self.forget_after
    }

    /// Handles a report that arrived `age` ago.
    pub(super) fn take(
        &self,
        sender: SenderId,
        message: HeartbeatMessage,
        age: Duration,
    ) -> Result<(), ReportError> {
        if age >= self.forget_after {
            return Ok(());
        }
        let now = self.now();
        let age_nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let at = Timestamp::from_nanos(now.as_nanos().saturating_sub(age_nanos));
        let deliveries = {
            let mut state = self.state.lock();
            let targets = state.index.targets(sender);
            let is_member = !targets.is_empty();
            match state.senders.take(sender, (message, at), is_member, now) {
                ReportResult::Full => return Err(ReportError::Full),
                ReportResult::Outrun => return Ok(()),
                ReportResult::Newest => {}
            }
            let deliveries = targets.into_iter();
            deliveries
                .filter_map(|target| state.delivery(target, message.reading(), age))
                .collect()
        };
        deliver(deliveries);
        Ok(())
    }

    /// Verifies the signature if there is a key.
    pub(super) fn verify(&self, from: IpAddr, bytes: &[u8]) -> Result<(), ReportError> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let stamp = key.verify(bytes)?;
        let mut replays = self.replays.lock();
        replays.accept(stamp, from, wall_clock::millis())?;
        Ok(())
    }

    /// Counts the result of a report, and calls the closure for a dropped one.
    pub(super) fn counted<T>(
        &self,
        from: IpAddr,
        result: Result<T, ReportError>,
    ) -> Result<T, ReportError> {
        match &result {
            Ok(_) => self.statistics.count_accepted(),
            Err(error) => {
                self.statistics.count_dropped(error);
                if let Some(on_dropped) = &self.on_dropped {
                    on_dropped(from, error);
                }
            }
        }
        result
    }

    pub(super) fn records(&self) -> Vec<HeartbeatRecord> {
        let now = self.now();
        self.state.lock().senders.records(now)
    }

    /// Adds a balancer.
    pub(super) fn add(&self, group: Arc<dyn Followed>) -> u64 {
        let mut state = self.state.lock();
        let number = state.next_group;
        state.next_group += 1;
        state.groups.insert(number, group);
        number
    }

    pub(super) fn remove(&self, number: u64) {
        // Dropped outside the lock.
        let _group = {
            let mut state = self.state.lock();
            state.index.retain(number, |_| false);
            state.groups.remove(&number)
        };
    }

    /// Reads the addresses of one member, if it exists.
    pub(super) fn look_at(&self, number: u64, name: &Arc<str>) {
        let group = self.state.lock().groups.get(&number).cloned();
        let Some(group) = group else { return };
        let located = group.locate(name);
        self.put(number, name, located);
    }

    /// Reads the addresses of all members of all balancers.
    pub(super) fn look_at_all(&self) {
        let groups: Vec<(u64, Arc<dyn Followed>)> = {
            let state = self.state.lock();
            let groups = state.groups.iter();
            groups
                .map(|(&number, group)| (number, group.clone()))
                .collect()
        };
        for (number, group) in groups {
            let Some(located) = group.locate_all() else {
                self.remove(number);
                continue;
            };
            let names: HashSet<Arc<str>> = located.iter().map(|(name, _)| name.clone()).collect();
            for (name, addresses) in located {
                self.put(number, &name, Some(addresses));
            }
            let mut state = self.state.lock();
            state.index.retain(number, |name| names.contains(name));
        }
    }

    fn put(&self, number: u64, name: &Arc<str>, located: Option<Vec<MemberAddress>>) {
        let target = FollowedMember {
            group: number,
            name: name.clone(),
        };
        let now = self.now();
        let mut has_new_name = false;
        let deliveries = {
            let mut state = self.state.lock();
            match located {
                Some(addresses) if state.groups.contains_key(&number) => {
                    has_new_name = addresses.iter().any(|address| state.index.lacks(address));
                    let keys = state.index.put(&target, addresses);
                    state
                        .earlier_reports(&target, keys, now)
                        .into_iter()
                        .collect()
                }
                _ => {
                    state.index.remove(&target);
                    Vec::new()
                }
            }
        };
        if has_new_name {
            self.named.notify_one();
        }
        deliver(deliveries);
    }

    /// Sets the addresses of names.
    pub(super) fn resolve(&self, found: Vec<(Arc<str>, Vec<IpAddr>)>) {
        let now = self.now();
        let deliveries = {
            let mut state = self.state.lock();
            let moved = state.index.resolve(found).into_iter();
            let earlier_reports =
                moved.filter_map(|(target, keys)| state.earlier_reports(&target, keys, now));
            earlier_reports.collect()
        };
        deliver(deliveries);
    }

    pub(super) fn sweep(&self) {
        let now = self.now();
        self.state.lock().senders.sweep(now);
    }
}
