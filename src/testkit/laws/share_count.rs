//! Picks that are counted by member: [`ShareCount`], and the changes of the members before.
//!
//! Not here: the shares that a law allows (`shares.rs`).

use super::case::{LawCase, LawMember, LawStep, name};
use super::course::LawCourse;
use super::violation::Breach;
use crate::balancer::PickRequest;
use crate::member::{MemberId, Outcome};
use crate::scheduler::Scheduler;
use crate::testkit::group::GroupPickError;

/// How many picks there are before the members change.
const BEFORE: usize = 150;

/// How many picks there are while the first member is removed.
const MEANWHILE: usize = 20;

/// Makes picks one after the other, and counts them by member.
pub(super) struct ShareCount<S> {
    pub(super) course: LawCourse<S>,
    ids: Vec<MemberId>,
    in_flight: usize,
}

impl<S: Scheduler> ShareCount<S> {
    /// Starts with the members of the case. If their number or weights are to change first,
    /// the case describes them as they are after the changes.
    pub(super) fn start(
        make: &impl Fn() -> S,
        case: &LawCase,
        in_flight: usize,
    ) -> Result<Self, Breach> {
        let course = if case.changes {
            LawCourse::start(make(), &joined(case))
        } else {
            LawCourse::start(make(), case)
        };
        let mut count = Self {
            course,
            ids: Vec::new(),
            in_flight,
        };
        if case.changes {
            count.change(case)?;
        }
        let members: Vec<usize> = (0..case.members.len()).collect();
        count.ids = count.course.ids(&members);
        Ok(count)
    }

    /// Two members join and leave; the first one leaves and returns, in the slot of another;
    /// the last one gets the weight that it has in the case.
    fn change(&mut self, case: &LawCase) -> Result<(), Breach> {
        let members = case.members.len();
        let last = members - 1;
        let other = joined(case).members[last];
        let trace = &mut self.course.trace;
        trace.push(format!(
            "{} begins with another setting: {other}",
            name(last)
        ));
        for extra in [members, members + 1] {
            self.course.step(&LawStep::Insert(extra, LawMember::PLAIN));
        }
        self.unmeasured(BEFORE)?;
        self.course.step(&LawStep::Remove(0));
        self.course.step(&LawStep::Remove(members));
        self.unmeasured(MEANWHILE)?;
        let first = if last == 0 { other } else { case.members[0] };
        self.course.step(&LawStep::Insert(0, first));
        self.course.step(&LawStep::Remove(members + 1));
        self.course.step(&LawStep::Change(last, case.members[last]));
        Ok(())
    }

    /// Picks without a count. All requests have ended afterwards, so the slots of members
    /// that leave are free.
    fn unmeasured(&mut self, picks: usize) -> Result<(), Breach> {
        self.course.trace.push(format!("{picks} picks"));
        for _ in 0..picks {
            if let Err(error) = self.picked() {
                let breach = Breach::new("a pick of one of the members", error.to_string());
                return Err(breach.after(self.course.trace.clone()));
            }
        }
        self.course.end_all();
        Ok(())
    }

    /// Resets the scheduler if the members have changed.
    pub(super) fn start_equal(&mut self) {
        if !self.course.trace.is_empty() {
            self.course.group.reset();
            self.course.trace.push("the scheduler is reset".to_owned());
        }
    }

    /// The oldest request ends if too many are in flight.
    fn picked(&mut self) -> Result<MemberId, GroupPickError> {
        let group = &mut self.course.group;
        let picked = group.pick(&PickRequest::new());
        while group.in_flight() >= self.in_flight.max(1) {
            group.end_oldest(Outcome::Success);
        }
        picked
    }

    /// Picks once, and returns the number of the member.
    pub(super) fn pick(&mut self) -> Result<usize, Breach> {
        let picked = self.picked();
        let member = picked
            .ok()
            .and_then(|id| self.ids.iter().position(|&it| it == id));
        member.ok_or_else(|| {
            let found = picked.map_or_else(|error| error.to_string(), |id| id.to_string());
            let breach = Breach::new("a pick of one of the members", found);
            breach.after(self.course.trace.clone())
        })
    }

    pub(super) fn counts(&mut self, picks: usize) -> Result<Vec<usize>, Breach> {
        let mut counts = vec![0; self.ids.len()];
        for _ in 0..picks {
            counts[self.pick()?] += 1;
        }
        Ok(counts)
    }
}

/// The members as they join: the last one with another weight than in the case.
fn joined(case: &LawCase) -> LawCase {
    let mut joined = case.clone();
    if let Some(last) = joined.members.last_mut() {
        // Not far below the weight in the case: a turn that is owed from before would be many
        // of the later ones.
        last.weight = match last.weight {
            700 => 100,
            3_001.. => last.weight * 2,
            _ => 700,
        };
    }
    joined
}
