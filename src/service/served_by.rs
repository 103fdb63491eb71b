//! Which member answered a request: [`ServedBy`].

use std::sync::Arc;

use crate::session::Session;

/// The member that answered, in the extensions of the answer: for access logs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServedBy {
    /// The member's name.
    pub member: Arc<str>,
    /// The member's route, if it has one.
    pub route: Option<Arc<str>>,
    /// How many attempts there were, this one included.
    pub attempts: u32,
    /// How the request's session fared.
    pub session: Session,
}
