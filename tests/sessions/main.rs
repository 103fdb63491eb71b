//! From a client's cookie or URL to the member that serves its session
//! (`apache-balancer.md`, sections 3.5 to 3.8), through the public API only.
//!
//! How a route is read from a request has its own tests beside `session`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a site that cannot be set up ends its test"
)]

mod books;
mod kept;
mod named;
mod no_failover;
mod redirect;
mod routes;
mod support;
