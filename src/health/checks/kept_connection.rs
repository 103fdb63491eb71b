//! The connection that is kept from one check of a member to the next: [`KeptConnection`].
//!
//! Not here: the connection (`http/connection`).

use std::fmt;
use std::sync::Arc;

use super::http::CheckConnection;
use crate::net::Connector;
use crate::sync::Mutex;

/// Holds one connection of one member.
#[derive(Clone, Default)]
pub(super) struct KeptConnection {
    connection: Arc<Mutex<Option<KeptEntry>>>,
}

struct KeptEntry {
    by: Connector,
    by_2: bool,
    connection: CheckConnection,
}

impl KeptConnection {
    /// Takes the connection out, if `connector` could have opened it.
    pub(super) fn take(&self, connector: &Connector, by_2: bool) -> Option<CheckConnection> {
        let kept = self.connection.lock().take()?;
        let fits = kept.by_2 == by_2 && connector.could_open(&kept.by, kept.connection.peer());
        fits.then_some(kept.connection)
    }

    pub(super) fn put(&self, by: Connector, by_2: bool, connection: CheckConnection) {
        let former = self.connection.lock().replace(KeptEntry {
            by,
            by_2,
            connection,
        });
        drop(former);
    }
}

impl fmt::Debug for KeptConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptConnection").finish_non_exhaustive()
    }
}
