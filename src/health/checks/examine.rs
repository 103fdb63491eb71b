//! One check of one member: [`examine`].
//!
//! Not here: what follows from its result (`driver`).

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::kept_connection::KeptConnection;
use super::lookup::Pending;
use super::plan::CheckPlan;
use super::{Check, ProbeError, ProbeTarget};
use crate::balancer::WeakBalancer;
use crate::member::{Flag, MemberState};
use crate::timer::timeout_at;

/// The inputs of one check.
pub(super) struct Examination<W> {
    pub(super) balancer: WeakBalancer<W>,
    pub(super) plan: Arc<CheckPlan<W>>,
    pub(super) state: Arc<MemberState>,
    pub(super) kept: KeptConnection,
    pub(super) pending: Pending,
    /// Only choose the check, without running it: the first check comes one interval later,
    /// and the interval depends on the check.
    pub(super) only_choose: bool,
}

/// The result of one check.
pub(super) struct CheckReport {
    /// The check that was chosen for the member; `None` if it is not checked.
    pub(super) check: Option<Check>,
    pub(super) found: Finding,
    /// Whether it took longer than half of its time limit.
    pub(super) was_slow: bool,
}

pub(super) enum Finding {
    Checked(Result<(), ProbeError>),
    /// The member was not checked.
    Nothing,
    /// The member's address changed during the check.
    Outdated,
    /// The member is stopped, and therefore not checked.
    Stopped,
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
    if it.state.status().contains(Flag::Stopped) {
        return CheckReport::of(None, Finding::Stopped);
    }
    let Some(ChosenCheck {
        check,
        payload,
        target,
    }) = choose(&it)
    else {
        return CheckReport::of(None, Finding::Nothing);
    };
    if it.only_choose {
        return CheckReport::of(Some(check), Finding::Nothing);
    }
    let began = Instant::now();
    let until = began + check.limit();
    let checked = target.as_ref().ok().cloned();
    let probing = async {
        let target = find(target?.keeping(it.kept.clone()), &it, until).await?;
        check.probe().probe(target).await
    };
    let result = match timeout_at(until, probing).await {
        Ok(result) => result,
        Err(_) => Err(ProbeError::from(format!(
            "{}: timed out after {:?}",
            check.probe().name(),
            check.limit()
        ))),
    };
    let was_slow = began.elapsed() > check.limit() / 2;
    let found = if has_moved(&it, &payload, checked.as_ref()) {
        Finding::Outdated
    } else {
        Finding::Checked(result)
    };
    CheckReport {
        check: Some(check),
        found,
        was_slow,
    }
}

/// The check of a member and its target, chosen for this run.
struct ChosenCheck<W> {
    check: Check,
    payload: Weak<W>,
    target: Result<ProbeTarget, ProbeError>,
}

/// Chooses the check of the member and its target. The payload is not kept alive any
/// longer.
fn choose<W>(it: &Examination<W>) -> Option<ChosenCheck<W>> {
    let balancer = it.balancer.upgrade()?;
    let name = it.state.name();
    let payload = balancer.payload(name)?;
    let check = match &it.plan.choose {
        Some(choose) => choose(name, &balancer.spec(name)?, &payload)?,
        None => it.plan.check.clone(),
    };
    let target = (it.plan.target)(&payload);
    Some(ChosenCheck {
        check,
        payload: Arc::downgrade(&payload),
        target,
    })
}

/// Returns whether the member has a new payload with another target. The result of the
/// check is then outdated.
fn has_moved<W>(it: &Examination<W>, before: &Weak<W>, checked: Option<&ProbeTarget>) -> bool {
    let payload = it.balancer.upgrade();
    let payload = payload.and_then(|balancer| balancer.payload(it.state.name()));
    // Sources often set an equal payload again.
    let Some(payload) = payload.filter(|now| before.as_ptr() != Arc::as_ptr(now)) else {
        return false;
    };
    match ((it.plan.target)(&payload), checked) {
        (Ok(target), Some(checked)) => !target.is_as(checked),
        (Err(_), None) => false,
        _ => true,
    }
}

/// Returns the target with addresses in place of a name.
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
