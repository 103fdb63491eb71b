//! Starting to forward an accepted connection: [`ConnectionForwarder`]. It is used for the
//! connections of a forwarder's own listener, and for those that a router passes to it
//! (`router`).
//!
//! Not here: serving the connection (`connection`), and the settings
//! (`settings`).

use std::sync::Arc;

use super::connection::{ConnectionClient, ConnectionSetup};
use crate::net::{Accepted, ProxyVersion};

/// Forwards connections within shared limits.
#[derive(Clone, Debug)]
pub(super) struct ConnectionForwarder {
    setup: Arc<ConnectionSetup>,
    proxy_version: Option<ProxyVersion>,
}

impl ConnectionForwarder {
    pub(super) const fn new(
        setup: Arc<ConnectionSetup>,
        proxy_version: Option<ProxyVersion>,
    ) -> Self {
        Self {
            setup,
            proxy_version,
        }
    }

    /// Forwards one connection until it ends. Other information about the connection is
    /// dropped, so that it uses no memory.
    pub(super) fn forward(&self, accepted: Accepted) -> impl Future<Output = ()> + Send + use<> {
        let proxy_version = self.proxy_version;
        let client = ConnectionClient {
            address: accepted.client_addr(),
            header: proxy_version.map(|version| (accepted.next_proxy_header(), version)),
        };
        let (setup, stream) = (self.setup.clone(), accepted.into_stream());
        async move {
            let counted = setup.statistics.count_accepted();
            counted.end(setup.serve(stream, client).await);
        }
    }
}
