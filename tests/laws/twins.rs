//! A balancer and its model, side by side: every step is taken by both, and after
//! every step they must agree.

use equipoise::balancer::Reason;
use equipoise::clock::ManualClock;
use equipoise::{
    Balancer, Eligibility, Flag, Guard, Lease, MemberId, MemberSpec, MemberState, Outcome,
    PickError, PickRequest, Session,
};

use crate::member::Key;
use crate::model::{self, Model};
use crate::ops::{Op, Request, Scenario};

pub(crate) struct Twins {
    pub(crate) balancer: Balancer<u32>,
    clock: ManualClock,
    pub(crate) model: Model,
    /// The real identities, by the model's.
    ids: Vec<MemberId>,
    held: Vec<Held>,
    payloads: u32,
}

/// One request in flight.
struct Held {
    key: Key,
    payload: u32,
    by: By,
}

enum By {
    Guard(Guard),
    Lease(Lease<u32>),
}

impl Held {
    fn member(&self) -> &MemberState {
        match &self.by {
            By::Guard(guard) => guard.member(),
            By::Lease(lease) => lease.member(),
        }
    }
}

impl Twins {
    pub(crate) fn start(scenario: &Scenario) -> Self {
        let clock = ManualClock::new();
        let mut builder = Balancer::builder().clock(clock.clone());
        if !scenario.forced_recovery {
            builder = builder.forced_recovery(false);
        }
        let mut twins = Self {
            balancer: builder.build().unwrap(),
            clock,
            model: Model::new(scenario.method, scenario.forced_recovery),
            ids: Vec::new(),
            held: Vec::new(),
            payloads: 0,
        };
        scenario.method.install(&twins.balancer);
        twins.replace_all(&scenario.members);
        twins.agree();
        twins
    }

    /// Lives through the whole scenario, and lets everything end.
    pub(crate) fn live(scenario: &Scenario) {
        let mut twins = Self::start(scenario);
        for op in &scenario.ops {
            twins.step(op);
            twins.agree();
        }
        while let Some(held) = twins.held.pop() {
            twins.end(held, None);
            twins.agree();
        }
    }

    pub(crate) fn step(&mut self, op: &Op) {
        match op {
            &Op::Advance(by) => {
                self.clock.advance(by);
                self.model.now += by;
            }
            &Op::Bytes {
                lease,
                sent,
                received,
            } => self.record(lease, sent, received),
            &Op::ClearFlag(name, flag) => self.set_flag(name, flag, false),
            &Op::Drop(lease) => {
                if let Some(held) = self.take(lease) {
                    self.end(held, None);
                }
            }
            &Op::Finish(lease, outcome) => {
                if let Some(held) = self.take(lease) {
                    self.end(held, Some(outcome));
                }
            }
            Op::Insert(name, spec) => self.insert(*name, spec),
            &Op::IntoGuard(lease) => {
                if let Some(mut held) = self.take(lease) {
                    if let By::Lease(lease) = held.by {
                        held.by = By::Guard(lease.into_guard());
                    }
                    self.held.push(held);
                }
            }
            Op::ClearOverrides(_)
            | Op::OverrideCap(..)
            | Op::OverrideRoute(..)
            | Op::OverrideTier(..)
            | Op::OverrideWeight(..) => self.decide(op),
            Op::NoticeTime => {
                self.balancer.apply_timed_changes();
                self.model.refresh();
            }
            Op::Pick(request) => self.pick(request),
            &Op::PutInError(lease) => self.put_in_error(lease),
            &Op::Recap(name, cap) => self.edit(name, |spec| match cap {
                Some(cap) => spec.with_max_in_flight(cap),
                None => spec.without_max_in_flight(),
            }),
            &Op::Remove(name) => self.remove(name),
            Op::ReplaceAll(members) => self.replace_all(members),
            Op::ResetStandings => {
                self.balancer.reset_standings();
                self.model.reset_standings();
            }
            &Op::Retier(name, tier) => self.edit(name, |spec| spec.with_tier(tier)),
            &Op::Reweigh(name, weight) => self.edit(name, |spec| spec.with_weight(weight)),
            &Op::SetFlag(name, flag) => self.set_flag(name, flag, true),
            &Op::SetMethod(method) => {
                method.install(&self.balancer);
                self.model.set_method(method);
            }
            &Op::SetRecoveryDelay(name, delay) => {
                self.edit(name, |spec| spec.with_recovery_delay(delay));
            }
        }
    }

    // Changes by operators.

    fn insert(&mut self, name: usize, spec: &MemberSpec) {
        self.payloads += 1;
        let key = self.model.put(&called(name), self.payloads, spec);
        let id = self
            .balancer
            .insert(called(name), self.payloads, spec.clone());
        self.know(key, id.unwrap());
        self.model.refresh();
    }

    fn replace_all(&mut self, members: &[(usize, MemberSpec)]) {
        let mut last: Vec<(usize, MemberSpec)> = Vec::new();
        for (name, spec) in members {
            last.retain(|(other, _)| other != name);
            last.push((*name, spec.clone()));
        }
        let first = self.payloads + 1;
        let all = (first..).zip(last.clone());
        let done = self
            .balancer
            .replace_all(all.map(|(payload, (name, spec))| (called(name), payload, spec)))
            .unwrap();

        let before = self.model.here();
        let (mut inserted, mut updated) = (done.inserted.into_iter(), done.updated.into_iter());
        let mut named = Vec::new();
        for (name, spec) in last {
            self.payloads += 1;
            let key = self.model.put(&called(name), self.payloads, &spec);
            let list = if before.contains(&key) {
                &mut updated
            } else {
                &mut inserted
            };
            self.know(key, list.next().unwrap());
            named.push(key);
        }
        assert_eq!((inserted.next(), updated.next()), (None, None));
        let mut gone: Vec<MemberId> = Vec::new();
        for key in before.into_iter().filter(|key| !named.contains(key)) {
            self.model.remove(key);
            gone.push(self.ids[key]);
        }
        let mut removed: Vec<MemberId> = done.removed.iter().map(|gone| gone.id()).collect();
        removed.sort_unstable();
        gone.sort_unstable();
        assert_eq!(removed, gone, "who is not named goes");
        self.model.refresh();
    }

    /// An identity is that of before, or was never seen.
    fn know(&mut self, key: Key, id: MemberId) {
        match self.ids.get(key) {
            Some(&known) => assert_eq!(id, known, "the name is the identity"),
            None => {
                assert!(!self.ids.contains(&id), "no identity is given twice");
                assert_eq!(key, self.ids.len());
                self.ids.push(id);
            }
        }
    }

    fn remove(&mut self, name: usize) {
        let removed = self.balancer.remove(&called(name));
        let key = self.model.key(&called(name));
        assert_eq!(
            removed
                .as_ref()
                .ok()
                .map(|removed| (removed.id(), removed.in_flight())),
            key.map(|key| (self.ids[key], self.model.members[key].in_flight))
        );
        if let Some(key) = key {
            self.model.remove(key);
            self.model.refresh();
        }
    }

    fn edit(&mut self, name: usize, edit: impl Fn(MemberSpec) -> MemberSpec + Sync) {
        let known = self.balancer.update(&called(name), &edit);
        let key = self.model.key(&called(name));
        assert_eq!(known.ok(), key.map(|key| self.ids[key]));
        if let Some(key) = key {
            self.model.edit(key, edit);
            self.model.refresh();
        }
    }

    fn set_flag(&mut self, name: usize, flag: Flag, on: bool) {
        let known = if on {
            self.balancer.set_flag(&called(name), flag)
        } else {
            self.balancer.clear_flag(&called(name), flag)
        };
        let key = self.model.key(&called(name));
        assert_eq!(known.ok(), key.map(|key| self.ids[key]));
        if let Some(key) = key {
            if matches!(flag, Flag::Ejected | Flag::FailedCheck | Flag::InError) {
                self.model.set_health(key, flag, on);
            } else {
                self.model.say(&called(name), |said| {
                    said.flags.insert(flag, on);
                });
            }
            self.model.refresh();
        }
    }

    // Requests.

    pub(crate) fn pick(&mut self, request: &Request) {
        // A name stands for whoever bears it, or bore it last.
        let newest = |name: &usize| {
            let members = self.model.members.iter();
            members
                .clone()
                .rposition(|member| member.name == called(*name))
        };
        let tried: Vec<Key> = request.tried.iter().filter_map(newest).collect();
        let tried_ids: Vec<MemberId> = tried.iter().map(|&key| self.ids[key]).collect();
        let mut asked = PickRequest::new().with_tried(&tried_ids);
        if request.sessions {
            asked = asked.with_session(request.route);
        }
        if request.no_failover {
            asked = asked.with_no_failover();
        }

        let foretold = self.balancer.explain(&asked);
        // It must not have changed anything but what is due.
        self.model.refresh();
        self.agree();
        let picked = self.balancer.pick(&asked);
        let expected = self.model.pick(&model::Request {
            tried: tried.clone(),
            sessions: request.sessions,
            route: request.route,
            no_failover: request.no_failover,
        });

        let elected = foretold.picked();
        match (picked, expected) {
            (Ok(lease), Ok((key, session))) => {
                let name = &self.model.members[key].name;
                assert_eq!(lease.member().name(), name, "elected");
                assert_eq!(lease.member().id(), self.ids[key], "elected");
                assert_eq!(lease.session(), session);
                assert!(lease.member().status().is_usable(), "unusable, but elected");
                assert!(!tried.contains(&key), "tried, but elected");
                let elected = elected.expect("explained as nobody");
                assert_eq!(elected.id, self.ids[key], "explained, and then elected");
                match session {
                    Session::Hit => assert_eq!(foretold.reason(), &Reason::SessionHit),
                    Session::Redirected => {
                        assert_eq!(foretold.reason(), &Reason::SessionRedirected);
                    }
                    _ => {
                        assert!(matches!(foretold.reason(), Reason::Scheduled { .. }));
                        assert_eq!(elected.eligibility, Eligibility::Eligible);
                    }
                }
                self.hold(key, lease);
            }
            (Err(refused), Err(expected)) => {
                assert_eq!(refused, expected);
                assert!(elected.is_none(), "explained, but nobody elected");
                let why = match refused {
                    PickError::AtCapacity => Reason::AtCapacity,
                    PickError::Empty => Reason::Empty,
                    PickError::SessionLost { .. } => Reason::SessionLost,
                    _ => Reason::NoneUsable,
                };
                assert_eq!(foretold.reason(), &why, "explained, and then refused");
            }
            (picked, expected) => panic!("{picked:?}, but by the model {expected:?}"),
        }
    }

    /// A pick that is compared by who is elected, and by nothing else.
    pub(crate) fn pick_plainly(&mut self) {
        let picked = self.balancer.pick(&PickRequest::new());
        let expected = self.model.pick(&model::Request::default());
        let id = picked.as_ref().map(|lease| lease.member().id());
        let expected_id = expected.as_ref().map(|&(key, _)| self.ids[key]);
        assert_eq!(id, expected_id, "elected, and elected by the model");
        if let (Ok(lease), Ok((key, _))) = (picked, expected) {
            self.hold(key, lease);
        }
    }

    fn hold(&mut self, key: Key, lease: Lease<u32>) {
        self.held.push(Held {
            key,
            payload: self.model.members[key].payload,
            by: By::Lease(lease),
        });
    }

    fn take(&mut self, lease: usize) -> Option<Held> {
        let count = self.held.len();
        (count > 0).then(|| self.held.swap_remove(lease % count))
    }

    fn end(&mut self, held: Held, outcome: Option<Outcome>) {
        match (held.by, outcome) {
            (By::Guard(guard), Some(outcome)) => guard.finish(outcome),
            (By::Lease(lease), Some(outcome)) => lease.finish(outcome),
            (by, None) => drop(by),
        }
        self.model.end(held.key);
    }

    fn record(&mut self, lease: usize, sent: u64, received: u64) {
        let count = self.held.len().max(1);
        let Some(held) = self.held.get_mut(lease % count) else {
            return;
        };
        match &mut held.by {
            By::Guard(guard) => {
                guard.record_sent(sent);
                guard.record_received(received);
            }
            By::Lease(lease) => {
                lease.record_sent(sent);
                lease.record_received(received);
            }
        }
        self.model.members[held.key].bytes += sent + received;
    }

    fn put_in_error(&mut self, lease: usize) {
        let count = self.held.len().max(1);
        let Some(held) = self.held.get(lease % count) else {
            return;
        };
        match &held.by {
            By::Guard(guard) => guard.put_in_error(),
            By::Lease(lease) => lease.put_in_error(),
        }
        self.model.put_in_error(held.key);
    }

    // Agreement.

    /// Compares everything that can be seen of everybody.
    pub(crate) fn agree(&self) {
        let here = self.model.here();
        let members = self.balancer.members();
        let ids: Vec<MemberId> = members.iter().map(|member| member.id()).collect();
        let expected: Vec<MemberId> = here.iter().map(|&key| self.ids[key]).collect();
        assert_eq!(ids, expected, "members, in order");

        for (&key, member) in here.iter().zip(&members) {
            let known = &self.model.members[key];
            let name = member.name();
            assert_eq!(member.status(), known.status, "status of {name}");
            assert_eq!(member.recoveries(), known.retries, "retries of {name}");
            assert_eq!(self.balancer.payload(name).as_deref(), Some(&known.payload));
            let clean = |spec: &MemberSpec| {
                let flags = Flag::ALL.into_iter();
                flags.fold(spec.clone(), MemberSpec::without_flag)
            };
            let health = [Flag::Ejected, Flag::FailedCheck, Flag::InError].into_iter();
            let source = health.fold(known.source.clone(), MemberSpec::without_flag);
            assert_eq!(
                self.balancer.source_spec(name),
                Some(source),
                "source of {name}"
            );
            let clean = clean(&known.spec);
            let spec = known.status.iter().fold(clean, MemberSpec::with_flag);
            assert_eq!(self.balancer.spec(name), Some(spec), "spec of {name}");
            self.agree_on_facts(key, member);
            self.agree_on_standing(key, name);
        }
        let mut in_flight = 0;
        for held in &self.held {
            self.agree_on_facts(held.key, held.member());
            if let By::Lease(lease) = &held.by {
                assert_eq!(**lease, held.payload, "a lease keeps its payload");
            }
        }
        // Of a member that is gone only its leases tell.
        for key in 0..self.ids.len() {
            in_flight += match here.iter().position(|&here| here == key) {
                Some(at) => members[at].in_flight() as usize,
                None => {
                    let held = self.held.iter().find(|held| held.key == key);
                    held.map_or(0, |held| held.member().in_flight() as usize)
                }
            };
        }
        assert_eq!(
            in_flight,
            self.held.len(),
            "in flight, and leases that live"
        );
    }

    fn agree_on_facts(&self, key: Key, member: &MemberState) {
        let known = &self.model.members[key];
        let name = member.name();
        assert_eq!(member.in_flight(), known.in_flight, "in flight of {name}");
        assert_eq!(member.picked(), known.elected, "elected of {name}");
        assert_eq!(member.bytes(), known.bytes, "bytes of {name}");
    }

    fn agree_on_standing(&self, key: Key, name: &str) {
        let standing = self.balancer.standing(name);
        if self.model.books.method().counts_bytes() {
            // As of the scheduler's last look, and bytes only grow. Who is absent may
            // have another weight by now.
            let member = &self.model.members[key];
            let counted = self.model.books.counted(key, member.contender());
            let counted = u128::from(counted);
            let most = counted * 100 / u128::from(member.weight());
            let standing = u128::try_from(standing.unwrap_or(0)).unwrap();
            if counted == 0 || self.model.group().contains(&key) {
                assert!(
                    standing <= most,
                    "bytes by weight of {name}: {standing} > {most}"
                );
            }
        } else {
            let expected = self.model.books.standing(key);
            assert_eq!(standing, Some(expected), "standing of {name}");
        }
    }

    pub(crate) fn all_stand_at_zero(&self) {
        for member in self.balancer.members() {
            assert_eq!(self.balancer.standing(member.name()), Some(0));
        }
    }
}

pub(crate) fn called(name: usize) -> String {
    format!("m{name}")
}
