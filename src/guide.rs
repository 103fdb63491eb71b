//! How the parts work together, in ten minutes.
//!
//! # One balancer, many users
//!
//! A [`Balancer`](crate::Balancer) is a handle: clones share the members. One clone goes into the service that
//! handles requests, another into the task that discovers members, a third into an
//! operator's page. All methods take `&self`.
//!
//! # From a pick to the end
//!
//! [`pick`](crate::Balancer::pick) returns a [`Lease`](crate::Lease). The member counts one more request in
//! flight until the lease is dropped or finished. The outcome matters: `Outcome::Failure` is
//! counted, and [`put_in_error`](crate::Lease::put_in_error) takes the member out for its recovery delay.
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
//! The services do this for you: [`BalanceService`](crate::BalanceService) moves the lease into the
//! response's body, so that it ends with the last byte.
//!
//! # Which member can be picked
//!
//! 1. Members that are disabled, stopped, in error, ejected or failed by a check are out.
//! 2. Of the others, the lowest tier that has a usable member serves.
//! 3. In that tier, standbys serve only when no other member can; spares stand in one by one.
//! 4. Draining members get requests of their sessions only.
//! 5. The scheduler picks one of what is left. A member at its cap is passed over.
//!
//! This is worked out once for each change, not for each request.
//! [`explain`](crate::Balancer::explain) shows it as a table.
//!
//! # What takes a member out, and what brings it back
//!
//! | cause | set by | ends |
//! |---|---|---|
//! | in error | a failed request, or [`put_in_error`](crate::Lease::put_in_error) | after the recovery delay, or by a passed check |
//! | ejected | [`eject`](crate::Balancer::eject), outlier detection | after the ejection time |
//! | failed check | a health check | when the check passes |
//! | disabled, stopped, draining | an operator or the source | when cleared |
//!
//! A member that is back can take up its share slowly: see [`Ramp`](crate::member::Ramp).
//!
//! # Three layers of settings
//!
//! The *source* of a member (code, a configuration, discovery) sets its
//! [`MemberSpec`](crate::MemberSpec). An *operator* overrides parts of it with
//! [`set_flag`](crate::Balancer::set_flag) and [`override_member`](crate::Balancer::override_member). *Health* is what requests and checks
//! find out. None overwrites another: when an override is cleared, the source's setting holds again.
//!
//! # Time and chance
//!
//! Every pick notices elapsed delays by itself. Where a recovery should be noticed without
//! traffic, spawn [`run_timed_changes`](crate::Balancer::run_timed_changes) once. A test replaces the
//! [`Clock`](crate::clock::Clock) by a [`ManualClock`](crate::clock::ManualClock) and sets a
//! [`seed`](crate::balancer::Builder::seed); then everything repeats exactly.
