//! What a server knows of a client's connection: [`ConnectionFacts`].
//!
//! Not here: where services find it (`known_client`).

use http::Extensions;

use super::forwarding::ForwardedClient;
use super::{ClientAddr, ServerAddr};
use crate::net::{TlsSession, TunnelCutoff};

/// What a server knows of a client's connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionFacts {
    pub(super) client: Option<ClientAddr>,
    /// The client as members are told of it.
    pub(super) to_forward: Option<ForwardedClient>,
    pub(super) here: Option<ServerAddr>,
    pub(super) tls: Option<TlsSession>,
    pub(super) cut: TunnelCutoff,
}

impl ConnectionFacts {
    /// Puts the facts into the extensions of a request, for services that look there. With
    /// `tunnel`, the connection can be switched to another protocol.
    pub(super) fn insert_into(&self, extensions: &mut Extensions, tunnel: bool) {
        if let Some(client) = self.client {
            extensions.insert(client);
        }
        if let Some(here) = self.here {
            extensions.insert(here);
        }
        if let Some(tls) = &self.tls {
            extensions.insert(tls.clone());
        }
        if tunnel {
            extensions.insert(self.cut.clone());
        }
    }
}
