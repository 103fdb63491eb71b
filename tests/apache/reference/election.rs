//! Who is elected: the retry rule's callers, forced recovery, the walk, the methods, the sticky
//! route, and what each does to the books.
//!
//! Specification 2.1 to 2.7 and 3.5; every branch on [`Fix`] is one row of the ledger. Nothing
//! here knows whether the member that is elected will answer.

use equipoise::testkit::models::{MemberRole, eligible};

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
            let (members, full) = (&self.members, self.has(Fix::FullIsPassedOver));
            let facts = |at: usize| members[at].contender(full);
            self.election.follow(&group, &[], facts);
        }
    }

    /// The common walk (2.4): the members that compete, in the order that settles ties. Those in
    /// `without` are taken for disabled.
    pub fn group(&mut self, without: &[usize]) -> Vec<usize> {
        let now = self.now;
        let members = self.members.iter().enumerate();
        let sets: Vec<(usize, i64)> = members.map(|(at, member)| (at, member.set)).collect();
        let lone_spares = self.has(Fix::LoneSparesServe);
        let group = eligible(&sets, lone_spares, |at| {
            let member = &mut self.members[at];
            if !member.flags.draining && !member.usable() {
                member.retry(now);
            }
            let mut role = MemberRole::new();
            role.is_able = !member.flags.draining && member.usable() && !without.contains(&at);
            role.is_spare = member.flags.spare;
            role.is_standby = member.flags.standby;
            role
        });
        group.into_iter().map(|(at, _)| at).collect()
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
        let group = self.group(&[]);
        let (members, full) = (&self.members, self.has(Fix::FullIsPassedOver));
        let facts = |at: usize| members[at].contender(full);
        self.election.elect(&group, skipped, facts)
    }

    /// Whether a member is full, and this is no reason to wait for it.
    pub fn passes_over(&self, at: usize) -> bool {
        self.has(Fix::FullIsPassedOver) && self.members[at].is_full()
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
        let load = |at: usize, other: usize| self.members[at].busy * self.members[other].factor;
        reserve
            .into_iter()
            .min_by(|&a, &b| load(a, b).cmp(&load(b, a)))
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
        let counts_the_group = self.has(Fix::SessionBooks);
        let group = if counts_the_group {
            self.group(&[])
        } else {
            Vec::new()
        };
        let (members, full) = (&self.members, self.has(Fix::FullIsPassedOver));
        let facts = |at: usize| members[at].contender(full);
        if counts_the_group {
            if matches!(self.method, Method::ByBusyness | Method::ByRequests) {
                self.election.enter(hit, &group, facts);
            }
            return;
        }
        let usable: Vec<usize> = (0..members.len())
            .filter(|&at| members[at].usable())
            .collect();
        self.election.move_standings(&usable, hit, facts);
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
