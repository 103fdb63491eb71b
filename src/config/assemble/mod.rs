//! From nouns to things that run: what a configuration asks for, made ready without
//! anything being changed, so that a reload does all of it or nothing.
//!
//! ```text
//! Config ─► scope ─► balancers: members, schedulers ─┐
//!                 ─► sites: hosts, places, mappings ─┼─► RunningConfig
//!        ─► doors: sockets, certificates ────────────┤
//!        ─► heartbeats: listener, file, sender ──────┘
//! ```
//!
//! What does not live here: what becomes of a request (`front`).

mod balancers;
mod checks;
mod doors;
mod error;
mod heartbeat_faults;
mod heartbeats;
mod layers;
mod members;
mod scope;
mod sites;
mod storage;
mod ways;

pub(super) use balancers::{BalancerChange, Means, RunningBalancer, prepare};
pub(super) use doors::{OpenListener, check as check_doors, open};
pub use error::ConfigError;
pub(super) use error::Faults;
pub(super) use heartbeats::{Heart, HeartChange};
pub(super) use scope::{BalancerKey, order};
pub(super) use sites::sites;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What a configuration needs from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct BuildEnvironment {
    /// Where relative names of files begin.
    pub(super) base: Option<PathBuf>,
    /// Where names are, instead of where the DNS says.
    pub(super) addresses: BTreeMap<String, SocketAddr>,
    /// Where to listen if the configuration does not say.
    pub(super) listen: Vec<SocketAddr>,
}

impl BuildEnvironment {
    /// The file that a configuration names.
    fn file(&self, name: &str) -> PathBuf {
        match &self.base {
            Some(base) => base.join(name),
            None => Path::new(name).to_owned(),
        }
    }

    /// Where a member is, if not where its name says; the port is the URL's unless the
    /// address has one.
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
