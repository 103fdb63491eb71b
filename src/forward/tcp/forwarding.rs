//! From a connection that was accepted to its course: [`ConnectionForwarder`]. A forwarder does so for
//! those of its own listener, and as a target of a router for those that it is given (`router`).
//!
//! What does not live here: the course itself (`course`), and the settings (`settings`).

use std::sync::Arc;

use super::course::{ConnectionClient, ConnectionSetup};
use crate::net::{Accepted, ProxyVersion};

/// Forwards connections within limits that all of them share.
#[derive(Clone, Debug)]
pub(super) struct ConnectionForwarder {
    course: Arc<ConnectionSetup>,
    telling: Option<ProxyVersion>,
}

impl ConnectionForwarder {
    pub(super) const fn new(course: Arc<ConnectionSetup>, telling: Option<ProxyVersion>) -> Self {
        Self { course, telling }
    }

    /// Forwards one connection, to its end. What is known of it otherwise is left behind, so that
    /// it costs no memory.
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
