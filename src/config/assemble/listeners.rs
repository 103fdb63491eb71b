//! Listeners: sockets, with their certificates. [`open`] does everything that can fail.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::watch;

use super::{BuildEnvironment, Faults};
use crate::config::{Config, Host, HostAddress, ListenAddress};
use crate::net::{Identity, Listener, ServerTls};
use crate::proxy::Server;

/// An open listener.
#[derive(Debug)]
pub(in crate::config) struct OpenListener {
    /// The configured address, which identifies the listener.
    address: SocketAddr,
    pub(in crate::config) local: SocketAddr,
    tls: Option<ServerTls>,
    /// `true` closes the listener.
    pub(in crate::config) close: watch::Sender<bool>,
    /// `None` once it is being served.
    pub(in crate::config) unserved: Option<(Server, Listener)>,
}

/// The wanted listeners, in order.
#[derive(Debug, Default)]
pub(in crate::config) struct ListenerPlan {
    planned: Vec<PlannedListener>,
}

#[derive(Debug)]
enum PlannedListener {
    /// The index among the open listeners, and new certificates if they change.
    Kept(usize, Option<Vec<Identity>>),
    Opened(Box<OpenListener>),
}

/// Opens listeners that are not open yet, without changing the running ones.
pub(in crate::config) fn open(
    config: &Config,
    running: &[OpenListener],
    environment: &BuildEnvironment,
    faults: &mut Faults,
) -> ListenerPlan {
    let mut listeners = ListenerPlan::default();
    let mut kept = Vec::new();
    for (address, protocol) in wanted_addresses(config, environment, faults) {
        let identities = identities(config, address, protocol, environment, faults);
        let mut known = running.iter().enumerate();
        let known =
            known.find(|(place, opened)| opened.address == address && !kept.contains(place));
        if let Some((place, opened)) = known {
            if opened.tls.is_some() != identities.is_some() {
                faults.add(
                    format!("{address} cannot change between TLS and plain HTTP while it is open"),
                    "remove the listener first, or restart",
                );
            }
            kept.push(place);
            listeners
                .planned
                .push(PlannedListener::Kept(place, identities));
            continue;
        }
        // A missing certificate has been reported.
        let Ok(tls) = identities.map(ServerTls::new).transpose() else {
            continue;
        };
        let listener = bind(address);
        let ours = running
            .iter()
            .any(|opened| opened.local.port() == address.port());
        let hint = if ours {
            "this server already listens on this port at other addresses: remove those \
                first, or restart"
        } else {
            "use another address, or stop the program that listens there"
        };
        let about = format!("cannot listen on {address}");
        let Some((listener, local)) = faults.note(listener, about, hint) else {
            continue;
        };
        let server = server(config, tls.as_ref(), local);
        listeners
            .planned
            .push(PlannedListener::Opened(Box::new(OpenListener {
                address,
                local,
                tls,
                close: watch::Sender::new(false),
                unserved: Some((server, listener)),
            })));
    }
    listeners
}

/// Checks whether listeners could be opened, without opening sockets.
pub(in crate::config) fn check(
    config: &Config,
    environment: &BuildEnvironment,
    faults: &mut Faults,
) {
    for (address, protocol) in wanted_addresses(config, environment, faults) {
        identities(config, address, protocol, environment, faults);
    }
}

/// Returns the addresses to listen on, with the configured protocol.
fn wanted_addresses<'c>(
    config: &'c Config,
    environment: &BuildEnvironment,
    faults: &mut Faults,
) -> Vec<(SocketAddr, Option<&'c str>)> {
    let mut wanted: Vec<(SocketAddr, Option<&str>)> = Vec::new();
    for listen in &config.listeners {
        let address = address_of(listen);
        if wanted.iter().any(|(known, _)| *known == address) && address.port() != 0 {
            faults.add(
                format!("`Listen {listen}` occurs twice"),
                "remove one of them",
            );
        }
        wanted.push((address, listen.protocol.as_deref()));
    }
    // A listener on all IPv6 addresses also accepts IPv4.
    let both: Vec<u16> = wanted
        .iter()
        .filter(|(address, _)| address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED))
        .map(|(address, _)| address.port())
        .collect();
    wanted.retain(|(address, _)| {
        let is_there = both.contains(&address.port()) && address.port() != 0;
        address.ip() != IpAddr::from(Ipv4Addr::UNSPECIFIED) || !is_there
    });
    if wanted.is_empty() {
        wanted.extend(environment.listen.iter().map(|&address| (address, None)));
    }
    if wanted.is_empty() {
        faults.add("there is no address to listen on", "add `Listen 8080`");
    }
    wanted
}

impl ListenerPlan {
    /// Closes listeners that are not wanted, and renews certificates.
    pub(in crate::config) fn apply(self, running: &mut Vec<OpenListener>) {
        let mut before: Vec<Option<OpenListener>> = running.drain(..).map(Some).collect();
        for planned in self.planned {
            match planned {
                PlannedListener::Opened(opened) => running.push(*opened),
                PlannedListener::Kept(place, identities) => {
                    let Some(opened) = before.get_mut(place).and_then(Option::take) else {
                        continue;
                    };
                    if let (Some(tls), Some(identities)) = (&opened.tls, identities) {
                        // There is at least one: a listener without any is refused earlier.
                        drop(tls.replace(identities));
                    }
                    running.push(opened);
                }
            }
        }
        for opened in before.into_iter().flatten() {
            opened.close.send_replace(true);
        }
    }
}

fn address_of(listen: &ListenAddress) -> SocketAddr {
    let ip = listen.ip.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    SocketAddr::new(ip, listen.port)
}

/// Binds a socket. All IPv6 addresses include all IPv4 addresses, unless the system
/// supports only one family.
fn bind(address: SocketAddr) -> io::Result<(Listener, SocketAddr)> {
    let everywhere = address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED);
    let listener = match Listener::bind(address) {
        Err(error) if everywhere && error.kind() != io::ErrorKind::AddrInUse => {
            let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            Listener::bind(address).map_err(|_| error)
        }
        bound => bound,
    }?;
    let local = listener.local_addr().unwrap_or(address);
    Ok((listener, local))
}

fn server(config: &Config, tls: Option<&ServerTls>, local: SocketAddr) -> Server {
    let mut server = Server::new().facts_beside();
    if let Some(timeout) = config.server.timeout {
        server = server.body_timeout(timeout).write_timeout(timeout);
    } else {
        server = server.body_timeout(Duration::from_secs(60));
    }
    // Only then must the local address of each connection be determined. A reload may need
    // it at any time: for a host with its own address, or for `Require local`.
    if local.ip().is_unspecified() {
        server = server.server_addr();
    }
    match tls {
        Some(tls) => server.tls(tls),
        None => server,
    }
}

/// Returns the certificates of a listener; `None` if it does not use TLS.
fn identities(
    config: &Config,
    address: SocketAddr,
    protocol: Option<&str>,
    environment: &BuildEnvironment,
    faults: &mut Faults,
) -> Option<Vec<Identity>> {
    let virtual_hosts = config.virtual_hosts.iter();
    let here = virtual_hosts.filter(|it| it.addresses.iter().any(|it| leads_to(it, address)));
    let mut hosts: Vec<&Host> = here.map(|it| &it.host).collect();
    if hosts.is_empty() {
        hosts.push(&config.server);
    }
    let main = &config.server.tls;
    let secured = |host: &Host| {
        let enabled = host.tls.enabled.or(main.enabled);
        enabled.unwrap_or(protocol == Some("https"))
    };
    let by_tls = hosts.iter().filter(|host| secured(host)).count();
    if by_tls == 0 {
        return None;
    }
    if by_tls < hosts.len() {
        faults.add(
            format!("some hosts at {address} use TLS and others do not"),
            "set `SSLEngine On` for each of them, or use separate ports",
        );
    }
    let mut identities = Vec::new();
    for host in hosts.into_iter().filter(|host| secured(host)) {
        let name = host.name.as_deref().unwrap_or("without a name");
        let certificate = host.tls.certificate.as_ref().or(main.certificate.as_ref());
        let Some(certificate) = certificate else {
            let message = format!("host `{name}` at {address} uses TLS but has no certificate");
            faults.add(
                message,
                "add `SSLCertificateFile` and `SSLCertificateKeyFile`",
            );
            continue;
        };
        let key = host
            .tls
            .key
            .as_ref()
            .or(main.key.as_ref())
            .unwrap_or(certificate);
        let identity =
            Identity::from_pem_files(environment.file(certificate), environment.file(key));
        let about = format!("host `{name}`");
        identities.extend(faults.note(
            identity,
            about,
            "provide a certificate and its key in PEM format",
        ));
    }
    Some(identities)
}

fn leads_to(host: &HostAddress, local: SocketAddr) -> bool {
    let ip = host
        .ip
        .is_none_or(|ip| local.ip().is_unspecified() || ip == local.ip());
    ip && host.port.is_none_or(|port| port == local.port())
}
