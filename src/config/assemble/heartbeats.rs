//! Heartbeats: where they come in and go out. [`Heart`].
//!
//! What does not live here: the file (`storage`), messages and sockets (`heartbeat`).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use tokio::runtime::Handle;

use super::heartbeat_faults::HeartbeatFaults;
use super::storage::{Storing, keep_reading, keep_writing};
use super::{BuildEnvironment, Faults};
use crate::balancer::Balancer;
use crate::balancer::events::Observer;
use crate::config::{Config, HeartbeatConfig};
use crate::heartbeat::{
    FollowGuard, HeartbeatListener, HeartbeatListenerGuard, HeartbeatMonitor, HeartbeatSender,
    HeartbeatSenderGuard, MemberAddress, MonitorBuilder, reading_of,
};
use crate::proxy::Endpoint;
use crate::scheduler::HeartbeatReadings;

/// How many requests this server serves at once, by httpd's default of `MaxRequestWorkers`.
const CAPACITY: u32 = 400;

/// What takes reports in, and sends them.
pub(in crate::config) struct Heart {
    pub(in crate::config) monitor: HeartbeatMonitor,
    faults: Arc<HeartbeatFaults>,
    listening: Option<(SocketAddr, HeartbeatListenerGuard)>,
    storing: Option<(Storage, Storing)>,
    sending: Option<((SocketAddr, u32), HeartbeatSenderGuard)>,
}

/// What is done with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Storage {
    Read(PathBuf),
    Written(PathBuf),
}

/// What is to become of it, made ready.
#[derive(Debug, Default)]
pub(in crate::config) struct HeartChange {
    listen: Listen,
    storage: Option<Storage>,
    send: Option<(SocketAddr, u32)>,
    max_senders: usize,
}

#[derive(Debug, Default)]
enum Listen {
    #[default]
    Not,
    Now(SocketAddr, HeartbeatListener),
    Still,
}

impl Heart {
    pub(in crate::config) fn new(
        config: &HeartbeatConfig,
        observer: Option<&Arc<dyn Observer>>,
    ) -> Self {
        let faults = Arc::new(HeartbeatFaults::new(observer));
        let dropped = faults.clone();
        let builder = HeartbeatMonitor::builder()
            .max_senders(max_senders(config))
            .on_dropped(move |from, error| dropped.dropped(from, error));
        Self {
            monitor: builder.build(),
            faults,
            listening: None,
            storing: None,
            sending: None,
        }
    }

    /// Opens what is not open yet. Nothing that runs is touched.
    pub(in crate::config) fn prepare(
        &self,
        config: &Config,
        around: &BuildEnvironment,
        runtime: Option<&Handle>,
        faults: &mut Faults,
    ) -> HeartChange {
        let wanted = &config.heartbeats;
        let mut change = HeartChange {
            storage: storage(wanted, around),
            send: wanted
                .send_to
                .map(|to| (to, wanted.capacity.unwrap_or(CAPACITY))),
            listen: Listen::Not,
            max_senders: max_senders(wanted),
        };
        if wanted.listen.is_none() && change.storage.is_none() && change.send.is_none() {
            return change;
        }
        let Some(runtime) = runtime else {
            faults.add("heartbeats need a tokio runtime", "build it inside of one");
            return change;
        };
        let Some(address) = wanted.listen else {
            return change;
        };
        if self
            .listening
            .as_ref()
            .is_some_and(|(at, _)| *at == address)
        {
            change.listen = Listen::Still;
            return change;
        }
        let _inside = runtime.enter();
        let about = format!("`HeartbeatListen {address}`");
        let hint = "take an address of this machine, or a group that a route leads to";
        if let Some(listener) = faults.note(HeartbeatListener::bind(address), about, hint) {
            change.listen = Listen::Now(address, listener);
        }
        change
    }

    /// Does it. It cannot fail.
    pub(in crate::config) fn carry_out(
        &mut self,
        change: HeartChange,
        runtime: Option<&Handle>,
        busy: impl Fn() -> u32 + Send + Sync + 'static,
    ) {
        let Some(runtime) = runtime else {
            return self.end();
        };
        let _inside = runtime.enter();
        self.monitor.set_max_senders(change.max_senders);
        match change.listen {
            Listen::Not => self.listening = None,
            Listen::Now(address, listener) => {
                self.listening = Some((address, listener.spawn(&self.monitor)));
            }
            Listen::Still => {}
        }
        if self.storing.as_ref().map(|(storage, _)| storage) != change.storage.as_ref() {
            self.storing = change.storage.map(|storage| {
                let (monitor, faults) = (self.monitor.clone(), self.faults.clone());
                let storing = match storage.clone() {
                    Storage::Read(path) => Storing::spawn(keep_reading(path, monitor, faults)),
                    Storage::Written(path) => Storing::spawn(keep_writing(path, monitor, faults)),
                };
                (storage, storing)
            });
        }
        if self.sending.as_ref().map(|(what, _)| *what) != change.send {
            self.sending = change.send.map(|(to, capacity)| {
                let reading = move || reading_of(capacity, busy());
                let faults = self.faults.clone();
                let sender = HeartbeatSender::new(to)
                    .reading(reading)
                    .on_error(move |to, error| faults.unsent(to, error));
                ((to, capacity), sender.spawn())
            });
        }
    }

    /// Gives a balancer what comes in.
    pub(super) fn feed(
        &self,
        balancer: &Balancer<Endpoint>,
        readings: &HeartbeatReadings,
        around: &BuildEnvironment,
    ) -> FollowGuard {
        let around = around.clone();
        self.monitor
            .follow(balancer, readings, move |endpoint: &Endpoint| {
                address_of(endpoint.uri(), &around)
            })
    }

    /// Ends all of it.
    pub(in crate::config) fn end(&mut self) {
        self.listening = None;
        self.storing = None;
        self.sending = None;
    }
}

fn max_senders(wanted: &HeartbeatConfig) -> usize {
    match wanted.max_members {
        None | Some(0) => MonitorBuilder::MAX_SENDERS,
        Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
    }
}

/// With a listener, reports are in memory, and the file is for other programs.
fn storage(wanted: &HeartbeatConfig, around: &BuildEnvironment) -> Option<Storage> {
    let path = around.file(wanted.storage.as_ref()?);
    match (wanted.listen, wanted.max_members) {
        (None, _) => Some(Storage::Read(path)),
        (Some(_), Some(0)) => Some(Storage::Written(path)),
        (Some(_), _) => None,
    }
}

fn address_of(uri: &Uri, around: &BuildEnvironment) -> Option<MemberAddress> {
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    match around.address(uri.host()?, port) {
        Some(address) => Some(address.into()),
        None => MemberAddress::of_uri(uri),
    }
}

impl fmt::Debug for Heart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heart")
            .field("monitor", &self.monitor)
            .finish_non_exhaustive()
    }
}
