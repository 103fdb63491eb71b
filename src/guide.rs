//! How the parts work together, in ten minutes.
//!
//! # One balancer, many users
//!
//! A [`Balancer`](crate::Balancer) is a handle: clones share the members. One clone goes into
//! the service that handles requests, another into the task that discovers members, a third
//! into a status page. All methods take `&self`.
//!
//! # From a pick to the end
//!
//! [`pick`](crate::Balancer::pick) returns a [`Lease`](crate::Lease). The member has one more
//! request in flight until the lease is finished or dropped.
//! [`finish`](crate::Lease::finish) reports the outcome to the scheduler and to observers; a
//! lease that is dropped ends as [`Outcome::Cancelled`](crate::Outcome::Cancelled), or as a
//! failure if its thread panics. An outcome alone does not take the member out of service;
//! [`put_in_error`](crate::Lease::put_in_error) does, for the member's recovery delay.
//!
//! ```
//! use equipoise::{Balancer, Outcome, PickRequest};
//!
//! let balancer = Balancer::new([("a", "10.0.0.1:80"), ("b", "10.0.0.2:80")])?;
//! let lease = balancer.pick(&PickRequest::new())?;
//! assert_eq!(lease.member().in_flight(), 1);
//! lease.finish(Outcome::Success);
//! assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The services do all this: [`BalanceService`](crate::BalanceService) picks a member, puts it
//! in error or sends the request to another one if it fails, and moves the lease into the body
//! of the response, so that it ends with the last byte.
//!
//! # Which member can be picked
//!
//! 1. Members that are disabled, stopped, in error, ejected or failed by a check are out.
//!    Draining members are out too, except for requests of their sessions.
//! 2. The lowest tier with a member left serves. In that tier, one spare stands in for each
//!    ordinary member that is out. Standbys serve only when neither ordinary members nor such
//!    spares are left.
//! 3. If no tier has a member left, all members that only an error or an ejection keeps out are
//!    tried again at once. [`forced_recovery`](crate::balancer::Builder::forced_recovery)
//!    turns this off.
//! 4. The scheduler picks one of the members that are left. A member at its cap is skipped.
//!
//! Steps 1 to 3 are computed once for each change, not for each request.
//! [`explain`](crate::Balancer::explain) shows the result for all members.
//!
//! # Sessions
//!
//! A request of a session goes to the member that has the session's route, if that member is
//! usable and below its cap. Tiers, spares and draining do not matter for it; among members of
//! the same route, standbys come last. If the member cannot serve, the members of its redirect
//! route are tried, then other members of the same route. If none of them can serve, the
//! scheduler picks as for any request, unless
//! [`with_no_failover`](crate::PickRequest::with_no_failover) is set.
//!
//! # What takes a member out, and what ends it
//!
//! | cause | set by | ends |
//! |---|---|---|
//! | in error | a failed request, or [`put_in_error`](crate::Lease::put_in_error) | after the recovery delay, by passed checks, or by forced recovery |
//! | ejected | [`eject`](crate::Balancer::eject), outlier detection | after the ejection time, or by forced recovery |
//! | failed check | a health check | when the check passes again |
//! | disabled, stopped, draining | an operator or the source | when cleared |
//!
//! [`recover`](crate::Balancer::recover) ends the first three by hand. An error of a stopped
//! member does not end by itself. After a recovery, a member's share can grow slowly: see
//! [`Ramp`](crate::member::Ramp).
//!
//! # Three layers of settings
//!
//! The *source* of a member (code, a configuration, discovery) sets its
//! [`MemberSpec`](crate::MemberSpec). An *operator* overrides parts of it with
//! [`set_flag`](crate::Balancer::set_flag) and
//! [`override_member`](crate::Balancer::override_member). *Health* is what requests and checks
//! find out. None of these overwrites another: when an override is removed, the source's
//! setting holds again.
//!
//! # Time and random numbers
//!
//! Every pick makes the changes that are due, such as a recovery. To make them also without
//! traffic, spawn [`run_timed_changes`](crate::Balancer::run_timed_changes) once. In a test, set
//! a [`ManualClock`](crate::clock::ManualClock) as the [`Clock`](crate::clock::Clock), and a
//! [`seed`](crate::balancer::Builder::seed): then each run gives the same picks.
