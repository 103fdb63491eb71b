//! Which member served a request: [`ServedBy`].

use std::sync::Arc;

use crate::session::Session;

/// The member that gave a response, for access logs. It is in the extensions of the
/// response.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServedBy {
    /// The member's name.
    pub member: Arc<str>,
    /// The member's route, if it has one.
    pub route: Option<Arc<str>>,
    /// The number of attempts, including the one that gave the response.
    pub attempts: u32,
    /// What became of the request's session.
    pub session: Session,
}
