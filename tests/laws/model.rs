//! What a balancer does, said as plainly as possible: who is a member, who recovers,
//! who may be elected, what a session finds, and what comes of a pick.
//!
//! It is written from Apache's semantics and the ledger of deviations, not from the
//! crate: every question is answered by walking over all members. Read it to learn the
//! rules; the crate must come to the same answers at every step.

use std::collections::BTreeMap;
use std::time::Duration;

use equipoise::testkit::models::{Election, MemberRole, eligible};
use equipoise::{Flag, MemberSpec, PickError, Session, Status, Weight};

use crate::member::{Key, Member, facts};
use crate::methods::Method;

/// What a request brings, in the model's terms.
#[derive(Debug, Default)]
pub(crate) struct Request<'r> {
    pub(crate) tried: Vec<Key>,
    pub(crate) sessions: bool,
    pub(crate) route: Option<&'r str>,
    pub(crate) no_failover: bool,
}

/// What an operator says of a name; `None` leaves it to the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) flags: BTreeMap<Flag, bool>,
    pub(crate) weight: Option<Weight>,
    pub(crate) tier: Option<u16>,
    pub(crate) route: Option<&'static str>,
    pub(crate) cap: Option<u32>,
}

fn is_health(flag: Flag) -> bool {
    matches!(flag, Flag::Ejected | Flag::FailedCheck | Flag::InError)
}

fn without_flags(spec: &MemberSpec) -> MemberSpec {
    let flags = Flag::ALL.into_iter();
    flags.fold(spec.clone(), MemberSpec::without_flag)
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) members: Vec<Member>,
    /// By name, whether there is such a member or not.
    pub(crate) said: BTreeMap<String, Said>,
    pub(crate) books: Election,
    pub(crate) now: Duration,
    forced_recovery: bool,
    orders: u64,
    /// Who may be elected, in tie order, and who of them stands in as a spare.
    group: Vec<(Key, bool)>,
}

impl Model {
    pub(crate) fn new(method: Method, forced_recovery: bool) -> Self {
        Self {
            members: Vec::new(),
            said: BTreeMap::new(),
            books: method.election(),
            now: Duration::ZERO,
            forced_recovery,
            orders: 0,
            group: Vec::new(),
        }
    }

    /// The members in configuration order.
    pub(crate) fn here(&self) -> Vec<Key> {
        let mut here: Vec<Key> = (0..self.members.len())
            .filter(|&key| self.members[key].order.is_some())
            .collect();
        here.sort_by_key(|&key| self.members[key].order);
        here
    }

    pub(crate) fn key(&self, name: &str) -> Option<Key> {
        self.here()
            .into_iter()
            .find(|&key| self.members[key].name == name)
    }

    /// The members that may be elected, in tie order.
    pub(crate) fn group(&self) -> Vec<Key> {
        self.group.iter().map(|&(key, _)| key).collect()
    }

    // What operators do. Each is a publication: `refresh` must follow.

    /// Inserts or updates by name. Who is there keeps all but spec and payload; who was
    /// removed while requests of it go on returns with its counters and its health, at
    /// the end of the order; anybody else is new.
    pub(crate) fn put(&mut self, name: &str, payload: u32, spec: &MemberSpec) -> Key {
        let returning = || {
            (0..self.members.len()).find(|&key| {
                let member = &self.members[key];
                member.name == name && member.order.is_none() && member.in_flight > 0
            })
        };
        let key = match self.key(name).or_else(returning) {
            Some(key) => key,
            None => {
                self.members.push(Member {
                    name: name.into(),
                    source: spec.clone(),
                    spec: spec.clone(),
                    payload,
                    order: None,
                    status: spec.status(),
                    error_since: self.now,
                    retries: 0,
                    in_flight: 0,
                    elected: 0,
                    bytes: 0,
                    touched: true,
                });
                self.members.len() - 1
            }
        };
        let member = &mut self.members[key];
        (member.payload, member.source, member.touched) = (payload, spec.clone(), true);
        if member.order.is_none() {
            self.orders += 1;
            member.order = Some(self.orders);
        }
        self.settle(key);
        key
    }

    /// Changes what the source says; flags stay.
    pub(crate) fn edit(&mut self, key: Key, edit: impl FnOnce(MemberSpec) -> MemberSpec) {
        let member = &mut self.members[key];
        member.source = edit(member.source.clone());
        self.settle(key);
    }

    /// Changes what an operator says of a name.
    pub(crate) fn say(&mut self, name: &str, say: impl FnOnce(&mut Said)) {
        say(self.said.entry(name.into()).or_default());
        if let Some(key) = self.key(name) {
            self.settle(key);
        }
    }

    /// What the operator says holds, else what the source says; health is neither's.
    /// Flags alone are no part of `touched`: a method hears of them by who joins or leaves.
    fn settle(&mut self, key: Key) {
        let now = self.now;
        let member = &mut self.members[key];
        let said = self.said.get(&member.name).cloned().unwrap_or_default();
        let source = &member.source;
        let mut spec = without_flags(source)
            .with_weight(said.weight.unwrap_or(source.weight()))
            .with_tier(said.tier.unwrap_or(source.tier()))
            .with_route(said.route.or(source.route()).unwrap_or_default());
        if let Some(cap) = said.cap {
            spec = spec.with_max_in_flight(cap);
        }
        let holds = |flag: Flag| match said.flags.get(&flag) {
            _ if is_health(flag) => member.status.contains(flag),
            Some(&on) => on,
            None => source.status().contains(flag),
        };
        let flags = Flag::ALL.into_iter().filter(|&flag| holds(flag));
        let status = flags.fold(Status::NORMAL, Status::with);
        member.touched |= spec != without_flags(&member.spec);
        member.spec = spec;
        member.set_status(status, now);
    }

    /// Changes what a request or a check has found.
    pub(crate) fn set_health(&mut self, key: Key, flag: Flag, on: bool) {
        let status = self.members[key].status;
        let status = if on {
            status.with(flag)
        } else {
            status.without(flag)
        };
        self.members[key].set_status(status, self.now);
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.members[key].order = None;
    }

    pub(crate) fn set_method(&mut self, method: Method) {
        self.books = method.election();
        self.group.clear();
        self.refresh();
    }

    pub(crate) fn reset_standings(&mut self) {
        self.books.reset();
        for member in &mut self.members {
            member.touched = true;
        }
        self.refresh();
    }

    // What time and events do.

    /// Finds anew who may be elected, and tells the method what changed.
    ///
    /// Happens after every change by an operator and before every pick.
    pub(crate) fn refresh(&mut self) {
        let now = self.now;
        for key in self.here() {
            if self.members[key].due().is_some_and(|due| due <= now) {
                self.members[key].leave_error();
            }
        }
        let mut group = self.walk();
        if group.is_empty() && self.forced_recovery {
            // Ledger row 5: errors and ejections end where nothing else keeps a member out.
            for key in self.here() {
                let member = &mut self.members[key];
                let status = member.status.without(Flag::Ejected);
                if status.without(Flag::InError).is_usable() {
                    member.status = status;
                    if member.is(Flag::InError) {
                        member.leave_error();
                    }
                }
            }
            group = self.walk();
        }
        self.tell(group);
    }

    fn tell(&mut self, group: Vec<(Key, bool)>) {
        let before = self.roles(&self.group);
        let touched = |key: Key, spare: bool| {
            before[key].is_some_and(|was| was != spare || self.members[key].touched)
        };
        let touched: Vec<Key> = group
            .iter()
            .filter(|&&(key, spare)| touched(key, spare))
            .map(|&(key, _)| key)
            .collect();
        let keys: Vec<Key> = group.iter().map(|&(key, _)| key).collect();
        self.books.follow(&keys, &touched, facts(&self.members));
        self.group = group;
        for member in &mut self.members {
            member.touched = false;
        }
    }

    /// By key: in the group, and there as a spare?
    fn roles(&self, group: &[(Key, bool)]) -> Vec<Option<bool>> {
        let mut roles = vec![None; self.members.len()];
        for &(key, spare) in group {
            roles[key] = Some(spare);
        }
        roles
    }

    /// The members that may be elected, and who of them stands in as a spare.
    fn walk(&self) -> Vec<(Key, bool)> {
        let here = self.here().into_iter();
        let here: Vec<(Key, i64)> = here
            .map(|key| (key, i64::from(self.members[key].spec.tier())))
            .collect();
        eligible(&here, true, |key| {
            let member = &self.members[key];
            let mut role = MemberRole::new();
            role.is_able = member.status.is_usable() && !member.is(Flag::Draining);
            role.is_spare = member.is(Flag::HotSpare);
            role.is_standby = member.is(Flag::HotStandby);
            role
        })
    }

    // What requests do.

    /// One pick, entered in all books.
    pub(crate) fn pick(&mut self, request: &Request<'_>) -> Result<(Key, Session), PickError> {
        self.refresh();
        let group = self.group();
        let session = match request.route {
            None if request.sessions => Session::New,
            None => Session::Off,
            Some(route) => {
                let mut full = false;
                if let Some(key) = self.find_session(route, request, &mut full, &mut Vec::new()) {
                    if group.contains(&key) {
                        self.books.enter(key, &group, facts(&self.members));
                    }
                    self.count_in(key);
                    let own = self.members[key].spec.route() == Some(route);
                    let session = if own {
                        Session::Hit
                    } else {
                        Session::Redirected
                    };
                    return Ok((key, session));
                }
                let owned = self.here().iter().any(|&key| {
                    let member = &self.members[key];
                    member.spec.route() == Some(route)
                });
                match (request.no_failover && owned, full) {
                    (true, true) => return Err(PickError::AtCapacity),
                    (true, false) => {
                        let route = route.into();
                        return Err(PickError::SessionLost { route });
                    }
                    (false, _) => Session::Lost,
                }
            }
        };
        let facts = facts(&self.members);
        match self.books.elect(&group, &request.tried, facts) {
            Some(key) => {
                self.count_in(key);
                Ok((key, session))
            }
            None => Err(self.nobody(&group, request)),
        }
    }

    /// Spec section 3.5: members of the route that are no standbys, then standbys, each
    /// in configuration order; where one cannot serve, its redirect route is followed.
    /// Tier, spare and draining do not matter. Each route is looked at once.
    fn find_session<'m>(
        &'m self,
        route: &'m str,
        request: &Request<'_>,
        full: &mut bool,
        seen: &mut Vec<&'m str>,
    ) -> Option<Key> {
        seen.push(route);
        for standby in [false, true] {
            for key in self.here() {
                let member = &self.members[key];
                if member.spec.route() != Some(route) || member.is(Flag::HotStandby) != standby {
                    continue;
                }
                let may = member.status.is_usable() && !request.tried.contains(&key);
                if may && member.has_room() {
                    return Some(key);
                }
                *full |= may;
                let redirect = member.spec.redirect_route();
                if let Some(redirect) = redirect.filter(|redirect| !seen.contains(redirect)) {
                    let found = self.find_session(redirect, request, full, seen);
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
        None
    }

    fn nobody(&self, group: &[Key], request: &Request<'_>) -> PickError {
        let here = self.here();
        let untried = group.iter().filter(|key| !request.tried.contains(key));
        if untried.count() > 0 {
            return PickError::AtCapacity;
        }
        if here.is_empty() {
            return PickError::Empty;
        }
        // Only a recovery that makes somebody usable is worth coming again for.
        let rescues = |key: &&Key| {
            let status = self.members[**key].status;
            status.without(Flag::InError).is_usable()
        };
        let due = here.iter().filter(rescues);
        let due = due.filter_map(|&key| self.members[key].due()).min();
        PickError::NoneUsable {
            members: here.len(),
            tried: request.tried.len(),
            retry_after: due.map(|due| due.saturating_sub(self.now)),
        }
    }

    fn count_in(&mut self, key: Key) {
        self.members[key].in_flight += 1;
        self.members[key].elected += 1;
    }

    pub(crate) fn end(&mut self, key: Key) {
        self.members[key].in_flight -= 1;
        self.books.ended(key, self.members[key].contender());
    }

    pub(crate) fn put_in_error(&mut self, key: Key) {
        let now = self.now;
        let member = &mut self.members[key];
        if !member.is(Flag::IgnoreErrors) {
            member.status = member.status.with(Flag::InError);
            member.error_since = now;
        }
    }
}
