//! Receives and sends heartbeats: [`HeartbeatTasks`].
//!
//! Not here: the file (`storage`), messages and sockets (`heartbeat`).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use tokio::runtime::Handle;

use super::heartbeat_faults::HeartbeatFaults;
use super::storage::{StorageTask, keep_reading, keep_writing};
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

/// How many requests this server can serve at once, by httpd's default of
/// `MaxRequestWorkers`.
const CAPACITY: u32 = 400;

/// The running tasks that receive and send heartbeats.
pub(in crate::config) struct HeartbeatTasks {
    pub(in crate::config) monitor: HeartbeatMonitor,
    faults: Arc<HeartbeatFaults>,
    listening: Option<(SocketAddr, HeartbeatListenerGuard)>,
    storing: Option<(Storage, StorageTask)>,
    sending: Option<((SocketAddr, u32), HeartbeatSenderGuard)>,
}

/// How the file of heartbeats is used.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Storage {
    Read(PathBuf),
    Written(PathBuf),
}

/// A prepared change.
#[derive(Debug, Default)]
pub(in crate::config) struct HeartbeatChange {
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

impl HeartbeatTasks {
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

    /// Opens sockets that are not open yet, without changing the running ones.
    pub(in crate::config) fn prepare(
        &self,
        config: &Config,
        environment: &BuildEnvironment,
        runtime: Option<&Handle>,
        faults: &mut Faults,
    ) -> HeartbeatChange {
        let wanted = &config.heartbeats;
        let mut change = HeartbeatChange {
            storage: storage(wanted, environment),
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
            faults.add(
                "heartbeats need a tokio runtime",
                "build the configuration inside a tokio runtime",
            );
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
        let hint = "use an address of this machine, or a multicast group with a route";
        if let Some(listener) = faults.note(HeartbeatListener::bind(address), about, hint) {
            change.listen = Listen::Now(address, listener);
        }
        change
    }

    /// Applies the change. It cannot fail.
    pub(in crate::config) fn apply(
        &mut self,
        change: HeartbeatChange,
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
                    Storage::Read(path) => StorageTask::spawn(keep_reading(path, monitor, faults)),
                    Storage::Written(path) => {
                        StorageTask::spawn(keep_writing(path, monitor, faults))
                    }
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

    /// Subscribes a balancer to heartbeats.
    pub(super) fn subscribe(
        &self,
        balancer: &Balancer<Endpoint>,
        readings: &HeartbeatReadings,
        environment: &BuildEnvironment,
    ) -> FollowGuard {
        let environment = environment.clone();
        self.monitor
            .follow(balancer, readings, move |endpoint: &Endpoint| {
                address_of(endpoint.uri(), &environment)
            })
    }

    /// Ends all tasks.
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

/// With a listener, heartbeats are kept in memory, and the file is written for other
/// programs.
fn storage(wanted: &HeartbeatConfig, environment: &BuildEnvironment) -> Option<Storage> {
    let path = environment.file(wanted.storage.as_ref()?);
    match (wanted.listen, wanted.max_members) {
        (None, _) => Some(Storage::Read(path)),
        (Some(_), Some(0)) => Some(Storage::Written(path)),
        (Some(_), _) => None,
    }
}

fn address_of(uri: &Uri, environment: &BuildEnvironment) -> Option<MemberAddress> {
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    match environment.address(uri.host()?, port) {
        Some(address) => Some(address.into()),
        None => MemberAddress::of_uri(uri),
    }
}

impl fmt::Debug for HeartbeatTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatTasks")
            .field("monitor", &self.monitor)
            .finish_non_exhaustive()
    }
}
