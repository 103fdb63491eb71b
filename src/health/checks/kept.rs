//! The connection that is kept from one check of a member to the next: [`KeptLine`].
//!
//! What does not live here: the connection (`http/line`).

use std::fmt;
use std::sync::Arc;

use super::http::CheckConnection;
use crate::net::Connector;
use crate::sync::Mutex;

/// A place for one connection, which belongs to one member.
#[derive(Clone, Default)]
pub(super) struct KeptLine {
    line: Arc<Mutex<Option<Kept>>>,
}

struct Kept {
    by: Connector,
    by_2: bool,
    line: CheckConnection,
}

impl KeptLine {
    /// Takes the connection out, if it is one that `connector` could open now.
    pub(super) fn take(&self, connector: &Connector, by_2: bool) -> Option<CheckConnection> {
        let kept = self.line.lock().take()?;
        let fits = kept.by_2 == by_2 && connector.could_open(&kept.by, kept.line.peer());
        fits.then_some(kept.line)
    }

    pub(super) fn put(&self, by: Connector, by_2: bool, line: CheckConnection) {
        let former = self.line.lock().replace(Kept { by, by_2, line });
        drop(former);
    }
}

impl fmt::Debug for KeptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptLine").finish_non_exhaustive()
    }
}
