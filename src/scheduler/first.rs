//! [`First`]: fills one member before the next.

use super::{Candidate, Candidates, Pick, PickContext, PickDetails, Scheduler};
use crate::member::{MAX_IN_FLIGHT, MemberId};

/// Picks the first member that is below its limit on requests in flight, in configuration
/// order (HAProxy: `balance first`, which orders servers by `id`, and so as configured if that
/// is not set).
///
/// Use it to serve with as few members as possible, so that the others can be switched off,
/// or for licences that are paid by member in use. Each member needs a
/// [limit](crate::MemberSpec::with_max_in_flight): a member without one gets all requests
/// that reach it, and the members after it get none. [`explain`](crate::Balancer::explain)
/// has a remark then. Members of long-lived or cheap requests suit this scheduler; weights
/// do not matter.
///
/// As requests end, first members have room again, so that the last ones become idle by
/// themselves. A failed request goes to the next member.
///
/// Source: HAProxy, `lb_fas.c`. Cost: a pick examines the members that are at their limits
/// and one more. It takes no lock.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::First;
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// let spec = MemberSpec::new().with_max_in_flight(2);
/// let balancer = Balancer::builder()
///     .scheduler(First::new())
///     .members(["a", "b", "c"].map(|name| (name, (), spec.clone())))
///     .build()?;
/// let mut leases: Vec<_> = (0..3)
///     .map(|_| balancer.pick(&PickRequest::new()).unwrap())
///     .collect();
/// let names: Vec<_> = leases.iter().map(|lease| lease.member().name()).collect();
/// assert_eq!(names, ["a", "a", "b"]);
/// leases.remove(0);
/// assert_eq!(balancer.pick(&PickRequest::new()).unwrap().member().name(), "a");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct First;

impl First {
    /// Creates a scheduler.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Scheduler;
    /// use equipoise::scheduler::First;
    ///
    /// assert_eq!(First::new().name(), "first");
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Scheduler for First {
    fn name(&self) -> &'static str {
        "first"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        candidates
            .iter()
            .find(Candidate::has_room)
            .map(|one| one.id())
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let details =
            PickDetails::comparing("place in the configured order").ignoring_hash(context);
        let places = (1_u32..).zip(candidates.all());
        let untried = places.filter(|(_, one)| !candidates.tried().contains(&one.id()));
        let details = untried.fold(details, |details, (place, one)| {
            details.score(one.id(), f64::from(place))
        });
        let unlimited = |one: &Candidate<'_>| one.state().max_in_flight() == MAX_IN_FLIGHT;
        let mut from_unlimited = candidates.all().skip_while(|one| !unlimited(one));
        match (from_unlimited.next(), from_unlimited.count()) {
            (None, _) | (Some(_), 0) => details,
            (Some(one), hidden) => details.note(format!(
                "{} has no limit on requests in flight: {hidden} members after it get none while \
                 it is eligible",
                one.state().name()
            )),
        }
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "clippy does not know helpers of tests")]

    use super::First;
    use crate::balancer::{Balancer, PickError, PickRequest};
    use crate::member::{Flag, MemberSpec};

    fn balancer(caps: &[Option<u32>]) -> Balancer<()> {
        let members = caps.iter().enumerate().map(|(at, cap)| {
            let spec = MemberSpec::new();
            let spec = cap.map_or(spec.clone(), |cap| spec.with_max_in_flight(cap));
            (format!("m{at}"), (), spec)
        });
        let builder = Balancer::builder().scheduler(First::new());
        builder.members(members).build().unwrap()
    }

    #[test]
    fn a_member_is_filled_before_the_next() {
        let balancer = balancer(&[Some(2), Some(1), Some(3)]);
        let mut held = Vec::new();
        for expected in ["m0", "m0", "m1", "m2", "m2", "m2"] {
            let explained = balancer.explain(&PickRequest::new());
            assert_eq!(&*explained.picked().unwrap().name, expected);
            let lease = balancer.pick(&PickRequest::new()).unwrap();
            assert_eq!(lease.member().name(), expected);
            held.push(lease);
        }
        let error = balancer.pick(&PickRequest::new()).unwrap_err();
        assert_eq!(error, PickError::AtCapacity);
        drop(held.remove(2));
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "m1", "it has room again");
    }

    #[test]
    fn a_failed_request_goes_to_the_next_member() {
        let balancer = balancer(&[None, None, None]);
        let first = balancer.member("m0").unwrap().id();
        let tried = [first];
        let request = PickRequest::new().with_tried(&tried);
        assert_eq!(balancer.pick(&request).unwrap().member().name(), "m1");
        balancer.set_flag("m0", Flag::Disabled).unwrap();
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "m1");
    }

    #[test]
    fn an_explanation_names_a_member_that_takes_all_requests() {
        let notes = |caps: &[Option<u32>]| {
            let explained = balancer(caps).explain(&PickRequest::new().with_hash(1));
            explained.details().notes.join("\n")
        };
        let ignored = "this scheduler ignores the request's hash key; a hashing one uses it";
        assert_eq!(notes(&[Some(1), Some(1)]), ignored);
        assert_eq!(
            notes(&[Some(1), None]),
            ignored,
            "the last one may be unlimited"
        );
        assert_eq!(
            notes(&[Some(1), None, Some(1), None]),
            format!(
                "{ignored}\nm1 has no limit on requests in flight: 2 members after it get none \
                 while it is eligible"
            )
        );
    }

    #[test]
    fn a_pick_allocates_nothing() {
        let balancer = balancer(&[Some(1), Some(1), Some(2)]);
        let held = balancer.pick(&PickRequest::new()).unwrap();
        let counted = allocation_counter::measure(|| {
            for _ in 0..100 {
                drop(balancer.pick(&PickRequest::new()).unwrap());
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
        drop(held);
    }
}
