//! Wanted and running balancers: [`prepare`] does everything that can fail,
//! [`BalancerChange::apply`] applies the change and cannot fail.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::checks::{CheckTable, Checks};
use super::heartbeats::HeartbeatTasks;
use super::members::{ConnectionSettings, spec};
use super::scope::{BalancerKey, WantedBalancer, wanted};
use super::{BuildEnvironment, Faults};
use crate::balancer::events::Observer;
use crate::balancer::{Balancer, Edit};
use crate::config::{BalancerConfig, Config, MemberConfig, SchedulerName};
use crate::heartbeat::FollowGuard;
use crate::member::Flag;
use crate::proxy::Endpoint;
use crate::scheduler::{
    ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings, Scheduler,
};

/// A running balancer.
#[derive(Clone, Debug)]
pub(in crate::config) struct RunningBalancer {
    config: BalancerConfig,
    connections: BTreeMap<String, ConnectionSettings>,
    pub(in crate::config) checks: Checks,
    /// Keeps the balancer subscribed to heartbeats, if it picks by them.
    subscription: Option<Arc<FollowGuard>>,
    pub(in crate::config) balancer: Balancer<Endpoint>,
    pub(in crate::config) readings: HeartbeatReadings,
}

/// The difference between a running balancer and the wanted one.
pub(in crate::config) enum BalancerChange {
    New(Box<RunningBalancer>, CheckTable),
    /// Members are added, kept, changed or connected to in another way first; then members
    /// are removed.
    Edit {
        running: Box<RunningBalancer>,
        after: Box<RunningBalancer>,
        /// The changed members, with the new endpoint if it changes.
        changed: Vec<(MemberConfig, Option<Endpoint>)>,
        removed: Vec<String>,
        table: CheckTable,
    },
}

/// What is needed to apply a change.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct ApplyContext<'m> {
    /// The runtime for health checks.
    pub(in crate::config) runtime: Option<&'m Handle>,
    pub(in crate::config) heartbeat_tasks: &'m HeartbeatTasks,
    pub(in crate::config) environment: &'m BuildEnvironment,
}

/// Prepares the wanted balancers, without changing the running ones.
pub(in crate::config) fn prepare(
    config: &Config,
    running: &BTreeMap<BalancerKey, RunningBalancer>,
    environment: &BuildEnvironment,
    observer: Option<&Arc<dyn Observer>>,
    faults: &mut Faults,
) -> BTreeMap<BalancerKey, BalancerChange> {
    let mut changes = BTreeMap::new();
    for (key, wanted) in wanted(config) {
        report_duplicates(&wanted.config, faults);
        let change = match running.get(&key) {
            Some(running) => edit(running, wanted, (config, environment), faults),
            None => create(&key, wanted, (config, environment), observer, faults),
        };
        if let Some(change) = change {
            changes.insert(key, change);
        }
    }
    changes
}

/// Reports members with the same URL: they could not be distinguished. The parser drops
/// such members, but a configuration can also be built in other ways.
fn report_duplicates(config: &BalancerConfig, faults: &mut Faults) {
    let mut names = HashSet::new();
    for member in &config.members {
        if !names.insert(&member.url) {
            let message = format!(
                "balancer `{}` has two members `{}`",
                config.name, member.url
            );
            faults.add(message, "remove one of them, or give it another path");
        }
    }
}

fn create(
    key: &BalancerKey,
    wanted: WantedBalancer,
    (config, environment): (&Config, &BuildEnvironment),
    observer: Option<&Arc<dyn Observer>>,
    faults: &mut Faults,
) -> Option<BalancerChange> {
    let readings = HeartbeatReadings::new();
    let mut builder = Balancer::builder()
        .name(&*key.name)
        .scheduler(scheduler(wanted.config.scheduler, &readings));
    if let Some(observer) = observer {
        builder = builder.observer(observer.clone());
    }
    if wanted.config.forced_recovery == Some(false) {
        builder = builder.forced_recovery(false);
    }
    let (mut connections, mut table) = (BTreeMap::new(), CheckTable::default());
    let mut whole = true;
    for member in &wanted.config.members {
        let connection = ConnectionSettings::of(member, &wanted.inherited, environment);
        table.add(member, &connection, config, faults);
        match connection.endpoint(environment, faults) {
            Some(endpoint) => builder = builder.member(&*member.url, endpoint, spec(member)),
            None => whole = false,
        }
        connections.insert(member.url.clone(), connection);
    }
    if !whole {
        return None;
    }
    let balancer = builder.build();
    let about = format!("balancer `{}`", key.name);
    let balancer = faults.note(balancer, about, "fix its members")?;
    let running = RunningBalancer {
        config: wanted.config,
        connections,
        checks: Checks::new(),
        subscription: None,
        balancer,
        readings,
    };
    Some(BalancerChange::New(Box::new(running), table))
}

fn edit(
    running: &RunningBalancer,
    wanted: WantedBalancer,
    (config, environment): (&Config, &BuildEnvironment),
    faults: &mut Faults,
) -> Option<BalancerChange> {
    let before: BTreeMap<_, _> = by_url(&running.config);
    let mut changed = Vec::new();
    let (mut connections, mut table) = (BTreeMap::new(), CheckTable::default());
    let mut whole = true;
    for member in &wanted.config.members {
        let connection = ConnectionSettings::of(member, &wanted.inherited, environment);
        table.add(member, &connection, config, faults);
        let known = before.get(member.url.as_str());
        if known.is_none() || running.connections.get(&member.url) != Some(&connection) {
            match connection.endpoint(environment, faults) {
                Some(endpoint) => changed.push((member.clone(), Some(endpoint))),
                None => whole = false,
            }
        } else if known.is_some_and(|&known| known != member) {
            changed.push((member.clone(), None));
        }
        connections.insert(member.url.clone(), connection);
    }
    if !whole {
        return None;
    }
    // Members that become available come first, before others become unavailable, so that
    // some member is always available.
    changed.sort_by_key(|(member, _)| !member.flags.is_empty());
    let after = by_url(&wanted.config);
    let removed = before.keys().filter(|url| !after.contains_key(*url));
    let removed = removed.map(|url| (*url).to_owned()).collect();
    Some(BalancerChange::Edit {
        after: Box::new(RunningBalancer {
            config: wanted.config,
            connections,
            checks: running.checks.clone(),
            subscription: running.subscription.clone(),
            balancer: running.balancer.clone(),
            readings: running.readings.clone(),
        }),
        running: Box::new(running.clone()),
        changed,
        removed,
        table,
    })
}

fn by_url(config: &BalancerConfig) -> BTreeMap<&str, &MemberConfig> {
    let members = config.members.iter();
    members
        .map(|member| (member.url.as_str(), member))
        .collect()
}

impl BalancerChange {
    /// Returns the balancer.
    pub(super) fn balancer(&self) -> &Balancer<Endpoint> {
        match self {
            Self::New(running, _) => &running.balancer,
            Self::Edit { running, .. } => &running.balancer,
        }
    }

    /// Applies the change. It cannot fail.
    pub(in crate::config) fn apply(self, context: ApplyContext<'_>) -> RunningBalancer {
        let (running, after, changed, removed, table) = match self {
            Self::New(running, table) => {
                running
                    .checks
                    .change(table, &running.balancer, context.runtime);
                return running.with_heartbeats(context);
            }
            Self::Edit {
                running,
                after,
                changed,
                removed,
                table,
            } => (running, after, changed, removed, table),
        };
        let balancer = &running.balancer;
        let unchecked = running.checks.unlike(&table);
        // Checks change first, so that new members are checked with their own settings.
        running.checks.change(table, balancer, context.runtime);
        change_members(balancer, &by_url(&running.config), &changed, &removed);
        let members = by_url(&after.config);
        let flagged = |url: &str| {
            let member = members.get(url);
            member.is_some_and(|it| it.flags.contains(&Flag::FailedCheck))
        };
        for url in unchecked.iter().filter(|url| !flagged(url)) {
            // Nothing else would clear the flag. A removed member is ignored.
            let _ = balancer.clear_flag(url.as_str(), Flag::FailedCheck);
        }
        let (old, new) = (&running.config, &after.config);
        if old.scheduler != new.scheduler {
            balancer.set_scheduler(scheduler(new.scheduler, &after.readings));
        }
        if old.forced_recovery != new.forced_recovery {
            balancer.set_forced_recovery(new.forced_recovery.unwrap_or(true));
        }
        after.with_heartbeats(context)
    }
}

impl RunningBalancer {
    /// Subscribes the balancer to heartbeats, if it picks by them.
    fn with_heartbeats(mut self, context: ApplyContext<'_>) -> Self {
        let picks_by_heartbeats = self.config.scheduler == Some(SchedulerName::Heartbeat);
        if !picks_by_heartbeats {
            self.subscription = None;
        } else if self.subscription.is_none() {
            let heartbeat_tasks = context.heartbeat_tasks;
            let subscription =
                heartbeat_tasks.subscribe(&self.balancer, &self.readings, context.environment);
            self.subscription = Some(Arc::new(subscription));
        }
        self
    }
}

/// Changes all members in one edit. A change is dropped if the member has been removed in
/// the meantime or belongs to another source.
fn change_members(
    balancer: &Balancer<Endpoint>,
    known: &BTreeMap<&str, &MemberConfig>,
    changed: &[(MemberConfig, Option<Endpoint>)],
    removed: &[String],
) {
    let mut refused: HashSet<String> = HashSet::new();
    loop {
        let mut edit = balancer.edit();
        for (member, endpoint) in changed {
            let url = &*member.url;
            let before = known.get(url);
            // A member that was removed in the meantime is not added again.
            let was_removed = before.is_some() && balancer.member(url).is_none();
            if was_removed || refused.contains(url) {
                continue;
            }
            let spec = spec(member);
            match endpoint {
                None => edit.update(url, move |_| spec.clone()),
                Some(endpoint) => edit.insert(url, endpoint.clone(), spec),
            }
            if let Some(before) = before {
                change_health(&mut edit, before, member);
            }
        }
        for url in removed.iter().filter(|url| !refused.contains(*url)) {
            edit.remove(&**url);
        }
        let Err(error) = edit.apply() else {
            return;
        };
        refused.insert(error.name().to_owned());
    }
}

/// Changes the health flags of an existing member. The health found at run time stays,
/// unless the file changes the flag.
fn change_health(edit: &mut Edit<'_, Endpoint>, before: &MemberConfig, after: &MemberConfig) {
    for flag in [Flag::FailedCheck, Flag::InError] {
        match (before.flags.contains(&flag), after.flags.contains(&flag)) {
            (false, true) => edit.set_flag(&*after.url, flag),
            (true, false) => edit.clear_flag(&*after.url, flag),
            _ => {}
        }
    }
}

fn scheduler(name: Option<SchedulerName>, readings: &HeartbeatReadings) -> Box<dyn Scheduler> {
    match name.unwrap_or(SchedulerName::ByRequests) {
        SchedulerName::ByBusyness => Box::new(ByBusyness::new()),
        SchedulerName::ByRequests => Box::new(ByRequests::new()),
        SchedulerName::ByTraffic => Box::new(ByTraffic::catching_up()),
        SchedulerName::Heartbeat => Box::new(Heartbeat::new(readings).without_fallback()),
    }
}

impl fmt::Debug for BalancerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BalancerChange")
            .field(self.balancer())
            .finish()
    }
}
