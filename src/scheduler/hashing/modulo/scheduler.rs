//! [`Modulo`], the scheduler.
//!
//! Not here: the tables that it looks keys up in (`map.rs`, `ranges.rs`).

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;

use super::map::ModuloMap;
use super::ranges::WeightRanges;
use crate::member::MemberId;
use crate::scheduler::hashing::by_score::{
    MemberHashes, best_other_by_score, by_score, claim_other_by_score,
};
use crate::scheduler::hashing::hashed_member::HashedMember;
use crate::scheduler::hashing::{HashScheduler, key_of, noting_no_key};
use crate::scheduler::{
    Candidates, GroupChange, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers, Scheduler,
};
use crate::sync::Published;

/// Picks a member by the remainder of the request's hash key, as HAProxy does with `hash-type
/// map-based` and nginx with `hash`. Shares are exact, but a change of members moves most
/// keys.
///
/// Use it to pick the same members as one of these programs. Otherwise use
/// [`Maglev`](crate::scheduler::Maglev), whose shares are nearly as exact and whose keys stay.
///
/// | | [`new`](Self::new) (HAProxy) | [`nginx`](Self::nginx) |
/// |---|---|---|
/// | key ([`PickRequest::with_hash`](crate::PickRequest::with_hash)) | [`sdbm`](crate::stable_hash::sdbm), or as configured | [`crc32_with_length`](crate::stable_hash::crc32_with_length) |
/// | a member is inserted or removed, or its weight changes | most keys move | most keys move |
/// | a member is down | most keys move, and move back afterwards | its own keys move |
/// | a member is full, or was tried by the request | its own keys move | its own keys move |
/// | memory | 4 bytes for each unit of weight | 8 bytes for each member |
///
/// A key that its member cannot take goes to the member that a further hash of the key gives:
/// of up to 64 hashes, or 21 in total with `nginx`. After that it goes to the eligible member
/// with the best score for the key, by weighted rendezvous hashing. A member whose weight ramps
/// up keeps a share of its keys and passes the others on: the share that it has of its weight,
/// in comparison with the member of the group that has most of its own. A request without a
/// hash key gets a random one.
///
/// Cost: a pick takes no lock and allocates nothing. Its time does not depend on the number of
/// members, unless none of the hashed ones can take the key: scores examine all members. This
/// is rare while a fair part of the members can be picked.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Modulo;
/// use equipoise::stable_hash::sdbm;
/// use equipoise::{Balancer, MemberSpec, PickRequest, Weight};
///
/// // backend static
/// //     balance uri
/// //     hash-type map-based
/// //     server a 10.0.0.1:80 weight 2
/// //     server b 10.0.0.2:80 weight 1
/// let balancer = Balancer::builder()
///     .scheduler(Modulo::new())
///     .member("a", (), MemberSpec::new().with_weight(Weight::new(2)?))
///     .member("b", (), MemberSpec::new())
///     .build()?;
/// // The slots of the map are a, a, b.
/// assert_eq!(sdbm(b"/logo.png") % 3, 2);
/// let request = PickRequest::new().with_hash(sdbm(b"/logo.png").into());
/// assert_eq!(balancer.pick(&request)?.member().name(), "b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Modulo {
    lookup: ModuloLookup,
}

/// Where a key is looked up.
enum ModuloLookup {
    /// The map of the eligible members.
    Map(Published<ModuloMap>),
    /// The plan, which has the [`WeightRanges`] of all members.
    Ranges,
}

impl Modulo {
    /// Creates a scheduler that picks as HAProxy does with `hash-type map-based`, its
    /// default.
    ///
    /// Key `k` belongs to slot `k mod size` of a map that has a slot for each unit of weight
    /// of the eligible members, after division by the greatest common divisor. List the
    /// members in the order of the file. Servers with `backup` belong in a later
    /// [tier](crate::MemberSpec::with_tier), whose members all serve, as with `option
    /// allbackups`. The key of a request is the function of
    /// `hash-type` of the text that `balance` names: [`sdbm`](crate::stable_hash::sdbm) if
    /// none is written. For `balance uri` the text is the path, without the query. For HTTP/2
    /// and for absolute URIs it is the whole URI, also without the query, unless `balance uri
    /// path-only` is written. For `balance hdr(name)` it is the value in the first line of that
    /// header, up to the first comma outside quotes.
    ///
    /// A map has up to 65 536 slots, or one for each member if there are more. If weights are
    /// not those of HAProxy, whole numbers to 256, a map has up to 64 slots for each member, or
    /// 16 384 if that is more. Weights that are too large in total are rounded down, to one slot
    /// at least. The map is made anew whenever a member becomes eligible or is no longer, while
    /// the membership is locked: this takes about 60 ns for each slot, or 4 ms for 65 536, and less
    /// if all weights are equal.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Modulo, Scheduler};
    ///
    /// assert_eq!(Modulo::new().name(), "modulo");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            lookup: ModuloLookup::Map(Published::new(ModuloMap::default())),
        }
    }

    /// Creates a scheduler that picks as nginx does with `hash` without `consistent`, and as
    /// the Perl module Cache::Memcached.
    ///
    /// A hash of the key picks a member in proportion to the weights of all members, usable or
    /// not, and of all tiers. If the member is unusable, full or already tried by the request, the
    /// next hash of the key decides, for up to 21 hashes. The key of a request must be
    /// [`crc32_with_length`](crate::stable_hash::crc32_with_length) of the text that nginx
    /// hashes: the hashes after the first one need the length.
    ///
    /// List the members in the order of the `server` directives; their names do not matter.
    /// nginx turns to round robin after 21 hashes, if the text is empty, and if there is one
    /// member only. If all weights are whole numbers, they count as in nginx; otherwise as
    /// hundredths, divided by their greatest common divisor. Hashes have 15 bits: of weights
    /// beyond 32 768 in total, the last members get no keys, and of a total that is not far
    /// below, some get too few. [`explain`](crate::Balancer::explain) notes this. If the sum of
    /// the weights is a power of two, all keys of one length that a failed member had go to the
    /// same other member, as in nginx.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Modulo;
    /// use equipoise::stable_hash::crc32_with_length;
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// # use equipoise::MemberSpec;
    /// // upstream backends { hash $uri; server 10.0.0.1:80; server 10.0.0.2:80; }
    /// let balancer = Balancer::builder()
    ///     .scheduler(Modulo::nginx())
    ///     .members(["10.0.0.1:80", "10.0.0.2:80"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let key = crc32_with_length(b"/index.html");
    /// let lease = balancer.pick(&PickRequest::new().with_hash(key))?;
    /// # drop(lease);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn nginx() -> Self {
        Self {
            lookup: ModuloLookup::Ranges,
        }
    }

    /// Calls `attempt` with the members that a key belongs to, in order, until it returns
    /// something. If it returns nothing, calls `otherwise` with the last one of them, and with
    /// the hashes of the members' names.
    #[inline]
    fn first_or<T>(
        &self,
        candidates: &Candidates<'_>,
        key: u64,
        mut attempt: impl FnMut(HashedMember) -> Option<T>,
        otherwise: impl FnOnce(Option<MemberId>, Option<&MemberHashes>) -> T,
    ) -> T {
        let mut last = None;
        let mut attempt = |member: HashedMember| {
            last = Some(member.id);
            attempt(member)
        };
        match &self.lookup {
            ModuloLookup::Map(map) => {
                let map = map.load();
                let found = map.walk(key).find_map(&mut attempt);
                found.unwrap_or_else(|| otherwise(last, Some(map.hashes())))
            }
            ModuloLookup::Ranges => {
                let ranges = candidates.plan::<WeightRanges>();
                let found = ranges.and_then(|ranges| ranges.walk(key).find_map(&mut attempt));
                found.unwrap_or_else(|| otherwise(last, ranges.map(WeightRanges::hashes)))
            }
        }
    }
}

impl Default for Modulo {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Modulo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lookup = match self.lookup {
            ModuloLookup::Map(_) => "map",
            ModuloLookup::Ranges => "ranges",
        };
        f.debug_struct("Modulo")
            .field("lookup", &lookup)
            .finish_non_exhaustive()
    }
}

impl Scheduler for Modulo {
    fn name(&self) -> &'static str {
        match self.lookup {
            ModuloLookup::Map(_) => "modulo",
            ModuloLookup::Ranges => "modulo-nginx",
        }
    }

    #[inline]
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let key = key_of(context);
        self.first_or(
            candidates,
            key,
            |member| member.claim(candidates, key).map(Pick::Claimed),
            |last, hashes| claim_other_by_score(candidates, key, hashes, last),
        )
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let key = key_of(context);
        let takes = |member: HashedMember| {
            let can_take = member.can_take(candidates, key);
            can_take.then_some(Some(member.id))
        };
        self.first_or(candidates, key, takes, |last, hashes| {
            best_other_by_score(candidates, key, hashes, last)
        })
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let key = key_of(context);
        let details = noting_no_key(PickDetails::default(), context);
        let details = match &self.lookup {
            ModuloLookup::Map(map) => {
                let map = map.load();
                match map.slot(key) {
                    Some(slot) => details.position(slot as u64, map.len() as u64),
                    None => details,
                }
            }
            ModuloLookup::Ranges => {
                let ranges = candidates.plan::<WeightRanges>();
                let first = ranges.and_then(|ranges| {
                    let position = ranges.positions(key).next()?;
                    Some((position, ranges.total()))
                });
                let details = match first {
                    Some((position, total)) => details.position(position, total),
                    None => details.note("the ranges are not made yet"),
                };
                match ranges.map_or(0, WeightRanges::too_small) {
                    0 => details,
                    members => details.note(format!(
                        "the weights are too fine for hashes of 15 bits: {members} members get fewer \
                         keys than their weights say"
                    )),
                }
            }
        };
        let mut passed = 0_u32;
        let takes = |member: HashedMember| {
            let can_take = member.can_take(candidates, key);
            passed += u32::from(!can_take);
            can_take.then_some(true)
        };
        let is_found = self.first_or(candidates, key, takes, |_, _| false);
        match (is_found, passed) {
            (true, 0) => details,
            (true, _) => details.note(format!("hashes passed over: {passed}")),
            (false, _) => details.note("no member of the key's hashes can take it: scores decide"),
        }
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        if let ModuloLookup::Map(map) = &self.lookup {
            let made = map.load().after(group);
            if let Some(made) = made {
                map.swap(made);
            }
        }
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        match self.lookup {
            ModuloLookup::Map(_) => None,
            ModuloLookup::Ranges => Some(Plan::new(WeightRanges::new(members))),
        }
    }

    fn needs(&self) -> Needs {
        match self.lookup {
            ModuloLookup::Map(_) => Needs::NONE,
            ModuloLookup::Ranges => Needs::PLAN,
        }
    }
}

impl HashScheduler for Modulo {
    fn visit_members(
        &self,
        candidates: &Candidates<'_>,
        key: u64,
        visit: &mut dyn FnMut(MemberId) -> ControlFlow<()>,
    ) {
        let visit = RefCell::new(visit);
        let stops = |member: MemberId| visit.borrow_mut()(member).is_break();
        self.first_or(
            candidates,
            key,
            |member| (member.keeps(candidates, key) && stops(member.id)).then_some(()),
            |last, hashes| {
                let mut order = by_score(candidates, key, hashes);
                order.find(|one| Some(one.id()) != last && stops(one.id()));
            },
        );
    }
}
