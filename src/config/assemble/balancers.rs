//! Balancers as they are asked for, and as they run: [`prepare`] makes everything that can
//! fail, [`BalancerChange::carry_out`] does what cannot.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::checks::{CheckTable, Checks};
use super::heartbeats::Heart;
use super::members::{Wire, spec};
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

/// A balancer that runs.
#[derive(Clone, Debug)]
pub(in crate::config) struct RunningBalancer {
    config: BalancerConfig,
    wires: BTreeMap<String, Wire>,
    pub(in crate::config) checks: Checks,
    /// By which it gets the reports of its members, if it picks by them.
    following: Option<Arc<FollowGuard>>,
    pub(in crate::config) balancer: Balancer<Endpoint>,
    pub(in crate::config) readings: HeartbeatReadings,
}

/// A step from what runs to what is asked for.
pub(in crate::config) enum BalancerChange {
    New(Box<RunningBalancer>, CheckTable),
    /// In this order: who joins, stays and is changed, or is spoken to in another way; who
    /// leaves.
    Edit {
        running: Box<RunningBalancer>,
        after: Box<RunningBalancer>,
        /// With what it is spoken to by, if that is new.
        changed: Vec<(MemberConfig, Option<Endpoint>)>,
        gone: Vec<String>,
        table: CheckTable,
    },
}

/// What a change is carried out with.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Means<'m> {
    /// Where checks run.
    pub(in crate::config) runtime: Option<&'m Handle>,
    pub(in crate::config) heart: &'m Heart,
    pub(in crate::config) around: &'m BuildEnvironment,
}

/// Makes ready what is asked for. Nothing that runs is touched.
pub(in crate::config) fn prepare(
    config: &Config,
    running: &BTreeMap<BalancerKey, RunningBalancer>,
    around: &BuildEnvironment,
    observer: Option<&Arc<dyn Observer>>,
    faults: &mut Faults,
) -> BTreeMap<BalancerKey, BalancerChange> {
    let mut changes = BTreeMap::new();
    for (key, wanted) in wanted(config) {
        complain(&wanted.config, faults);
        let change = match running.get(&key) {
            Some(running) => edit(running, wanted, (config, around), faults),
            None => create(&key, wanted, (config, around), observer, faults),
        };
        if let Some(change) = change {
            changes.insert(key, change);
        }
    }
    changes
}

/// What a text would have had dropped: nobody could tell the two apart.
fn complain(config: &BalancerConfig, faults: &mut Faults) {
    let mut names = HashSet::new();
    for member in &config.members {
        if !names.insert(&member.url) {
            let message = format!(
                "balancer `{}` has two members `{}`",
                config.name, member.url
            );
            faults.add(message, "leave one of them out, or give it another path");
        }
    }
}

fn create(
    key: &BalancerKey,
    wanted: WantedBalancer,
    (config, around): (&Config, &BuildEnvironment),
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
    let (mut wires, mut table) = (BTreeMap::new(), CheckTable::default());
    let mut whole = true;
    for member in &wanted.config.members {
        let wire = Wire::of(member, &wanted.inherited, around);
        table.add(member, &wire, config, faults);
        match wire.endpoint(around, faults) {
            Some(endpoint) => builder = builder.member(&*member.url, endpoint, spec(member)),
            None => whole = false,
        }
        wires.insert(member.url.clone(), wire);
    }
    if !whole {
        return None;
    }
    let balancer = builder.build();
    let about = format!("balancer `{}`", key.name);
    let balancer = faults.note(balancer, about, "correct its members")?;
    let running = RunningBalancer {
        config: wanted.config,
        wires,
        checks: Checks::new(),
        following: None,
        balancer,
        readings,
    };
    Some(BalancerChange::New(Box::new(running), table))
}

fn edit(
    running: &RunningBalancer,
    wanted: WantedBalancer,
    (config, around): (&Config, &BuildEnvironment),
    faults: &mut Faults,
) -> Option<BalancerChange> {
    let before: BTreeMap<_, _> = by_url(&running.config);
    let mut changed = Vec::new();
    let (mut wires, mut table) = (BTreeMap::new(), CheckTable::default());
    let mut whole = true;
    for member in &wanted.config.members {
        let wire = Wire::of(member, &wanted.inherited, around);
        table.add(member, &wire, config, faults);
        let known = before.get(member.url.as_str());
        if known.is_none() || running.wires.get(&member.url) != Some(&wire) {
            match wire.endpoint(around, faults) {
                Some(endpoint) => changed.push((member.clone(), Some(endpoint))),
                None => whole = false,
            }
        } else if known.is_some_and(|&known| known != member) {
            changed.push((member.clone(), None));
        }
        wires.insert(member.url.clone(), wire);
    }
    if !whole {
        return None;
    }
    // Before some may not serve any more, others may: there is always somebody.
    changed.sort_by_key(|(member, _)| !member.flags.is_empty());
    let after = by_url(&wanted.config);
    let gone = before.keys().filter(|url| !after.contains_key(*url));
    let gone = gone.map(|url| (*url).to_owned()).collect();
    Some(BalancerChange::Edit {
        after: Box::new(RunningBalancer {
            config: wanted.config,
            wires,
            checks: running.checks.clone(),
            following: running.following.clone(),
            balancer: running.balancer.clone(),
            readings: running.readings.clone(),
        }),
        running: Box::new(running.clone()),
        changed,
        gone,
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
    /// The balancer that it is about.
    pub(super) fn balancer(&self) -> &Balancer<Endpoint> {
        match self {
            Self::New(running, _) => &running.balancer,
            Self::Edit { running, .. } => &running.balancer,
        }
    }

    /// Does it. It cannot fail.
    pub(in crate::config) fn carry_out(self, means: Means<'_>) -> RunningBalancer {
        let (running, after, changed, gone, table) = match self {
            Self::New(running, table) => {
                running
                    .checks
                    .change(table, &running.balancer, means.runtime);
                return running.fed(means);
            }
            Self::Edit {
                running,
                after,
                changed,
                gone,
                table,
            } => (running, after, changed, gone, table),
        };
        let balancer = &running.balancer;
        let unchecked = running.checks.unlike(&table);
        // First, so that members that join are checked by their own words.
        running.checks.change(table, balancer, means.runtime);
        change_members(balancer, &by_url(&running.config), &changed, &gone);
        let members = by_url(&after.config);
        let flagged = |url: &str| {
            let member = members.get(url);
            member.is_some_and(|it| it.flags.contains(&Flag::FailedCheck))
        };
        for url in unchecked.iter().filter(|url| !flagged(url)) {
            // Nothing else would end it. One that has left needs nothing.
            let _ = balancer.clear_flag(url.as_str(), Flag::FailedCheck);
        }
        let (old, new) = (&running.config, &after.config);
        if old.scheduler != new.scheduler {
            balancer.set_scheduler(scheduler(new.scheduler, &after.readings));
        }
        if old.forced_recovery != new.forced_recovery {
            balancer.set_forced_recovery(new.forced_recovery.unwrap_or(true));
        }
        after.fed(means)
    }
}

impl RunningBalancer {
    /// Gives it the reports of its members, if it picks by them.
    fn fed(mut self, means: Means<'_>) -> Self {
        let elects_by_them = self.config.scheduler == Some(SchedulerName::Heartbeat);
        if !elects_by_them {
            self.following = None;
        } else if self.following.is_none() {
            let heart = means.heart;
            let following = heart.feed(&self.balancer, &self.readings, means.around);
            self.following = Some(Arc::new(following));
        }
        self
    }
}

/// Changes the members, all at once. A member that is refused, because it was removed
/// meanwhile or is another source's, is left as it is.
fn change_members(
    balancer: &Balancer<Endpoint>,
    known: &BTreeMap<&str, &MemberConfig>,
    changed: &[(MemberConfig, Option<Endpoint>)],
    gone: &[String],
) {
    let mut refused: HashSet<String> = HashSet::new();
    loop {
        let mut edit = balancer.edit();
        for (member, endpoint) in changed {
            let url = &*member.url;
            let before = known.get(url);
            // What was removed meanwhile stays away.
            let stays_away = before.is_some() && balancer.member(url).is_none();
            if stays_away || refused.contains(url) {
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
        for url in gone.iter().filter(|url| !refused.contains(*url)) {
            edit.remove(&**url);
        }
        let Err(error) = edit.apply() else {
            return;
        };
        refused.insert(error.name().to_owned());
    }
}

/// Health is no part of what a source says of a member that is there, so that a file changes
/// it only where its own words for it change.
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
