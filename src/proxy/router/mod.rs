//! Routing by content: a [`Router`] sends each request where the first [`Rule`] that it
//! matches says.
//!
//! ```text
//! Request ─► host, path ─► index ─► the few rules that may match, in order
//!                                        │ the first whose conditions all hold
//!               ┌────────────────────────┼─────────────────┐
//!               ▼                        ▼                 ▼
//!         your service               Redirect           Answer
//! ```
//!
//! Exact hosts, `*.` hosts, exact paths, prefixes and patterns are indexed: more rules
//! that differ in them cost a request nothing. Rules with nothing but other conditions
//! are tried in turn.
//!
//! What does not live here: the services behind, and access control (see [`Rule`] for
//! why).

mod answer;
mod condition;
mod error;
mod future;
mod host;
mod index;
mod path;
mod redirect;
mod rule;
mod table;

#[cfg(test)]
mod laws;

pub use answer::StaticResponse;
pub use error::{RouterError, RuleError};
pub use future::RouterFuture;
pub use redirect::Redirect;
pub use rule::Rule;
pub use table::{Router, RouterBuilder};

pub(super) use host::host_of;
#[cfg(feature = "config")]
pub(crate) use host::is_for_http;
pub(crate) use host::names_its_host;
