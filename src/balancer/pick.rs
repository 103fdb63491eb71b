//! One pick, from the request to the lease.

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::Duration;

use super::attention::TIMED;
use super::editor::Editor;
use super::lease::{Lease, MemberEntry, Unclaimed};
use super::meter::Meter;
use super::sessions::SessionKey;
use super::shared::Wakes;
use super::view::View;
use super::{Balancer, PickError, PickRequest};
use crate::scheduler::{Candidates, ClaimError, Needs, Pick, PickContext, PickTime};
use crate::session::Session;
use crate::snapshot::Seat;

/// How often a pick that failed tries again while the membership changes.
const MAX_TRIES: usize = 64;

/// How often it tries before it waits for a change in progress.
const TRIES_BEFORE_WAIT: usize = 8;

/// The time that a failing pick waits for a change in progress is divided into slices; each
/// try under the editor's lock takes at least one.
///
/// A change of ten thousand members takes a tenth of it.
const SLICE: Duration = Duration::from_millis(5);
const SLICES: u32 = 20;

/// How many slices of its time a pick has left.
pub(super) struct PickPatience(u32);

impl PickPatience {
    pub(super) fn new() -> Self {
        Self(SLICES)
    }

    fn spend(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Why one try on one view picked no member.
enum Missed {
    /// With the generation of the view.
    Because(PickError, u64),
    /// The view was too old.
    Stale,
}

/// Whether a pick may take any member, or must leave room to the waiting requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum QueuePosition {
    /// Other requests came first.
    BesideTheLine,
    Served,
}

impl<W> Balancer<W> {
    /// Picks a member for a request and counts the request as in flight.
    ///
    /// It does not wait for a member that is at its cap ([`pick_wait`](Self::pick_wait)
    /// does), and does not overtake requests that wait in line.
    ///
    /// A pick that finds a member does not wait for a change of the membership. A pick that
    /// finds none while a change is in progress waits for the change, for at most a tenth
    /// of a second, and tries again. So the returned error reflects the members before the
    /// change only if the change takes longer than that, for example because the scheduler
    /// is slow when it is notified. If a member has been put in error, or its recovery is
    /// due, the next pick applies that change itself, which includes notifying the
    /// scheduler.
    ///
    /// # Errors
    ///
    /// [`PickError`] contains the reason why no member can be picked, and the delay after
    /// which to try again, if that is known.
    ///
    /// # Panics
    ///
    /// If the scheduler or an observer panics; the request is not counted as in flight
    /// then.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", 1), ("b", 2)])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// assert_eq!(*lease, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pick(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        if self.shared().is_observed_or_has_line() {
            return self.pick_with_events(request);
        }
        self.pick_at_once(request, |missed| {
            self.report_if_refused(request, self.try_again(request, missed))
        })
    }

    #[cold]
    fn pick_with_events(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        self.report_if_refused(request, self.pick_without_events(request))
    }

    #[cold]
    fn report_if_refused(
        &self,
        request: &PickRequest<'_>,
        picked: Result<Lease<W>, PickError>,
    ) -> Result<Lease<W>, PickError> {
        picked.inspect_err(|error| self.report_refused(request, error))
    }

    /// As [`pick`](Self::pick), without reporting a failure to observers.
    #[inline]
    pub(crate) fn pick_without_events(
        &self,
        request: &PickRequest<'_>,
    ) -> Result<Lease<W>, PickError> {
        // A request that has tried members waits beside the line, so it may pass the line
        // here, too.
        if self.shared().has_line() && !request.is_particular() {
            return self.pick_beside_the_line(request);
        }
        self.attempt(request)
    }

    /// As [`pick_without_events`](Self::pick_without_events), also past the waiting
    /// requests.
    #[inline]
    pub(super) fn attempt(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        if self.shared().reports_picks() {
            return self.attempt_and_report(request);
        }
        self.pick_at_once(request, |missed| self.try_again(request, missed))
    }

    #[cold]
    fn attempt_and_report(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        let picked = self.pick_at_once(request, |missed| self.try_again(request, missed));
        if let Ok(lease) = &picked {
            self.report_pick(lease, request);
        }
        picked
    }

    /// Picks without events; `otherwise` is called if the first try finds no member.
    #[inline]
    fn pick_at_once(
        &self,
        request: &PickRequest<'_>,
        otherwise: impl FnOnce(Missed) -> Result<Lease<W>, PickError>,
    ) -> Result<Lease<W>, PickError> {
        self.apply_timed_changes();
        self.pick_on_view(request, QueuePosition::Served, None, otherwise)
    }

    /// Other requests wait: the only request served is one of a session whose member could
    /// not be picked for any request in line.
    #[cold]
    fn pick_beside_the_line(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        self.apply_timed_changes();
        if let Ok(lease) = self.pick_once(request, QueuePosition::BesideTheLine, None) {
            self.report_pick(&lease, request);
            return Ok(lease);
        }
        self.shared().wake_front();
        Err(self.behind_the_line(request))
    }

    /// A failure counts only if it occurred on the present picture, with nothing due and no
    /// renewal in progress: otherwise a member may be eligible that the picture did not
    /// show.
    #[cold]
    fn try_again(
        &self,
        request: &PickRequest<'_>,
        mut missed: Missed,
    ) -> Result<Lease<W>, PickError> {
        let mut patience = PickPatience::new();
        // Whether the last try was on the present picture, without a change in progress.
        let mut quiet = false;
        for look in 0..MAX_TRIES {
            let view = self.core.view.load();
            let present = view.picture.generation;
            let refused = matches!(missed, Missed::Because(PickError::NoneUsable { .. }, _))
                && self.shows_untried_members(&view, request);
            drop(view);
            let changing = refused || self.shared().is_due();
            let picked = match missed {
                Missed::Because(error, seen)
                    if !changing
                        && (quiet || (seen == present && !self.core.editor.is_locked())) =>
                {
                    return Err(error);
                }
                // The publisher has notified the scheduler, and is about to publish.
                Missed::Stale if look < TRIES_BEFORE_WAIT => {
                    std::hint::spin_loop();
                    quiet = false;
                    self.pick_once(request, QueuePosition::Served, None)
                }
                Missed::Because(..) | Missed::Stale => {
                    let Some(picked) = self.pick_under_lock(request, &mut patience) else {
                        break;
                    };
                    quiet = true;
                    picked
                }
            };
            missed = match picked {
                Ok(lease) => return Ok(lease),
                Err(missed) => missed,
            };
        }
        match missed {
            Missed::Because(error, _) => Err(error),
            // A change that takes long, or a scheduler that reports the present view as
            // old, against its contract.
            Missed::Stale => Err(self.no_member(&self.core.view.load(), request)),
        }
    }

    /// Returns whether the picture shows a member as eligible that the request has not
    /// tried: then the refusal was momentary. If one of these members is not usable, the
    /// picture is marked as due, even before the request that put it in error has done so.
    fn shows_untried_members(&self, view: &View<W>, request: &PickRequest<'_>) -> bool {
        let mut group = view.picture.group();
        if group.any(|(seat, _)| !seat.state.status().is_usable()) {
            self.shared().agenda.make_due();
        }
        Candidates::new(&view.picture, request.tried)
            .iter()
            .next()
            .is_some()
    }

    /// One pick while nothing changes the membership; `None` if a change in progress takes
    /// longer than the pick waits.
    fn pick_under_lock(
        &self,
        request: &PickRequest<'_>,
        patience: &mut PickPatience,
    ) -> Option<Result<Lease<W>, Missed>> {
        // Wakes after the lock is released, also when a scheduler panics.
        let wakes = Wakes::none(self.shared());
        let mut editor = self.editor_within(patience)?;
        let due = self.shared().is_due();
        let after = due.then(|| editor.publish_change(&self.core.view));
        let result = self.pick_once(request, QueuePosition::Served, Some(&wakes));
        drop(editor);
        if let Some(after) = after {
            self.core.settle_unplanned(after);
        }
        Some(result)
    }

    /// Returns the editor, unless a change in progress takes longer than `patience` lasts.
    pub(super) fn editor_within(
        &self,
        patience: &mut PickPatience,
    ) -> Option<impl DerefMut<Target = Editor<W>>> {
        while patience.spend() {
            let editor = self.core.editor.try_lock_for(SLICE);
            if editor.is_some() {
                return editor;
            }
        }
        None
    }

    /// As [`pick_on_view`](Self::pick_on_view), for picks that try again.
    #[cold]
    fn pick_once(
        &self,
        request: &PickRequest<'_>,
        place: QueuePosition,
        wakes: Option<&Wakes<'_>>,
    ) -> Result<Lease<W>, Missed> {
        self.pick_on_view(request, place, wakes, Err)
    }

    /// One pick on one view, and what `otherwise` returns if that finds no member. If a
    /// dropped claim must wake waiters, that is done through `wakes`, or at once if there
    /// is none.
    ///
    /// Together with its callers it builds a lease where the user wants it: to move one
    /// would cost as much as an atomic operation.
    #[inline]
    fn pick_on_view<E>(
        &self,
        request: &PickRequest<'_>,
        place: QueuePosition,
        wakes: Option<&Wakes<'_>>,
        otherwise: impl FnOnce(Missed) -> Result<Lease<W>, E>,
    ) -> Result<Lease<W>, E> {
        let missed = {
            let view = self.core.view.load();
            let candidates = view.candidates(request.tried);
            // Gives back what is claimed and does not become a lease, also when unwinding.
            let unclaimed = Unclaimed {
                candidates: &candidates,
                shared: self.shared(),
                wakes,
            };
            let time = self.time_of(request);
            match self.claim(&view, &candidates, request, &time, place) {
                Ok(session) => match view.claimed_entry(&candidates) {
                    Some(entry) => {
                        let lease = self.lease(&view, entry, &time, session);
                        unclaimed.hand_over();
                        return Ok(lease);
                    }
                    None => self.refused(&view, request, &Pick::NoneUsable),
                },
                Err(missed) => missed,
            }
        };
        otherwise(missed)
    }

    /// Claims a member of the view.
    #[inline(always)]
    fn claim<'c>(
        &self,
        view: &'c View<W>,
        candidates: &Candidates<'c>,
        request: &PickRequest<'c>,
        time: &PickTime<'_>,
        place: QueuePosition,
    ) -> Result<Session, Missed> {
        let session = match request.session_key {
            None if request.sessions => Session::New,
            None => Session::Off,
            Some(key) => {
                let session = self.claim_session_member(view, candidates, request, key, place)?;
                if session != Session::Lost {
                    return Ok(session);
                }
                session
            }
        };
        if place == QueuePosition::BesideTheLine {
            return Err(self.refused(view, request, &Pick::AtCapacity));
        }
        let context = PickContext {
            time: view.needs.contains(Needs::CLOCK).then_some(time),
            hash: request.hash,
            facts: request.facts,
            random: &self.shared().random,
        };
        match view.scheduler.pick(candidates, &context) {
            Pick::Claimed(_) => Ok(session),
            pick => Err(self.refused(view, request, &pick)),
        }
    }

    #[cold]
    fn refused(&self, view: &View<W>, request: &PickRequest<'_>, pick: &Pick<'_>) -> Missed {
        let error = match pick {
            Pick::Stale => return Missed::Stale,
            Pick::AtCapacity => PickError::AtCapacity,
            Pick::Claimed(_) | Pick::NoneUsable => self.no_member(view, request),
        };
        Missed::Because(error, view.picture.generation)
    }

    /// Returns the time of a pick, which is read if the scheduler or the lease needs it.
    #[inline]
    pub(super) fn time_of(&self, request: &PickRequest<'_>) -> PickTime<'_> {
        PickTime::new(&self.shared().clock, request.now)
    }

    /// Creates the lease of a member that has been claimed.
    #[inline]
    pub(super) fn lease(
        &self,
        view: &View<W>,
        entry: &Arc<MemberEntry<W>>,
        time: &PickTime<'_>,
        session: Session,
    ) -> Lease<W> {
        let seen = entry.epoch.picked();
        let timed = seen.has(TIMED) || view.needs.contains(Needs::ELAPSED);
        let started = timed.then(|| time.get());
        if view.needs.contains(Needs::TIME_TO_HEAD) {
            entry.state.set_awaits_head(true);
        }
        let meter = Meter::new(started, view.picture.generation, session);
        Lease::new(entry.clone(), meter)
    }

    /// Claims the session's own member, if there is one that can serve.
    #[inline(never)]
    fn claim_session_member<'c>(
        &self,
        view: &'c View<W>,
        candidates: &Candidates<'c>,
        request: &PickRequest<'c>,
        key: SessionKey<'c>,
        place: QueuePosition,
    ) -> Result<Session, Missed> {
        let because = |error| Missed::Because(error, view.picture.generation);
        let roster = &view.picture.roster;
        let mut full = false;
        let found = key.find(roster, &mut |seat: &'c Arc<Seat>| {
            if request.tried.contains(&seat.state.id()) {
                return false;
            }
            let in_line =
                place == QueuePosition::BesideTheLine && view.picture.is_in_group(seat.slot());
            if in_line && seat.state.status().is_usable() {
                // It could be picked for requests in line: the search ends without a claim.
                return true;
            }
            match candidates.claim_state(&seat.state) {
                Ok(_) => true,
                Err(refused) => {
                    full |= refused == ClaimError::AtCapacity;
                    false
                }
            }
        });
        if let Some(seat) = found {
            if candidates.claimed().is_none() {
                return Err(because(PickError::AtCapacity));
            }
            if view.picture.is_in_group(seat.slot()) {
                view.scheduler.on_session_pick(candidates, &seat.state);
            }
            return Ok(if key.matches(seat) {
                Session::Hit
            } else {
                Session::Redirected
            });
        }
        match key.text_if_known(roster) {
            Some(_) if request.no_failover && full => Err(because(PickError::AtCapacity)),
            Some(route) if request.no_failover => {
                let route = route.clone();
                Err(because(PickError::SessionLost { route }))
            }
            _ => Ok(Session::Lost),
        }
    }

    #[cold]
    fn no_member(&self, view: &View<W>, request: &PickRequest<'_>) -> PickError {
        let members = view.picture.roster.len();
        if members == 0 {
            return PickError::Empty;
        }
        PickError::NoneUsable {
            members,
            tried: request.tried.len(),
            retry_after: self.shared().retry_after(&view.picture.roster),
        }
    }

    /// Returns why a request that came after those in line gets no member.
    #[cold]
    pub(super) fn behind_the_line(&self, request: &PickRequest<'_>) -> PickError {
        let view = self.core.view.load();
        if view.picture.group_len() == 0 {
            self.no_member(&view, request)
        } else {
            PickError::AtCapacity
        }
    }
}
