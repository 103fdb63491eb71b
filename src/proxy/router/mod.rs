//! Routing by content: a [`Router`] sends each request to the destination of the first
//! [`Rule`] that matches it.
//!
//! ```text
//! Request ─► host, path ─► index ─► the few rules that may match, in order
//!                                        │ the first whose conditions all hold
//!               ┌────────────────────────┼─────────────────┐
//!               ▼                        ▼                 ▼
//!         your service               Redirect           StaticResponse
//! ```
//!
//! Exact hosts, `*.` hosts, exact paths, prefixes and patterns are indexed: further rules
//! that differ in them do not slow a request down. Rules with only other conditions are
//! checked one by one.
//!
//! Not here: the services that requests are sent to, and access control (see
//! [`Rule`] for the reason).

mod condition;
mod error;
mod future;
mod host;
mod index;
mod path;
mod redirect;
mod rule;
mod static_response;
mod table;

#[cfg(test)]
mod laws;

pub use error::{RouterError, RuleError};
pub use future::RouterFuture;
pub use redirect::Redirect;
pub use rule::Rule;
pub use static_response::StaticResponse;
pub use table::{Router, RouterBuilder};

pub(super) use host::{host_of, names_one_host};
#[cfg(feature = "config")]
pub(crate) use host::{is_for_http, names_its_host};
