//! One pick, from the request to the lease.

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::Duration;

use super::attention::TIMED;
use super::editor::Editor;
use super::lease::{Lease, MemberEntry, Unclaimed};
use super::meter::Meter;
use super::sessions::Home;
use super::shared::Wakes;
use super::view::View;
use super::{Balancer, PickError, PickRequest};
use crate::scheduler::{Candidates, ClaimError, Needs, Pick, PickContext};
use crate::session::Session;
use crate::snapshot::Seat;

/// So many times a pick that failed looks again, while things change under its eyes.
const LOOKS: usize = 64;

/// So many of them before it waits for a change that is under way.
const SPINS: usize = 8;

/// The time that a pick which fails waits for a change under way, in slices, of which each
/// look under the editor's lock takes at least one.
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

/// Why one look at one view picked nobody.
enum Missed {
    /// With the generation of the view.
    Because(PickError, u64),
    /// The view was too old.
    Stale,
}

/// Whether a pick is free to take what it finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum QueuePosition {
    /// Others came first.
    BesideTheLine,
    Served,
}

impl<W> Balancer<W> {
    /// Picks a member for a request and counts it in.
    ///
    /// It does not wait for a member that is at its cap ([`pick_wait`](Self::pick_wait)
    /// does), and does not overtake requests that wait in line.
    ///
    /// A pick that finds a member does not wait for a change of the membership. One that
    /// finds none while a change is under way waits for it, for a tenth of a second at most,
    /// and looks again; so it fails on what was there before only if the change takes longer,
    /// because the scheduler does when it is told. A pick after a member's error, or its
    /// recovery, has fallen due makes that change itself, which takes the time in which the
    /// scheduler is told.
    ///
    /// # Errors
    ///
    /// [`PickError`] says why there is nobody, and when to come again, if that is
    /// known.
    ///
    /// # Panics
    ///
    /// Only if the scheduler or an observer does; the member is given back then.
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
        let result = self.pick_without_events(request);
        result.inspect_err(|error| self.tell_refused(request, error))
    }

    /// As [`pick`](Self::pick), without a word about a failure.
    #[inline]
    pub(crate) fn pick_without_events(
        &self,
        request: &PickRequest<'_>,
    ) -> Result<Lease<W>, PickError> {
        // Who has tried members waits beside the line, so it may pass it too.
        if self.shared().has_line() && !request.is_particular() {
            return self.pick_beside_the_line(request);
        }
        self.attempt(request)
    }

    /// As [`pick_without_events`](Self::pick_without_events), also past those who wait.
    #[inline]
    pub(super) fn attempt(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        self.apply_timed_changes();
        match self.elect(request, QueuePosition::Served, None) {
            Ok(lease) => {
                self.told(&lease, request);
                Ok(lease)
            }
            Err(missed) => self.look_again(request, missed),
        }
    }

    /// Others wait: only a session whose member nobody in line can be picked to is
    /// served.
    #[cold]
    fn pick_beside_the_line(&self, request: &PickRequest<'_>) -> Result<Lease<W>, PickError> {
        self.apply_timed_changes();
        if let Ok(lease) = self.elect(request, QueuePosition::BesideTheLine, None) {
            self.told(&lease, request);
            return Ok(lease);
        }
        self.shared().wake_front();
        Err(self.behind_the_line(request))
    }

    /// A failure counts only if it was on the present picture, with nothing due and no
    /// renewal under way: else a member may be eligible that it did not show.
    #[cold]
    fn look_again(
        &self,
        request: &PickRequest<'_>,
        mut missed: Missed,
    ) -> Result<Lease<W>, PickError> {
        let mut patience = PickPatience::new();
        // Whether the last look was at the present picture, without a change under way.
        let mut quiet = false;
        for look in 0..LOOKS {
            let view = self.core.view.load();
            let present = view.picture.generation;
            let refused = matches!(missed, Missed::Because(PickError::NoneUsable { .. }, _))
                && self.somebody_was_refused(&view, request);
            drop(view);
            let changing = refused || self.shared().is_due();
            let picked = match missed {
                Missed::Because(error, seen)
                    if !changing
                        && (quiet || (seen == present && !self.core.editor.is_locked())) =>
                {
                    return Err(error);
                }
                // Whoever publishes has told the scheduler, and is about to show it.
                Missed::Stale if look < SPINS => {
                    std::hint::spin_loop();
                    quiet = false;
                    self.elect(request, QueuePosition::Served, None)
                }
                Missed::Because(..) | Missed::Stale => {
                    let Some(picked) = self.elect_in_quiet(request, &mut patience) else {
                        break;
                    };
                    quiet = true;
                    picked
                }
            };
            missed = match picked {
                Ok(lease) => {
                    self.told(&lease, request);
                    return Ok(lease);
                }
                Err(missed) => missed,
            };
        }
        match missed {
            Missed::Because(error, _) => Err(error),
            // A change that takes long, or a scheduler that calls the present view old,
            // against its contract.
            Missed::Stale => Err(self.nobody(&self.core.view.load(), request)),
        }
    }

    /// Returns whether the picture shows somebody as eligible whom the request has not
    /// tried: then it was a moment's refusal. If somebody of them is not usable, the
    /// picture is due, also before the one who put it in error has said so.
    fn somebody_was_refused(&self, view: &View<W>, request: &PickRequest<'_>) -> bool {
        let mut group = view.picture.group();
        if group.any(|(seat, _)| !seat.state.status().is_usable()) {
            self.shared().agenda.make_due();
        }
        Candidates::new(&view.picture, request.tried)
            .iter()
            .next()
            .is_some()
    }

    /// One pick while nothing changes the membership; `None` if a change under way
    /// takes longer than the pick waits.
    fn elect_in_quiet(
        &self,
        request: &PickRequest<'_>,
        patience: &mut PickPatience,
    ) -> Option<Result<Lease<W>, Missed>> {
        // Wakes after the lock is given back, also when a scheduler panics.
        let wakes = Wakes::none(self.shared());
        let mut editor = self.editor_within(patience)?;
        let due = self.shared().is_due();
        let after = due.then(|| editor.publish_change(&self.core.view));
        let result = self.elect(request, QueuePosition::Served, Some(&wakes));
        drop(editor);
        if let Some(after) = after {
            self.core.settle_unplanned(after);
        }
        Some(result)
    }

    /// The editor, unless a change under way takes longer than `patience` lasts.
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

    /// One pick on one view. What a dropped claim must wake, `wakes` does, or else it
    /// is woken at once.
    #[inline]
    fn elect(
        &self,
        request: &PickRequest<'_>,
        place: QueuePosition,
        wakes: Option<&Wakes<'_>>,
    ) -> Result<Lease<W>, Missed> {
        let shared = self.shared();
        let view = self.core.view.load();
        let because = |error| Missed::Because(error, view.picture.generation);
        let candidates = view.candidates(request.tried);
        // Gives back what is claimed and does not become a lease, also when unwinding.
        let unclaimed = Unclaimed {
            candidates: &candidates,
            shared,
            wakes,
        };
        let session = match request.home {
            None if request.sessions => Session::New,
            None => Session::Off,
            Some(home) => self
                .home(&view, &candidates, request, home, place)
                .map_err(because)?,
        };
        if !matches!(session, Session::Hit | Session::Redirected) {
            if place == QueuePosition::BesideTheLine {
                return Err(because(PickError::AtCapacity));
            }
            let clock = view.needs.contains(Needs::CLOCK);
            let context = PickContext {
                now: clock.then(|| request.now.unwrap_or_else(|| shared.clock.now())),
                hash: request.hash,
                facts: request.facts,
                random: &shared.random,
            };
            match view.scheduler.pick(&candidates, &context) {
                Pick::Claimed(_) => {}
                Pick::AtCapacity => return Err(because(PickError::AtCapacity)),
                Pick::NoneUsable => return Err(because(self.nobody(&view, request))),
                Pick::Stale => return Err(Missed::Stale),
            }
        }
        let entry = unclaimed.seat().and_then(|seat| view.entry(seat.slot()));
        let Some(entry) = entry else {
            return Err(because(self.nobody(&view, request)));
        };
        let lease = self.lease(&view, entry, request, session);
        unclaimed.hand_over();
        Ok(lease)
    }

    /// Creates the lease of a member that has been claimed.
    #[inline]
    pub(super) fn lease(
        &self,
        view: &View<W>,
        entry: &Arc<MemberEntry<W>>,
        request: &PickRequest<'_>,
        session: Session,
    ) -> Lease<W> {
        let seen = entry.epoch.picked();
        let timed = seen.has(TIMED) || view.needs.contains(Needs::ELAPSED);
        let now = || self.shared().clock.now();
        let started = timed.then(|| request.now.unwrap_or_else(now));
        let meter = Meter::new(started, view.picture.generation, session);
        Lease::new(entry.clone(), meter)
    }

    /// Claims the session's own member, if there is one that can serve.
    fn home<'c>(
        &self,
        view: &'c View<W>,
        candidates: &Candidates<'c>,
        request: &PickRequest<'c>,
        home: Home<'c>,
        place: QueuePosition,
    ) -> Result<Session, PickError> {
        let roster = &view.picture.roster;
        let mut full = false;
        let found = home.find(roster, &mut |seat: &'c Arc<Seat>| {
            if request.tried.contains(&seat.state.id()) {
                return false;
            }
            let in_line =
                place == QueuePosition::BesideTheLine && view.picture.is_in_group(seat.slot());
            if in_line && seat.state.status().is_usable() {
                // Those in line may be picked to it: the search ends, unclaimed.
                return true;
            }
            match candidates.claim_seat(seat) {
                Ok(_) => true,
                Err(refused) => {
                    full |= refused == ClaimError::AtCapacity;
                    false
                }
            }
        });
        if let Some(seat) = found {
            if candidates.claimed().is_none() {
                return Err(PickError::AtCapacity);
            }
            if view.picture.is_in_group(seat.slot()) {
                view.scheduler.on_session_pick(candidates, &seat.state);
            }
            return Ok(if home.is_at(seat) {
                Session::Hit
            } else {
                Session::Redirected
            });
        }
        match home.owned(roster) {
            Some(_) if request.no_failover && full => Err(PickError::AtCapacity),
            Some(route) if request.no_failover => {
                let route = route.clone();
                Err(PickError::SessionLost { route })
            }
            _ => Ok(Session::Lost),
        }
    }

    #[cold]
    fn nobody(&self, view: &View<W>, request: &PickRequest<'_>) -> PickError {
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

    /// Why a request that came after those in line gets nothing.
    #[cold]
    pub(super) fn behind_the_line(&self, request: &PickRequest<'_>) -> PickError {
        let view = self.core.view.load();
        if view.picture.group_len() == 0 {
            self.nobody(&view, request)
        } else {
            PickError::AtCapacity
        }
    }
}
