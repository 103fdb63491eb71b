//! Health and time against a plain model, under any course of changes by two sources, an
//! operator, requests, checks and the clock: no layer loses what another has not said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::pick;
use equipoise::balancer::{DEFAULT_SOURCE, MemberSource};
use equipoise::clock::{ManualClock, Timestamp};
use equipoise::member::{Backoff, Ramp};
use equipoise::scheduler::{Candidates, GroupChange, Pick, PickContext};
use equipoise::{Balancer, Flag, Lease, MemberSpec, PickRequest, Scheduler, Weight};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NAMES: [&str; 3] = ["a", "b", "c"];
const MAX_DELAY: u64 = 20_000;
const FLAGS: [Flag; 4] = [
    Flag::Disabled,
    Flag::Draining,
    Flag::IgnoreErrors,
    Flag::Stopped,
];
const HEALTH: [Flag; 3] = [Flag::Ejected, Flag::FailedCheck, Flag::InError];

#[derive(Clone, Debug)]
enum Op {
    Advance(u64),
    Eject(usize, u64),
    /// A request of the member fails.
    Fail(usize),
    /// By the default source, or by the other one.
    Insert(bool, usize, u32, Option<Flag>, u64, Option<u64>),
    Override(usize, Flag, Option<bool>),
    Recover(usize),
    Remove(bool, usize),
    /// A source has no members any more.
    RemoveAll(bool),
    SetHealth(usize, Flag, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let name = || 0..NAMES.len();
    let flag = || select(&FLAGS[..]);
    let time = || prop_oneof![Just(0_u64), 1..3_000_u64, Just(5_000), Just(30_000)];
    let window = prop_oneof![
        Just(None),
        Just(Some(0)),
        Just(Some(1_700)),
        Just(Some(9_000))
    ];
    let insert = (
        any::<bool>(),
        name(),
        1..500_u32,
        proptest::option::of(flag()),
        time(),
        window,
    );
    prop_oneof![
        6 => time().prop_map(Op::Advance),
        2 => (name(), time()).prop_map(|(at, time)| Op::Eject(at, time)),
        4 => name().prop_map(Op::Fail),
        4 => insert.prop_map(|(other, at, weight, flag, delay, ramp)| {
            Op::Insert(other, at, weight, flag, delay, ramp)
        }),
        2 => (name(), flag(), any::<Option<bool>>())
            .prop_map(|(at, flag, on)| Op::Override(at, flag, on)),
        1 => name().prop_map(Op::Recover),
        2 => (any::<bool>(), name()).prop_map(|(other, at)| Op::Remove(other, at)),
        1 => any::<bool>().prop_map(Op::RemoveAll),
        3 => (name(), select(&HEALTH[..]), any::<bool>())
            .prop_map(|(at, flag, on)| Op::SetHealth(at, flag, on)),
    ]
}

/// What is known of a member, in milliseconds.
#[derive(Clone, Debug)]
struct Plain {
    here: bool,
    /// Whether the other source owns it, while it is a member.
    other: bool,
    weight: u32,
    source: Option<Flag>,
    overrides: BTreeMap<Flag, bool>,
    /// What comes of both while it is a member.
    flags: Vec<Flag>,
    delay: u64,
    window: Option<u64>,
    /// Of the last error while in error, and otherwise of the last arrival.
    since: u64,
    in_error: bool,
    errors: u32,
    last_delay: Option<u64>,
    failed_check: bool,
    /// `None` inside for an ejection without end.
    ejected: Option<Option<u64>>,
    ramps: bool,
}

impl Plain {
    fn new() -> Self {
        Self {
            here: true,
            other: false,
            weight: 100,
            source: None,
            overrides: BTreeMap::new(),
            flags: Vec::new(),
            delay: 1_000,
            window: None,
            since: 0,
            in_error: false,
            errors: 0,
            last_delay: None,
            failed_check: false,
            ejected: None,
            ramps: false,
        }
    }

    fn is(&self, flag: Flag) -> bool {
        match flag {
            Flag::Ejected => self.ejected.is_some(),
            Flag::FailedCheck => self.failed_check,
            Flag::InError => self.in_error,
            _ => self.flags.contains(&flag),
        }
    }

    fn settle(&mut self) {
        let holds = |flag: &Flag| {
            let overridden = self.overrides.get(flag).copied();
            overridden.unwrap_or(self.source == Some(*flag))
        };
        self.flags = FLAGS.into_iter().filter(holds).collect();
    }

    fn is_well(&self) -> bool {
        !HEALTH.into_iter().any(|flag| self.is(flag))
    }

    fn begin_error(&mut self, now: u64) {
        if self.in_error {
            return;
        }
        let goes_on = self.last_delay.is_none_or(|delay| now - self.since < delay);
        self.errors = if goes_on { self.errors + 1 } else { 1 };
        (self.in_error, self.since, self.last_delay) = (true, now, None);
    }

    /// Does what may end outages; the ramp begins when the last one does.
    fn end(&mut self, now: u64, end: impl FnOnce(&mut Self)) {
        let was_well = self.is_well();
        end(self);
        if !was_well && self.is_well() {
            (self.since, self.ramps) = (now, true);
        }
    }

    fn forget_errors(&mut self) {
        (self.errors, self.last_delay) = (0, None);
    }

    /// Lets time pass until `now`.
    fn refresh(&mut self, now: u64) {
        if self.in_error {
            let doubled = self.delay << (self.errors.max(1) - 1).min(20);
            self.last_delay = Some(doubled.min(MAX_DELAY).max(self.delay));
        }
        self.end(now, |this| {
            let delay = this.last_delay.unwrap_or(0);
            let is_over = this.is(Flag::IgnoreErrors) || now >= this.since + delay;
            if this.in_error && is_over && !this.is(Flag::Stopped) {
                this.in_error = false;
            }
            if this.ejected.flatten().is_some_and(|until| until <= now) {
                this.ejected = None;
            }
        });
        if self.is_well() && self.sixteenths(now) == 16 {
            self.ramps = false;
        }
    }

    fn sixteenths(&self, now: u64) -> u32 {
        let elapsed = (now / 100 * 100).saturating_sub(self.since);
        match self.window {
            Some(window) if self.is_well() && self.ramps && elapsed < window => {
                u32::try_from(elapsed * 16 / window).unwrap().max(1)
            }
            _ => 16,
        }
    }

    fn weight(&self, now: u64) -> u32 {
        self.weight * self.sixteenths(now)
    }
}

/// A scheduler that keeps the weights of the group as it is told them.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<BTreeMap<String, u32>>>);

impl Scheduler for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        let mut told = self.0.lock().unwrap();
        for member in group.left() {
            told.remove(member.name());
        }
        for one in group.joined().chain(group.changed()) {
            told.insert(one.state().name().to_owned(), one.weight().units());
        }
    }
}

struct Twins {
    balancer: Balancer<()>,
    clock: ManualClock,
    told: Told,
    /// One of each member, so that its state outlives its absence.
    leases: Vec<Lease<()>>,
    plain: Vec<Plain>,
    now: u64,
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Twins {
    fn new() -> Self {
        let (clock, told) = (ManualClock::new(), Told::default());
        let spec = MemberSpec::new().with_recovery_delay(millis(1_000));
        let members = NAMES.map(|name| (name, (), spec.clone()));
        let balancer = Balancer::builder()
            .clock(clock.clone())
            .scheduler(told.clone())
            .backoff(Backoff::exponential(millis(MAX_DELAY)))
            .forced_recovery(false)
            .members(members)
            .build()
            .unwrap();
        let mut leases = Vec::new();
        for _ in NAMES {
            let tried: Vec<_> = leases
                .iter()
                .map(|it: &Lease<()>| it.member().id())
                .collect();
            leases.push(
                balancer
                    .pick(&PickRequest::new().with_tried(&tried))
                    .unwrap(),
            );
        }
        Self {
            balancer,
            clock,
            told,
            leases,
            plain: NAMES.map(|_| Plain::new()).to_vec(),
            now: 0,
        }
    }

    /// The default source, or the other one.
    fn source(&self, other: bool) -> MemberSource<()> {
        let name = if other { "dns:other" } else { DEFAULT_SOURCE };
        self.balancer.source(name)
    }

    fn run(&mut self, op: &Op) {
        self.change(op);
        self.balancer.apply_timed_changes();
        for plain in self.plain.iter_mut().filter(|it| it.here) {
            plain.refresh(self.now);
        }
    }

    fn change(&mut self, op: &Op) {
        let now = self.now;
        match *op {
            Op::Advance(by) => {
                self.clock.advance(millis(by));
                self.now += by;
            }
            Op::Eject(at, time) => {
                let known = self.balancer.eject(NAMES[at], millis(time), "slow");
                let plain = &mut self.plain[at];
                assert_eq!(known.is_ok(), plain.here);
                if plain.here {
                    let until = now + time;
                    plain.ejected = match plain.ejected {
                        None => Some(Some(until)),
                        Some(known) => Some(known.map(|known| known.max(until))),
                    };
                }
            }
            Op::Fail(at) => {
                self.leases[at].put_in_error();
                let plain = &mut self.plain[at];
                if !plain.is(Flag::IgnoreErrors) {
                    plain.begin_error(now);
                    plain.since = now;
                }
            }
            Op::Insert(other, at, weight, flag, delay, window) => {
                let mut spec = MemberSpec::new()
                    .with_weight(Weight::from_hundredths(weight).unwrap())
                    .with_recovery_delay(millis(delay));
                if let Some(window) = window {
                    spec = spec.with_ramp(Ramp::over(millis(window)));
                }
                spec = flag.into_iter().fold(spec, MemberSpec::with_flag);
                let inserted = self.source(other).insert(NAMES[at], (), spec);
                let plain = &mut self.plain[at];
                assert_eq!(inserted.is_ok(), !plain.here || plain.other == other);
                if inserted.is_err() {
                    return;
                }
                plain.other = other;
                (plain.weight, plain.source) = (weight, flag);
                (plain.delay, plain.window) = (delay, window);
                if !plain.here && plain.is_well() {
                    (plain.since, plain.ramps) = (now, true);
                }
                plain.here = true;
                plain.settle();
            }
            Op::Override(at, flag, on) => {
                self.balancer.override_member(NAMES[at], |it| match on {
                    Some(true) => it.with_flag(flag),
                    Some(false) => it.with_flag_off(flag),
                    None => it.without_flag(flag),
                });
                let plain = &mut self.plain[at];
                match on {
                    Some(on) => drop(plain.overrides.insert(flag, on)),
                    None => drop(plain.overrides.remove(&flag)),
                }
                if plain.here {
                    plain.settle();
                }
            }
            Op::Recover(at) => {
                let plain = &mut self.plain[at];
                assert_eq!(self.balancer.recover(NAMES[at]).is_ok(), plain.here);
                if plain.here {
                    plain.end(now, |it| {
                        (it.in_error, it.failed_check, it.ejected) = (false, false, None);
                    });
                    plain.forget_errors();
                }
            }
            Op::Remove(other, at) => {
                let removed = self.source(other).remove(NAMES[at]).is_ok();
                let plain = &mut self.plain[at];
                assert_eq!(removed, plain.here && plain.other == other);
                plain.here &= !removed;
            }
            Op::RemoveAll(other) => {
                let none = Vec::<(&str, (), MemberSpec)>::new();
                drop(self.source(other).replace_all(none).unwrap());
                for plain in self.plain.iter_mut().filter(|it| it.other == other) {
                    plain.here = false;
                }
            }
            Op::SetHealth(at, flag, on) => self.set_health(at, flag, on),
        }
    }

    fn set_health(&mut self, at: usize, flag: Flag, on: bool) {
        let (now, plain) = (self.now, &mut self.plain[at]);
        let done = if on {
            self.balancer.set_flag(NAMES[at], flag)
        } else {
            self.balancer.clear_flag(NAMES[at], flag)
        };
        assert_eq!(done.is_ok(), plain.here);
        if !plain.here {
            return;
        }
        match (flag, on) {
            (Flag::Ejected, true) => plain.ejected = Some(None),
            (Flag::Ejected, false) => plain.end(now, |it| it.ejected = None),
            (Flag::FailedCheck, _) => plain.end(now, |it| it.failed_check = on),
            (_, true) => plain.begin_error(now),
            (_, false) => {
                plain.end(now, |it| it.in_error = false);
                plain.forget_errors();
            }
        }
    }

    fn compare(&self) {
        let explanation = self.balancer.explain(&PickRequest::new());
        let mut group = BTreeMap::new();
        for (at, name) in NAMES.into_iter().enumerate() {
            let plain = &self.plain[at];
            let found = explanation.members().iter().find(|it| &*it.name == name);
            assert_eq!(found.is_some(), plain.here, "{name}");
            let Some(found) = found else { continue };
            assert_eq!(*found.source != *DEFAULT_SOURCE, plain.other, "{name}");
            for flag in FLAGS.into_iter().chain(HEALTH) {
                assert_eq!(
                    found.status.contains(flag),
                    plain.is(flag),
                    "{flag} of {name}"
                );
            }
            let weight = plain.weight(self.now);
            assert_eq!(found.effective_weight.units(), weight, "weight of {name}");
            if found.status.is_usable() && !plain.is(Flag::Draining) {
                group.insert(name.to_owned(), weight);
            }
            let health = self.balancer.member(name).unwrap().health();
            let until = |flag| health.outage(flag).map(|it| it.until);
            for flag in HEALTH {
                assert_eq!(until(flag).is_some(), plain.is(flag), "{flag} of {name}");
            }
            let at = |time: u64| Timestamp::ORIGIN + millis(time);
            assert_eq!(until(Flag::Ejected), plain.ejected.map(|it| it.map(at)));
            if plain.in_error {
                let delay = plain.last_delay.filter(|_| !plain.is(Flag::Stopped));
                let error_until = delay.map(|delay| at(plain.since + delay));
                assert_eq!(until(Flag::InError), Some(error_until), "{name}");
            }
            assert_eq!(health.errors_in_a_row(), plain.errors, "{name}");
        }
        assert_eq!(*self.told.0.lock().unwrap(), group, "as schedulers see it");
        assert_eq!(pick(&self.balancer).is_ok(), !group.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn status_and_weight_are_those_of_the_plain_model(ops in vec(op(), 1..80)) {
        let mut twins = Twins::new();
        for op in &ops {
            twins.run(op);
            twins.compare();
        }
    }
}
