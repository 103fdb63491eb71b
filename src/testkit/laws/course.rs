//! One run of a case: a group, and a record of what happened.

use std::time::Duration;

use super::case::{LawCase, LawStep, name};
use super::violation::Breach;
use crate::balancer::PickRequest;
use crate::member::{MemberId, Outcome};
use crate::scheduler::Scheduler;
use crate::testkit::group::{Group, GroupPickError};

/// The result of a pick, by the member's name.
pub(super) type NamedPick = Result<String, GroupPickError>;

/// A case in progress.
#[derive(Debug)]
pub(super) struct LawCourse<S> {
    pub(super) group: Group<S>,
    pub(super) trace: Vec<String>,
}

impl<S: Scheduler> LawCourse<S> {
    pub(super) fn start(scheduler: S, case: &LawCase) -> Self {
        let mut group = Group::new(scheduler).with_seed(case.seed);
        for (at, member) in case.members.iter().enumerate() {
            group.insert(&name(at), member.spec());
        }
        Self {
            group,
            trace: Vec::new(),
        }
    }

    /// Makes a step. A pick returns its result.
    pub(super) fn step(&mut self, step: &LawStep) -> Option<NamedPick> {
        let mut text = step.to_string();
        let mut picked = None;
        let group = &mut self.group;
        match step {
            LawStep::Advance(millis) => group.advance(Duration::from_millis(*millis)),
            LawStep::Change(member, to) => {
                group.update(&name(*member), |_| to.spec());
            }
            LawStep::End(at, outcome) => {
                let count = group.in_flight();
                if count > 0 {
                    let of = group.member_at(at % count).unwrap_or_default();
                    text = text.replacen("a request", &format!("a request of {of}"), 1);
                    group.end_at(at % count, *outcome);
                }
            }
            LawStep::Flag(member, flag, true) => {
                group.set_flag(&name(*member), *flag);
            }
            LawStep::Flag(member, flag, false) => {
                group.clear_flag(&name(*member), *flag);
            }
            LawStep::Insert(member, it) => {
                group.insert(&name(*member), it.spec());
            }
            LawStep::Pick { key, tried } => {
                let result = self.pick(*key, tried);
                text.push_str(" -> ");
                text.push_str(&told(&result));
                picked = Some(result);
            }
            LawStep::Explain(key) => self.group.explain(&request(*key, &[])),
            LawStep::Plans(are_made) => group.make_plans(*are_made),
            LawStep::Reset => group.reset(),
            LawStep::Session(member) => {
                if group.pick_session(&name(*member)).is_none() {
                    text.push_str(" -> it cannot be picked");
                }
            }
            LawStep::Remove(member) => {
                group.remove(&name(*member));
            }
            LawStep::Thin(member, sixteenths) => {
                group.thin(&name(*member), *sixteenths);
            }
        }
        self.trace.push(text);
        picked
    }

    fn pick(&mut self, key: Option<u64>, tried: &[usize]) -> NamedPick {
        let tried = self.ids(tried);
        let picked = self.group.pick(&request(key, &tried))?;
        Ok(self.name_of(picked))
    }

    pub(super) fn peek(&self, key: Option<u64>, tried: &[usize]) -> Option<String> {
        let tried = self.ids(tried);
        let peeked = self.group.peek(&request(key, &tried))?;
        Some(self.name_of(peeked))
    }

    pub(super) fn ids(&self, members: &[usize]) -> Vec<MemberId> {
        let ids = members.iter().filter_map(|&at| self.group.id(&name(at)));
        ids.collect()
    }

    pub(super) fn name_of(&self, member: MemberId) -> String {
        let name = self.group.name_of(member);
        name.map_or_else(|| member.to_string(), ToOwned::to_owned)
    }

    /// Makes a step; a pick must have the result that the contract requires.
    pub(super) fn checked_step(&mut self, step: &LawStep) -> Result<Option<NamedPick>, Breach> {
        let expected = match step {
            LawStep::Pick { tried, .. } => Some(self.required(tried)),
            _ => None,
        };
        let picked = self.step(step);
        match (expected, picked) {
            (Some(expected), Some(picked)) if !expected.allows(&picked) => {
                let breach = Breach::new(expected.text(), told(&picked));
                Err(breach.after(self.trace.clone()))
            }
            (_, picked) => Ok(picked),
        }
    }

    /// The results that the contract allows for a pick.
    fn required(&self, tried: &[usize]) -> Required {
        let tried = self.ids(tried);
        let eligible = self.group.eligible();
        let untried = eligible.filter(|one| !tried.contains(&one.id()));
        let mut open = Vec::new();
        let mut is_full = false;
        for one in untried {
            if one.has_room() {
                open.push(one.state().name().to_owned());
            } else {
                is_full = true;
            }
        }
        match (open.is_empty(), is_full) {
            (false, _) => Required::OneOf(open),
            (true, true) => Required::AtCapacity,
            (true, false) => Required::NoneUsable,
        }
    }

    /// Ends all requests.
    pub(super) fn end_all(&mut self) {
        while self.group.end_oldest(Outcome::Success).is_some() {}
    }
}

/// Creates the request of a pick.
pub(super) fn request(key: Option<u64>, tried: &[MemberId]) -> PickRequest<'_> {
    let request = PickRequest::new().with_tried(tried);
    match key {
        Some(key) => request.with_hash(key),
        None => request,
    }
}

/// The result of a pick as text.
pub(super) fn told(picked: &NamedPick) -> String {
    match picked {
        Ok(name) => name.clone(),
        // Without the ids, which differ from run to run.
        Err(GroupPickError::SecondClaim(_)) => "a claim after one that succeeded".to_owned(),
        Err(GroupPickError::Unreturned(_)) => "a claim that was not returned".to_owned(),
        Err(error) => error.to_string(),
    }
}

enum Required {
    AtCapacity,
    NoneUsable,
    OneOf(Vec<String>),
}

impl Required {
    fn allows(&self, picked: &NamedPick) -> bool {
        match (self, picked) {
            (Self::AtCapacity, Err(error)) => *error == GroupPickError::AtCapacity,
            (Self::NoneUsable, Err(error)) => *error == GroupPickError::NoneUsable,
            (Self::OneOf(names), Ok(name)) => names.contains(name),
            _ => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::AtCapacity => "at capacity: only members at their caps are left".to_owned(),
            Self::NoneUsable => "none usable: no untried member is eligible".to_owned(),
            Self::OneOf(names) => {
                format!(
                    "{}: eligible, untried and below its cap",
                    names.join(" or ")
                )
            }
        }
    }
}
