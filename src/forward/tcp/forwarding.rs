//! Starting to forward an accepted connection: [`ConnectionForwarder`]. It is used for the
//! connections of a forwarder's own listener, and for those that a router passes to it
//! (`router`).
//!
//! What does not live here: serving the connection (`course`), and the settings
//! (`settings`).

use std::sync::Arc;

use super::course::{ConnectionClient, ConnectionSetup};
use crate::net::{Accepted, ProxyVersion};

/// Forwards connections within shared limits.
#[derive(Clone, Debug)]
pub(super) struct ConnectionForwarder {
    course: Arc<ConnectionSetup>,
    telling: Option<ProxyVersion>,
}

impl ConnectionForwarder {
    pub(super) const fn new(course: Arc<ConnectionSetup>, telling: Option<ProxyVersion>) -> Self {
        Self { course, telling }
    }

    /// Forwards one connection until it ends. Other information about the connection is
    /// dropped, so that it uses no memory.
    pub(super) fn forward(&self, accepted: Accepted) -> impl Future<Output = ()> + Send + use<> {
        let telling = self.telling;
        let client = ConnectionClient {
            address: accepted.client_addr(),
            header: telling.map(|version| (accepted.next_proxy_header(), version)),
        };
        let (course, stream) = (self.course.clone(), accepted.into_stream());
        async move {
            let counted = course.statistics.count_accepted();
            counted.end(course.serve(stream, client).await);
        }
    }
}
