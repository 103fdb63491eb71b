//! Converts a member: its [`MemberSpec`] for the balancer, and its [`ConnectionSettings`], from which an
//! [`Endpoint`] is built.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use http::Uri;

use super::{BuildEnvironment, Faults};
use crate::config::member_url::MemberUrl;
use crate::config::{MemberConfig, MemberTlsConfig};
use crate::member::{MemberSpec, Weight};
use crate::net::MemberTls;
use crate::proxy::Endpoint;

/// The settings that members inherit from the host of their balancer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inherited {
    pub(super) timeout: Duration,
    pub(super) tls: MemberTlsConfig,
}

/// The connection settings of a member. Members with equal settings may share connections.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConnectionSettings {
    url: String,
    connect: Duration,
    timeout: Duration,
    max_idle: Option<u32>,
    idle_lifetime: Option<Duration>,
    max_line: Option<u32>,
    inherited: Inherited,
    /// The hash of the trusted certificates, which may change while the file name does not.
    roots: Option<u64>,
}

/// The default time limit for connecting. httpd uses `timeout` for connecting too, but one
/// minute is too long before another member is tried.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

impl ConnectionSettings {
    pub(super) fn of(
        member: &MemberConfig,
        inherited: &Inherited,
        environment: &BuildEnvironment,
    ) -> Self {
        let timeout = member.timeout.unwrap_or(inherited.timeout);
        let connect = match (member.connect_timeout, member.timeout) {
            (Some(connect), _) | (None, Some(connect)) => connect,
            (None, None) => timeout.min(LONGEST_CONNECT),
        };
        Self {
            url: member.url.clone(),
            connect,
            timeout,
            max_idle: match member.reuse {
                Some(false) => Some(0),
                _ => member.max_idle,
            },
            idle_lifetime: member.idle_lifetime,
            max_line: member.response_field_size.filter(|&size| size > 0),
            inherited: inherited.clone(),
            roots: inherited.tls.roots.as_ref().and_then(|roots| {
                // An unreadable file is reported where it is used.
                let pem = std::fs::read(environment.file(roots)).ok()?;
                Some(BuildHasherDefault::<DefaultHasher>::default().hash_one(pem))
            }),
        }
    }

    /// Returns the time limit of a health check.
    pub(super) fn check_limit(&self, connects_only: bool) -> Duration {
        let answer = if connects_only {
            Duration::ZERO
        } else {
            self.timeout
        };
        self.connect.saturating_add(answer)
    }

    /// Creates an endpoint, without connecting.
    pub(super) fn endpoint(
        &self,
        environment: &BuildEnvironment,
        faults: &mut Faults,
    ) -> Option<Endpoint> {
        let url = &self.url;
        let parts = MemberUrl::parse(url).ok();
        let Some((parts, (scheme, versions))) =
            parts.as_ref().and_then(|it| Some((it, it.http()?)))
        else {
            let scheme = parts.map(|parts| parts.scheme).unwrap_or_default();
            faults.add(
                format!("unsupported scheme `{scheme}` in `{url}`"),
                "use http, https, ws, wss, h2 or h2c",
            );
            return None;
        };
        let (host, path) = (parts.host_and_port(), &parts.path);
        let uri = format!("{scheme}://{host}{path}").parse::<Uri>();
        let uri = faults.note(
            uri,
            format_args!("`{url}` is not a URL"),
            "write http://host:port/path",
        )?;
        let mut builder = Endpoint::builder(uri.clone())
            .versions(versions)
            .connect_timeout(self.connect)
            .head_timeout(self.timeout)
            .frame_timeout(self.timeout);
        #[cfg(unix)]
        if let Some(socket) = &parts.socket {
            builder = builder.unix_socket(socket);
        }
        #[cfg(not(unix))]
        if parts.socket.is_some() {
            faults.add(
                format!("this system has no Unix sockets: `{url}`"),
                "connect to the member over TCP",
            );
            return None;
        }
        let secure = scheme == "https";
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if let Some(address) = environment.address(host, port) {
            builder = builder.address(address);
        }
        if let Some(connections) = self.max_idle {
            builder = builder.max_idle(usize::try_from(connections).unwrap_or(usize::MAX));
        }
        if let Some(life) = self.idle_lifetime {
            builder = builder.idle_lifetime(life);
        }
        if let Some(line) = self.max_line {
            // The line limit; the head may have more lines.
            let line = usize::try_from(line).unwrap_or(usize::MAX);
            builder = builder.max_head(line.max(64 * 1024));
        }
        if secure {
            if let Some(tls) = self.tls(environment, faults)? {
                builder = builder.tls(&tls);
            }
        }
        faults.note(
            builder.build(),
            format_args!("member `{url}`"),
            "fix its URL",
        )
    }

    /// Returns the TLS settings if they differ from the system's; the outer `None` is an
    /// error.
    fn tls(
        &self,
        environment: &BuildEnvironment,
        faults: &mut Faults,
    ) -> Option<Option<MemberTls>> {
        let tls = &self.inherited.tls;
        if tls.verify == Some(false) {
            return Some(Some(MemberTls::dangerously_without_verification()));
        }
        let Some(roots) = &tls.roots else {
            return Some(None);
        };
        let file = environment.file(roots);
        let about = format!("cannot read the certificates of `{}`", file.display());
        let pem = faults.note(std::fs::read(&file), &about, "name an existing PEM file")?;
        let tls = MemberTls::with_roots(&pem);
        faults
            .note(
                tls,
                &about,
                "the file must contain certificates in PEM format",
            )
            .map(Some)
    }
}

/// Returns the settings for the balancer.
pub(super) fn spec(member: &MemberConfig) -> MemberSpec {
    let mut spec = MemberSpec::new()
        .with_weight(member.weight.unwrap_or(Weight::ONE))
        .with_tier(member.tier.unwrap_or(0))
        .with_route(member.route.as_deref().unwrap_or_default())
        .with_redirect_route(member.redirect_route.as_deref().unwrap_or_default())
        .with_recovery_delay(member.recovery_delay.unwrap_or(RECOVERY_DELAY));
    if let Some(most) = member.max_in_flight.filter(|&most| most > 0) {
        spec = spec.with_max_in_flight(most);
    }
    for &flag in &member.flags {
        spec = spec.with_flag(flag);
    }
    spec
}

/// httpd's default of `retry`.
const RECOVERY_DELAY: Duration = Duration::from_secs(60);
