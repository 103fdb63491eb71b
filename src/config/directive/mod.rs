//! The meaning of directives: [`understand`] converts a tree into a configuration.
//!
//! ```text
//! names      which directives there are, where they may stand, and what reads them
//! walk       one pass over the tree: sections and directives
//! reading    what is read into, scopes, complaints
//! host, balancers, mappings, headers, access, health     those who read them
//! parameter, member_parameters, balancer_parameters      `key=value`
//! member_url                                             the names of members
//! found       what was read so far, by name
//! routes      members that no session stays with
//! afterwards  what only the whole can show: rules that hide others (hidden), unknown balancers
//! ```
//!
//! Elsewhere: lines and words (`syntax`), and printing (`print`), except that the tables of
//! parameters are used for both.

mod access;
mod afterwards;
mod balancer_parameters;
mod balancers;
mod found;
mod headers;
mod health;
mod hidden;
mod host;
mod mappings;
mod member_parameters;
mod member_url;
mod names;
mod others;
mod parameter;
mod reading;
mod routes;
mod walk;

pub(super) use balancer_parameters::BALANCER;
pub(super) use member_parameters::{CHECK, MEMBER};
pub(super) use parameter::{print_all, print_switch};

use super::Config;
use super::complaints::Complaints;
use super::syntax::{Sources, SyntaxNode};
use reading::DirectiveContext;

/// Converts a tree into a configuration. Directives that cannot be applied are left out,
/// with a diagnostic.
pub(super) fn understand(
    nodes: &[SyntaxNode],
    sources: &Sources,
    complaints: &mut Complaints,
) -> Config {
    walk::read_whole(DirectiveContext::new(sources, complaints), nodes)
}
