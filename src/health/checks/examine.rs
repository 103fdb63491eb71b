//! One check of one member: [`examine`].
//!
//! What does not live here: what follows from it (`driver`).

use std::sync::Arc;

use tokio::time::Instant;

use super::kept::KeptLine;
use super::lookup::Pending;
use super::plan::CheckPlan;
use super::{Check, ProbeError, ProbeTarget};
use crate::balancer::WeakBalancer;
use crate::member::{Flag, MemberState};
use crate::timer::timeout_at;

/// What is needed for it.
pub(super) struct Examination<W> {
    pub(super) balancer: WeakBalancer<W>,
    pub(super) plan: Arc<CheckPlan<W>>,
    pub(super) state: Arc<MemberState>,
    pub(super) kept: KeptLine,
    pub(super) pending: Pending,
    /// The first check comes one interval later, which depends on the check.
    pub(super) only_choose: bool,
}

/// What it has come to.
pub(super) struct CheckReport {
    /// The check that was chosen for the member, if it is checked.
    pub(super) check: Option<Check>,
    pub(super) found: Finding,
    /// Whether it took longer than half of its time limit.
    pub(super) was_slow: bool,
}

pub(super) enum Finding {
    Checked(Result<(), ProbeError>),
    /// It was not checked.
    Nothing,
}

impl CheckReport {
    pub(super) const fn of(check: Option<Check>, found: Finding) -> Self {
        Self {
            check,
            found,
            was_slow: false,
        }
    }
}

pub(super) async fn examine<W>(it: Examination<W>) -> CheckReport {
    let stopped = it.state.status().contains(Flag::Stopped);
    let chosen = if stopped { None } else { choose(&it) };
    let Some((check, target)) = chosen else {
        return CheckReport::of(None, Finding::Nothing);
    };
    if it.only_choose {
        return CheckReport::of(Some(check), Finding::Nothing);
    }
    let began = Instant::now();
    let until = began + check.limit();
    let probing = async {
        let target = find(target?.keeping(it.kept.clone()), &it, until).await?;
        check.probe().probe(target).await
    };
    let result = match timeout_at(until, probing).await {
        Ok(result) => result,
        Err(_) => Err(ProbeError::from(format!(
            "{}: not over after {:?}",
            check.probe().name(),
            check.limit()
        ))),
    };
    let was_slow = began.elapsed() > check.limit() / 2;
    CheckReport {
        check: Some(check),
        found: Finding::Checked(result),
        was_slow,
    }
}

/// The check of the member, and where it is checked. No payload is held any longer.
fn choose<W>(it: &Examination<W>) -> Option<(Check, Result<ProbeTarget, ProbeError>)> {
    let balancer = it.balancer.upgrade()?;
    let name = it.state.name();
    let payload = balancer.payload(name)?;
    let check = match &it.plan.choose {
        Some(choose) => choose(name, &balancer.spec(name)?, &payload)?,
        None => it.plan.check.clone(),
    };
    let target = (it.plan.target)(&payload);
    Some((check, target))
}

/// The target with addresses in place of a name.
async fn find<W>(
    target: ProbeTarget,
    it: &Examination<W>,
    until: Instant,
) -> Result<ProbeTarget, ProbeError> {
    let Some(name) = target.connector().unresolved() else {
        return Ok(target);
    };
    let found = it.plan.lookups.find(name, &it.pending, until).await?;
    let connector = target.connector().clone().found_at(found);
    Ok(target.connecting_by(connector))
}
