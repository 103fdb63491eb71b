//! What paths, URLs and cookies become on their way through a proxy, row by row as in
//! `apache-balancer.md`, sections 8.2 to 8.4 and 10. Where a row of section 13 asks for
//! something better than Apache's way, the better way stands here.

#![cfg(feature = "proxy")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a map that cannot be made ends its test"
)]

mod arbitrary;
mod cookies;
mod forward;
mod reverse;
