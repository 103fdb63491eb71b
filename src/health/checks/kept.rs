//! The connection that is kept from one check of a member to the next: [`KeptLine`].
//!
//! What does not live here: the connection (`http/line`).

use std::fmt;
use std::sync::Arc;

use super::http::CheckConnection;
use crate::sync::Mutex;

/// A place for one connection, which belongs to one member.
#[derive(Clone, Default)]
pub(super) struct KeptLine {
    line: Arc<Mutex<Option<(String, CheckConnection)>>>,
}

impl KeptLine {
    /// Takes the connection out, if it goes to where `key` says.
    pub(super) fn take(&self, key: &str) -> Option<CheckConnection> {
        let kept = self.line.lock().take();
        kept.filter(|(to, _)| to == key).map(|(_, line)| line)
    }

    pub(super) fn put(&self, key: String, line: CheckConnection) {
        let former = self.line.lock().replace((key, line));
        drop(former);
    }
}

impl fmt::Debug for KeptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptLine").finish_non_exhaustive()
    }
}
