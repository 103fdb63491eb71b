//! Builds the running parts of a configuration. Preparing does not change what is running,
//! so a reload applies completely or not at all.
//!
//! ```text
//! Config ─► scope ─► balancers: members, schedulers ─┐
//!                 ─► sites: locations, mappings ─────┼─► RunningConfig
//!        ─► listeners: sockets, certificates ────────┤
//!        ─► heartbeats: listener, file, sender ──────┘
//! ```
//!
//! Not here: handling a request (`front`).

mod balancers;
mod checks;
mod error;
mod heartbeat_faults;
mod heartbeats;
mod layers;
mod listeners;
mod mappings;
mod members;
mod scope;
mod sites;
mod storage;

pub(super) use balancers::{ApplyContext, BalancerChange, RunningBalancer, prepare};
pub use error::ConfigError;
pub(super) use error::Faults;
pub(super) use heartbeats::{HeartbeatChange, HeartbeatTasks};
pub(super) use listeners::{OpenListener, check as check_listeners, open};
pub(super) use scope::{BalancerKey, order};
pub(super) use sites::sites;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The inputs of a configuration from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct BuildEnvironment {
    /// The directory for relative file names.
    pub(super) base: Option<PathBuf>,
    /// The addresses of host names, in place of DNS.
    pub(super) addresses: BTreeMap<String, SocketAddr>,
    /// The addresses to listen on if the configuration contains no `Listen`.
    pub(super) listen: Vec<SocketAddr>,
}

impl BuildEnvironment {
    /// Returns the path of a file that a configuration names.
    fn file(&self, name: &str) -> PathBuf {
        match &self.base {
            Some(base) => base.join(name),
            None => Path::new(name).to_owned(),
        }
    }

    /// Returns the configured address of a member's host; `None` to use DNS. The port is
    /// the URL's, unless the configured address has one.
    fn address(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let found = self.addresses.get(host)?;
        let port = if found.port() == 0 {
            port
        } else {
            found.port()
        };
        Some(SocketAddr::new(IpAddr::to_canonical(&found.ip()), port))
    }
}
