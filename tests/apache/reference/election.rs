//! Who is elected: the retry rule's callers, forced recovery, the walk, the methods, the sticky
//! route, and what each does to the books.
//!
//! Specification 2.1 to 2.7 and 3.5; every branch on [`Fix`] is one row of the ledger. Nothing
//! here knows whether the member that is elected will answer.

use std::cmp::Ordering;

use super::fixes::Fix;
use super::params::SECOND;
use super::site::{Method, Site};

/// What one election came to.
#[derive(Debug, Eq, PartialEq)]
pub enum Elected {
    /// By the method.
    Member(usize),
    Nobody,
    /// A draw among several decides: the model cannot say.
    Random,
}

impl Site {
    /// What precedes every attempt: forced recovery (2.3), or what the fixes put in its place.
    pub fn recover(&mut self) {
        self.recover_by_fixes();
        if self.has(Fix::ForgiveOnlyError) {
            return;
        }
        let now = self.now;
        for member in &mut self.members {
            member.retry(now);
            if !member.flags.error {
                return;
            }
        }
        if self.force_recovery {
            for member in &mut self.members {
                member.flags.error = false;
            }
        }
    }

    /// What the fixes do before every attempt, and when the manager has changed a member.
    pub fn recover_by_fixes(&mut self) {
        if self.has(Fix::RecoveryOfAll) {
            let now = self.now;
            for member in &mut self.members {
                // When the delay has passed, not after it.
                member.retry(now + 1);
            }
        }
        let forgives = self.has(Fix::ForgiveOnlyError) && self.force_recovery;
        if forgives && self.group(&[]).is_empty() {
            for member in &mut self.members {
                let mut without = member.clone();
                without.flags.error = false;
                if without.usable() {
                    member.flags.error = false;
                }
            }
        }
        let follows = self.has(Fix::JoinAtMinimum) || self.has(Fix::JoinWithNothing);
        if follows && self.method == Method::ByTraffic {
            let group = self.group(&[]);
            self.follow_group(group);
        }
    }

    /// The common walk (2.4): the members that compete, in the order that settles ties. Those in
    /// `without` are taken for disabled.
    pub fn group(&mut self, without: &[usize]) -> Vec<usize> {
        let mut sets: Vec<i64> = self.members.iter().map(|member| member.set).collect();
        sets.sort_unstable();
        sets.dedup();
        let mut lone_spares = Vec::new();
        for set in sets {
            let (mut group, mut spares, mut standbys) = (Vec::new(), Vec::new(), Vec::new());
            let mut unusable = 0;
            for at in 0..self.members.len() {
                let now = self.now;
                let member = &mut self.members[at];
                if member.set != set {
                    continue;
                }
                let (spare, standby) = (member.flags.spare, member.flags.standby);
                if member.flags.draining {
                    unusable += usize::from(!spare && !standby);
                    continue;
                }
                if !member.usable() {
                    member.retry(now);
                }
                let usable = member.usable() && !without.contains(&at);
                match (usable, spare, standby) {
                    (true, true, _) => spares.push(at),
                    (true, false, true) => standbys.push(at),
                    (true, false, false) => group.push(at),
                    (false, false, false) => unusable += 1,
                    (false, ..) => {}
                }
            }
            if lone_spares.is_empty() && group.is_empty() && unusable == 0 {
                lone_spares.clone_from(&spares);
            }
            group.extend(spares.into_iter().take(unusable));
            if group.is_empty() {
                group = standbys;
            }
            if !group.is_empty() {
                return group;
            }
        }
        if self.has(Fix::LoneSparesServe) {
            return lone_spares;
        }
        Vec::new()
    }

    /// The method's election (2.5), without those that `tried` excludes.
    pub fn elect(&mut self, tried: &[usize]) -> Elected {
        let skipped: &[usize] = if self.has(Fix::NeverTwice) {
            tried
        } else {
            &[]
        };
        let elected = if self.method == Method::Heartbeat {
            match self.draw(skipped) {
                Draw::Random => return Elected::Random,
                Draw::Nobody => None,
                Draw::Member(at) => Some(at),
            }
        } else {
            self.elect_from_group(skipped)
        };
        let reserve = |site: &mut Self| site.elect_in_reserve(tried);
        match elected.or_else(|| reserve(self)) {
            Some(at) => {
                self.members[at].elected += 1;
                Elected::Member(at)
            }
            None => Elected::Nobody,
        }
    }

    /// By requests, traffic or busyness.
    pub fn elect_from_group(&mut self, skipped: &[usize]) -> Option<usize> {
        let mut group = self.competitors();
        let free = group.iter().copied().filter(|at| !skipped.contains(at));
        let mut free: Vec<usize> = free.collect();
        if self.method == Method::ByTraffic {
            free.retain(|&at| !self.passes_over(at));
            return self.first(&free, Self::compare_traffic);
        }
        let best = loop {
            let best = if self.method == Method::ByBusyness {
                self.first(&free, |site, a, b| {
                    let by_busy = site.members[a].busy.cmp(&site.members[b].busy);
                    by_busy.then_with(|| site.compare_standing(a, b))
                })
            } else {
                self.first(&free, Self::compare_standing)
            }?;
            if !self.passes_over(best) {
                break best;
            }
            self.members[best].parked = true;
            group.retain(|&at| at != best);
            free.retain(|&at| at != best);
        };
        self.move_standings(&group, best);
        Some(best)
    }

    /// The group without those whose standings rest ([`Fix::FullIsPassedOver`]).
    fn competitors(&mut self) -> Vec<usize> {
        let mut group = self.group(&[]);
        for at in 0..self.members.len() {
            let rests = self.passes_over(at) && group.contains(&at);
            self.members[at].parked &= rests;
        }
        group.retain(|&at| !self.members[at].parked);
        group
    }

    /// Whether a member is full, and this is no reason to wait for it.
    pub fn passes_over(&self, at: usize) -> bool {
        self.has(Fix::FullIsPassedOver) && self.members[at].is_full()
    }

    /// Each of the group gains its weight, and the one that serves pays for all.
    fn move_standings(&mut self, group: &[usize], serves: usize) {
        for &at in group {
            self.members[at].lbstatus += self.members[at].factor;
        }
        self.members[serves].lbstatus -= self.weight_of(group);
    }

    /// The first of those that no other is strictly before.
    fn first(
        &self,
        group: &[usize],
        compare: impl Fn(&Self, usize, usize) -> Ordering,
    ) -> Option<usize> {
        let mut best: Option<usize> = None;
        for &at in group {
            if best.is_none_or(|best| compare(self, at, best).is_lt()) {
                best = Some(at);
            }
        }
        best
    }

    fn compare_standing(&self, a: usize, b: usize) -> Ordering {
        let standing = |at: usize| self.members[at].lbstatus + self.members[at].factor;
        standing(b).cmp(&standing(a))
    }

    fn compare_traffic(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (&self.members[a], &self.members[b]);
        if self.has(Fix::ExactTraffic) {
            let left = (i128::from(a.transferred + a.read) + a.credit) * i128::from(b.factor);
            let right = (i128::from(b.transferred + b.read) + b.credit) * i128::from(a.factor);
            return left.cmp(&right);
        }
        let load = |member: &super::member::Member| {
            member.transferred / member.factor + member.read / member.factor
        };
        load(a).cmp(&load(b))
    }

    fn weight_of(&self, group: &[usize]) -> i64 {
        group.iter().map(|&at| self.members[at].factor).sum()
    }

    /// Whoever comes into the group for the first time has nothing on its account
    /// ([`Fix::JoinWithNothing`]), and whoever has come since the last look starts at the least of
    /// those who were there ([`Fix::JoinAtMinimum`]).
    fn follow_group(&mut self, group: Vec<usize>) {
        for &at in group
            .iter()
            .filter(|_| self.fixes.contains(&Fix::JoinWithNothing))
        {
            let member = &mut self.members[at];
            if !std::mem::replace(&mut member.counts, true) {
                member.credit = -i128::from(member.transferred + member.read);
            }
        }
        let stayed = group
            .iter()
            .copied()
            .filter(|at| self.last_group.contains(at));
        let stayed: Vec<usize> = stayed.collect();
        let least = self.first(&stayed, Self::compare_traffic);
        if let Some(least) = least.filter(|_| self.has(Fix::JoinAtMinimum)) {
            let least = &self.members[least];
            let (bytes, weight) = (least.counted(), i128::from(least.factor));
            for &at in &group {
                let member = &mut self.members[at];
                let floor = (bytes * i128::from(member.factor) + weight - 1) / weight;
                if !stayed.contains(&at) && member.counted() < floor {
                    member.credit += floor - member.counted();
                }
            }
        }
        self.last_group = group;
    }

    /// [`Fix::StandbyReserve`]: when a request has tried all who are eligible, whoever would be
    /// eligible without them serves, the least busy for its weight; nobody's books move, unless
    /// the scheduler knows it.
    fn elect_in_reserve(&mut self, tried: &[usize]) -> Option<usize> {
        if !self.has(Fix::StandbyReserve) || tried.is_empty() {
            return None;
        }
        let mut reserve = self.group(tried);
        reserve.retain(|&at| !self.passes_over(at));
        let load = |site: &Self, at: usize, other: usize| {
            site.members[at].busy * site.members[other].factor
        };
        self.first(&reserve, |site, a, b| {
            load(site, a, b).cmp(&load(site, b, a))
        })
    }

    /// The member that serves a session's route (3.5), over redirects.
    pub fn find_route(&mut self, route: &str, depth: usize, skipped: &[usize]) -> Option<usize> {
        let now = self.now;
        for standby in [false, true] {
            for at in 0..self.members.len() {
                let member = &mut self.members[at];
                if member.flags.standby != standby || route.is_empty() || member.route != route {
                    continue;
                }
                member.retry(now);
                let redirect = member.redirect.clone();
                let usable = member.usable() && !skipped.contains(&at);
                if usable && !self.passes_over(at) {
                    return Some(at);
                }
                if !redirect.is_empty() && depth < self.members.len() {
                    let found = self.find_route(&redirect, depth + 1, skipped);
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
        None
    }

    /// A session's hit (2.7): what it does to the books.
    pub fn hit(&mut self, hit: usize) {
        self.members[hit].elected += 1;
        let considered = if self.has(Fix::SessionBooks) {
            let by_standing = matches!(self.method, Method::ByBusyness | Method::ByRequests);
            let group = self.competitors();
            if !by_standing || !group.contains(&hit) {
                return;
            }
            group
        } else {
            (0..self.members.len())
                .filter(|&at| self.members[at].usable())
                .collect()
        };
        self.move_standings(&considered, hit);
    }
}

/// The outcome of a draw.
#[derive(Debug, Eq, PartialEq)]
pub enum Draw {
    Member(usize),
    Nobody,
    Random,
}

impl Site {
    /// Who would be drawn, which the model says only where there is no choice. A report counts for 10 s; an idle server's slots count a quarter; the
    /// draw includes its upper end, so the last server is drawn even with nothing ready.
    pub fn draw(&mut self, skipped: &[usize]) -> Draw {
        let fixed = self.has(Fix::Heartbeats);
        let group = if fixed {
            self.group(&[])
        } else {
            (0..self.members.len()).collect()
        };
        let mut by_ip: Vec<(String, usize)> = Vec::new();
        let mut up = Vec::new();
        let mut open = 0;
        for at in group {
            let (now, is_passed_over) = (self.now, self.passes_over(at));
            let member = &mut self.members[at];
            let Some(report) = self.reports.get(&member.ip).copied() else {
                continue;
            };
            if !member.usable() {
                member.retry(now);
            }
            if !member.usable() || is_passed_over || skipped.contains(&at) {
                continue;
            }
            by_ip.push((member.ip.clone(), at));
            let age = report.at.map_or(report.age, |at| (now - at) / SECOND);
            if age < 10 {
                let idle = report.busy == 0 && report.ready != 0;
                let quarter = (report.ready / 4).max(i64::from(fixed));
                let ready = if idle { quarter } else { report.ready };
                open += if fixed { ready.max(0) } else { ready };
                up.push((at, member.ip.clone(), ready));
            }
        }
        if open <= 0 && self.has(Fix::HeartbeatFallback) {
            return self
                .elect_from_group(skipped)
                .map_or(Draw::Nobody, Draw::Member);
        }
        if open == 0 {
            return Draw::Nobody;
        }
        let last = up.len() - 1;
        let mut drawn: Vec<usize> = Vec::new();
        for (place, (at, ip, ready)) in up.into_iter().enumerate() {
            // Both of one address are the later one, unless the fix keeps them apart.
            let of_ip = by_ip.iter().rfind(|(other, _)| *other == ip && !fixed);
            let at = of_ip.map_or(at, |(_, at)| *at);
            if (ready != 0 || (place == last && !fixed)) && !drawn.contains(&at) {
                drawn.push(at);
            }
        }
        match drawn[..] {
            [] => Draw::Nobody,
            [only] => Draw::Member(only),
            _ => Draw::Random,
        }
    }
}
