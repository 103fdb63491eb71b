//! One run of a simulation: from its settings to its result.
//!
//! Not here: the events in between (`engine`).

use rand_distr::{Distribution, Zipf};

use super::engine::{Engine, EngineLimits, KeyLaw, RandomStreams};
use super::error::SimulationError;
use super::feedback::Feedback;
use super::measured::Measured;
use super::member_queue::MemberQueue;
use super::nanos;
use super::settings::{ArrivalRate, Simulation};
use crate::balancer::{Balancer, PickRequest};
use crate::clock::ManualClock;
use crate::random::Random;
use crate::scheduler::Scheduler;

impl Simulation {
    /// Runs the simulation. `scheduler` makes the scheduler of each balancer, from the index
    /// of the balancer.
    ///
    /// # Errors
    ///
    /// [`SimulationError`] if there are no members, or if a setting is impossible.
    ///
    /// # Panics
    ///
    /// If the scheduler panics.
    pub fn run<S: Scheduler>(
        &self,
        scheduler: impl FnMut(usize) -> S,
    ) -> Result<Measured, SimulationError> {
        self.run_with_feedback(scheduler, &mut ())
    }

    /// As [`run`](Self::run), with reports of the members to the schedulers: see
    /// [`Feedback`].
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// If the scheduler or the feedback panics.
    pub fn run_with_feedback<S: Scheduler>(
        &self,
        mut scheduler: impl FnMut(usize) -> S,
        feedback: &mut dyn Feedback,
    ) -> Result<Measured, SimulationError> {
        if self.members.is_empty() {
            return Err(SimulationError::NoMembers);
        }
        for member in &self.members {
            member.check()?;
        }
        let gap = self.mean_gap()?;
        let service_times = self.service_times.sampler()?;
        let keys = self.key_law()?;
        // One draw each: streams from neighbouring seeds would overlap.
        let seeds = Random::seeded(self.seed);
        let source = || Random::seeded(seeds.next_u64());
        let arrivals = self.arrivals.start(gap, source())?;
        let random = RandomStreams {
            work: source(),
            routes: source(),
            keys: source(),
            stalls: source(),
            feedback: source(),
        };
        let clock = ManualClock::new();
        let names: Vec<String> = (0..self.members.len()).map(|at| format!("m{at}")).collect();
        let mut balancers = Vec::with_capacity(self.balancers);
        let mut name = "";
        for index in 0..self.balancers {
            let scheduler = scheduler(index);
            name = scheduler.name();
            let members = names.iter().zip(&self.members).enumerate();
            let balancer = Balancer::builder()
                .clock(clock.clone())
                .scheduler(scheduler)
                .seed(seeds.next_u64())
                .members(members.map(|(at, (name, it))| (&**name, at, it.spec.clone())))
                .build()?;
            balancers.push(balancer);
        }
        if self.balancers > 1 {
            let steps = source();
            for balancer in &balancers {
                for _ in 0..steps.below(self.members.len() as u64) {
                    drop(balancer.pick(&PickRequest::new()));
                }
            }
        }
        let sampled = self.sampled.as_ref();
        let queues = names.into_iter().zip(&self.members);
        let engine = Engine::new(
            clock,
            queues
                .map(|(name, it)| MemberQueue::new(name, it))
                .collect(),
            balancers,
            (arrivals, service_times, keys),
            random,
            EngineLimits {
                requests: self.most_requests(),
                uncounted: self.uncounted(),
                attempts: self.attempts,
                gap,
                sampled: sampled.map(|it| nanos(it.start)..nanos(it.end)),
            },
        );
        let weights = self.members.iter().map(|it| it.spec.weight().hundredths());
        let done = engine.run(feedback, self.progress.as_deref());
        Ok(done.measured(name, weights))
    }

    /// Returns the mean time between arrivals, in nanoseconds.
    fn mean_gap(&self) -> Result<f64, SimulationError> {
        let capacity: f64 = self.members.iter().map(|member| member.capacity()).sum();
        let gap = match self.rate {
            ArrivalRate::Load(load) => nanos(self.service_times.mean()) as f64 / (load * capacity),
            ArrivalRate::PerSecond(rate) => 1e9 / rate,
        };
        let valid = gap.is_finite() && gap > 0.0;
        valid.then_some(gap).ok_or(SimulationError::Load)
    }

    fn key_law(&self) -> Result<Option<KeyLaw>, SimulationError> {
        let Some((keys, exponent)) = self.hash_keys else {
            return Ok(None);
        };
        let law = Zipf::new(keys as f64, exponent).map_err(|_| SimulationError::HashKeys)?;
        let draw = move |random: &Random| {
            let mut source = random;
            super::whole_nanos(law.sample(&mut source))
        };
        Ok(Some(Box::new(draw)))
    }
}
