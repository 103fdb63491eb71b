//! The events of a simulation, one after the other: [`Engine`].
//!
//! Not here: what a member does with its requests (`member_queue`), and the settings.

use std::ops::Range;
use std::time::Duration;

use super::arrivals::{ArrivalStream, NextArrival};
use super::event_queue::{EventQueue, Upcoming};
use super::feedback::{Feedback, Fleet};
use super::held_request::{HeldRequest, PlannedEnd, ServerEnd, SimulatedRequest};
use super::latencies::Latencies;
use super::measured::{Measured, MeasuredMember};
use super::member_queue::MemberQueue;
use super::samples::SampleSeries;
use super::service_times::ServiceSampler;
use super::{nanos, whole_nanos};
use crate::balancer::{Balancer, PickRequest};
use crate::clock::{ManualClock, Timestamp};
use crate::member::Outcome;
use crate::random::Random;
use crate::stable_hash::hash_bytes;

/// The progress is reported once for so many requests.
const PROGRESS_STEP: u64 = 8_192;

/// Draws the key of a request.
pub(super) type KeyLaw = Box<dyn Fn(&Random) -> u64>;

/// Random numbers for each purpose, so that a scheduler does not change what arrives.
#[derive(Debug)]
pub(super) struct RandomStreams {
    pub(super) work: Random,
    pub(super) routes: Random,
    pub(super) keys: Random,
    pub(super) stalls: Random,
    pub(super) feedback: Random,
}

/// When the simulation ends, and what it counts.
#[derive(Clone, Debug)]
pub(super) struct EngineLimits {
    pub(super) requests: u64,
    /// The requests of the warm-up.
    pub(super) uncounted: u64,
    pub(super) attempts: usize,
    /// The mean time between arrivals, in nanoseconds.
    pub(super) gap: f64,
    /// When requests in flight are sampled, in nanoseconds; `None` is always.
    pub(super) sampled: Option<Range<u64>>,
}

/// The state of a simulation that runs.
pub(super) struct Engine {
    clock: ManualClock,
    /// In nanoseconds.
    now: u64,
    members: Vec<MemberQueue>,
    balancers: Vec<Balancer<usize>>,
    arrivals: ArrivalStream,
    service_times: ServiceSampler,
    keys: Option<KeyLaw>,
    random: RandomStreams,
    limits: EngineLimits,
    events: EventQueue,
    interval: Option<u64>,
    /// Requests that fail, until they do; `free` are the empty places.
    failures: Vec<Option<HeldRequest>>,
    free: Vec<u32>,
    arrived: u64,
    /// Whether more requests arrive.
    is_arriving: bool,
    open: u64,
    tally: EngineTally,
}

/// What has been counted.
struct EngineTally {
    latencies: Latencies,
    failed: u64,
    refused: u64,
    longest_queue: u32,
    samples: SampleSeries,
    /// Picks and failures by member.
    picks: Vec<(u64, u64)>,
}

/// What is left at the end.
pub(super) struct EngineDone {
    members: Vec<MemberQueue>,
    tally: EngineTally,
    now: u64,
}

impl Engine {
    pub(super) fn new(
        clock: ManualClock,
        members: Vec<MemberQueue>,
        balancers: Vec<Balancer<usize>>,
        (arrivals, service_times, keys): (ArrivalStream, ServiceSampler, Option<KeyLaw>),
        random: RandomStreams,
        limits: EngineLimits,
    ) -> Self {
        let tally = EngineTally {
            latencies: Latencies::new(),
            failed: 0,
            refused: 0,
            longest_queue: 0,
            samples: match &limits.sampled {
                Some(during) => SampleSeries::within(during.clone()),
                None => SampleSeries::new(whole_nanos(limits.gap)),
            },
            picks: vec![(0, 0); members.len()],
        };
        Self {
            clock,
            now: 0,
            members,
            balancers,
            arrivals,
            service_times,
            keys,
            random,
            limits,
            events: EventQueue::default(),
            interval: None,
            failures: Vec::new(),
            free: Vec::new(),
            arrived: 0,
            is_arriving: true,
            open: 0,
            tally,
        }
    }

    /// Runs to the end: until all requests have arrived and none is in flight.
    pub(super) fn run(
        mut self,
        feedback: &mut dyn Feedback,
        progress: Option<&(dyn Fn(u64) + Send + Sync)>,
    ) -> EngineDone {
        for member in 0..self.members.len() {
            self.plan_stall(member);
        }
        // An interval of zero would stop the time.
        self.interval = feedback.interval().map(|it| nanos(it).max(1));
        if self.interval.is_some() {
            self.events.add(0, Upcoming::Interval);
        }
        let mut next = self.next_arrival();
        while next.is_some() || self.open > 0 {
            match (next, self.events.next_at()) {
                (Some(arrival), due) if due.is_none_or(|due| arrival.at < due) => {
                    self.move_to(arrival.at);
                    self.arrive(arrival, feedback);
                    if self.arrived % PROGRESS_STEP == 0 {
                        if let Some(progress) = progress {
                            progress(self.arrived);
                        }
                    }
                    next = self.next_arrival();
                }
                _ => {
                    let Some((at, upcoming)) = self.events.pop() else {
                        break;
                    };
                    self.move_to(at);
                    self.happen(upcoming, feedback);
                }
            }
        }
        if let Some(progress) = progress {
            progress(self.arrived);
        }
        EngineDone {
            members: self.members,
            tally: self.tally,
            now: self.now,
        }
    }

    fn next_arrival(&mut self) -> Option<NextArrival> {
        let more = self.arrived < self.limits.requests;
        let next = more.then(|| self.arrivals.next()).flatten();
        self.is_arriving = next.is_some();
        next
    }

    /// Moves the clock to the next event.
    #[inline]
    fn move_to(&mut self, at: u64) {
        if self.is_arriving {
            let (members, open) = (&self.members, self.open);
            self.tally.samples.advance(at, || {
                let longest = members.iter().map(MemberQueue::in_flight).max();
                (open, longest.unwrap_or(0))
            });
        }
        self.now = at;
        self.clock.set(Timestamp::from_nanos(at));
    }

    fn happen(&mut self, upcoming: Upcoming, feedback: &mut dyn Feedback) {
        match upcoming {
            Upcoming::Done { member, server } => self.serve(member, server, feedback),
            Upcoming::Fails { failure } => self.fail(failure, feedback),
            Upcoming::Interval => {
                feedback.on_interval(&self.fleet());
                let next = self.now.saturating_add(self.interval.unwrap_or(u64::MAX));
                self.events.add(next, Upcoming::Interval);
            }
            Upcoming::Stalls { member } => {
                let member = member as usize;
                let moved = self.members[member].stall(self.now, &self.random.stalls);
                if let Some(moved) = moved {
                    self.plan_end(index(member), moved);
                }
                self.plan_stall(member);
            }
        }
    }

    fn plan_stall(&mut self, member: usize) {
        let next = self.members[member].next_stall(self.now, &self.random.stalls);
        if let Some(at) = next {
            let member = index(member);
            self.events.add(at, Upcoming::Stalls { member });
        }
    }

    fn fleet(&self) -> Fleet<'_> {
        Fleet {
            now: self.now,
            members: &self.members,
            balancers: &self.balancers,
            random: &self.random.feedback,
        }
    }

    #[inline]
    fn arrive(&mut self, arrival: NextArrival, feedback: &mut dyn Feedback) {
        let measured = self.arrived >= self.limits.uncounted;
        self.arrived += 1;
        self.open += 1;
        let balancers = self.balancers.len();
        let balancer = match balancers {
            1 => 0,
            _ => place(self.random.routes.below(balancers as u64)),
        };
        let draw = |keys: &KeyLaw| hash_bytes(&keys(&self.random.keys).to_le_bytes());
        let hash = arrival.hash.or_else(|| self.keys.as_ref().map(draw));
        let draw = || self.service_times.draw(&self.random.work);
        let request = SimulatedRequest {
            arrived: self.now,
            work: arrival.work.unwrap_or_else(draw),
            balancer,
            hash,
            measured,
            tried: Vec::new(),
        };
        self.dispatch(request, feedback);
    }

    /// Picks a member for a request and sends it there.
    fn dispatch(&mut self, request: SimulatedRequest, feedback: &mut dyn Feedback) {
        feedback.on_pick(&self.fleet(), request.balancer);
        let mut pick = PickRequest::new().with_tried(&request.tried);
        if let Some(hash) = request.hash {
            pick = pick.with_hash(hash);
        }
        let Ok(lease) = self.balancers[request.balancer].pick(&pick) else {
            self.open -= 1;
            self.tally.refused += u64::from(request.measured);
            return;
        };
        let member = *lease;
        let measured = request.measured;
        self.tally.picks[member].0 += u64::from(measured);
        let held = HeldRequest {
            lease,
            request,
            joined: self.now,
        };
        let queue = &mut self.members[member];
        if let Some(after) = queue.fails_after(self.now) {
            self.fail_later(held, after);
            return;
        }
        let end = queue.join(held, self.now);
        if measured {
            let longest = &mut self.tally.longest_queue;
            *longest = queue.in_flight().max(*longest);
        }
        if let Some(end) = end {
            self.plan_end(index(member), end);
        }
    }

    #[inline]
    fn plan_end(&mut self, member: u32, PlannedEnd { server, at }: PlannedEnd) {
        self.events.add(at, Upcoming::Done { member, server });
    }

    fn serve(&mut self, member: u32, server: u32, feedback: &mut dyn Feedback) {
        match self.members[member as usize].end(server, self.now) {
            Some(ServerEnd::Done(held, next)) => {
                if let Some(next) = next {
                    self.plan_end(member, next);
                }
                self.answer(held, feedback);
            }
            Some(ServerEnd::Moved(end)) => self.plan_end(member, end),
            None => {}
        }
    }

    fn answer(&mut self, held: HeldRequest, feedback: &mut dyn Feedback) {
        let HeldRequest {
            mut lease, request, ..
        } = held;
        feedback.on_answer(&self.fleet(), request.balancer, *lease);
        lease.record_head(Some(200));
        // The bytes of a response are in proportion to its work.
        lease.record_received(request.work / 1_000);
        lease.finish(Outcome::Success);
        self.open -= 1;
        if request.measured {
            let latency = self.now - request.arrived;
            self.tally.latencies.record_nanos(latency);
        }
    }

    fn fail_later(&mut self, held: HeldRequest, after: u64) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.failures.push(None);
            index(self.failures.len() - 1)
        });
        self.failures[at as usize] = Some(held);
        let due = self.now.saturating_add(after);
        self.events.add(due, Upcoming::Fails { failure: at });
    }

    fn fail(&mut self, failure: u32, feedback: &mut dyn Feedback) {
        let Some(held) = self.failures[failure as usize].take() else {
            return;
        };
        self.free.push(failure);
        let HeldRequest {
            mut lease,
            mut request,
            ..
        } = held;
        let member = *lease;
        request.tried.push(lease.member().id());
        lease.record_head(Some(503));
        lease.finish(Outcome::Failure);
        self.tally.picks[member].1 += u64::from(request.measured);
        if request.tried.len() < self.limits.attempts {
            self.dispatch(request, feedback);
            return;
        }
        self.open -= 1;
        self.tally.failed += u64::from(request.measured);
    }
}

impl EngineDone {
    /// Puts the result together; `weights` are in hundredths.
    pub(super) fn measured(
        self,
        scheduler: &'static str,
        weights: impl Iterator<Item = u32> + Clone,
    ) -> Measured {
        let Self {
            members,
            tally,
            now,
        } = self;
        let all: u64 = tally.picks.iter().map(|(picks, _)| picks).sum();
        let sum: u64 = weights.clone().map(u64::from).sum();
        let members = members.iter().zip(weights).zip(&tally.picks);
        let members = members.map(|((member, weight), &(picks, failed))| MeasuredMember {
            name: member.name().to_owned(),
            hundredths: weight,
            picks,
            failed,
            share: picks as f64 / all.max(1) as f64,
            weight_share: f64::from(weight) / sum as f64,
        });
        Measured {
            scheduler,
            members: members.collect(),
            latencies: tally.latencies,
            failed: tally.failed,
            refused: tally.refused,
            longest_queue: tally.longest_queue,
            in_flight: tally.samples.into_samples(),
            lasted: Duration::from_nanos(now),
        }
    }
}

/// Returns an index in the form of events; a balancer has fewer members than that.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Returns a number that was drawn below a length.
fn place(drawn: u64) -> usize {
    usize::try_from(drawn).unwrap_or(0)
}
