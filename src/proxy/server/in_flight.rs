//! A request in flight on a connection: [`InFlightRequest`].

use std::sync::Arc;

use super::connection_state::ConnectionState;
use super::held_heads::HeldHead;
use super::unread::UnreadBody;

/// Counts a request in flight until it is dropped.
#[derive(Debug)]
pub(super) struct InFlightRequest {
    pub(super) connection: Arc<ConnectionState>,
    /// The memory of its head, which is held for a retry until the exchange is over.
    pub(super) head: Option<HeldHead>,
}

impl InFlightRequest {
    pub(super) fn new(connection: &Arc<ConnectionState>) -> Self {
        connection.request_begins();
        Self {
            connection: connection.clone(),
            head: None,
        }
    }

    /// Counts the body of the request separately, because a response does not always wait
    /// for it.
    pub(super) fn also(&self) -> Self {
        self.connection.body_begins();
        Self {
            connection: self.connection.clone(),
            head: None,
        }
    }

    pub(super) fn unread(&self) -> &UnreadBody {
        &self.connection.unread
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.connection.request_ends();
    }
}
