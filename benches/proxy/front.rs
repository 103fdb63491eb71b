//! What a contender is told of a work: [`Front`].

use std::path::Path;

use crate::work::Work;

/// What a contender needs to know of a work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front<'p> {
    pub(crate) work: Work,
    /// A certificate and its key, for works with TLS.
    pub(crate) identity: &'p Path,
}
