//! The meaning of directives: [`interpret`] converts a tree into a configuration.
//!
//! ```text
//! names            the list of directives, where each is allowed, and its function
//! walk             one pass over the tree: sections and directives
//! reading          the configuration so far, contexts, diagnostics
//! host, balancers, mappings, headers, access, health     the functions of directives
//! parameter, member_parameters, balancer_parameters      `key=value`
//! member_url                                             the names of members
//! definitions      what was read so far, by name
//! session_warning  members that sessions cannot stay with
//! final_checks     checks of the whole: rules that hide others (hidden), unknown balancers
//! ```
//!
//! Not here: lines and words (`syntax`), and printing (`print`), except that the tables of
//! parameters are used for both.

mod access;
mod balancer_parameters;
mod balancers;
mod definitions;
mod final_checks;
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
mod session_warning;
mod walk;

pub(super) use balancer_parameters::BALANCER;
pub(super) use member_parameters::{CHECK, MEMBER};
pub(super) use parameter::{print_all, print_switch};

use super::Config;
use super::diagnostic_list::DiagnosticList;
use super::syntax::{Sources, SyntaxNode};
use reading::DirectiveContext;

/// Converts a tree into a configuration. Directives that cannot be applied are left out,
/// with a diagnostic.
pub(super) fn interpret(
    nodes: &[SyntaxNode],
    sources: &Sources,
    diagnostics: &mut DiagnosticList,
) -> Config {
    walk::read_whole(DirectiveContext::new(sources, diagnostics), nodes)
}
