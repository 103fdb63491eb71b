//! The command line options, and their errors.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use equipoise::{MemberSpec, StickySession, Weight};
use http::Uri;

use crate::schedulers::SchedulerName;

const EXAMPLES: &str = "\
Examples:
  reverse_proxy --exit
          Show everything with three embedded backends, and end
  reverse_proxy --scheduler bytraffic
          Show one scheduler, then serve with it until Ctrl-C
  reverse_proxy --backend http://10.0.0.1:8080,weight=3,route=a --backend http://10.0.0.2:8080,route=b --sticky 'JSESSIONID|jsessionid'
          Serve real backends, with the sessions that they set";

/// A reverse proxy over HTTP backends with balancing, sessions and failover.
///
/// Without --backend it starts three backends of its own, sends real requests through
/// itself, shows which backends served them, kills one of them, and then continues to
/// serve.
#[derive(Debug, Parser)]
#[command(name = "reverse_proxy", after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The address to listen on [default: 127.0.0.1:8080, or any free port if that is
    /// taken]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,

    /// A real backend to serve, in place of the embedded ones; may be repeated
    #[arg(long = "backend", value_name = "URL[,weight=W][,route=R]")]
    pub(crate) backends: Vec<RealBackend>,

    /// How members are picked [default: all are shown, then byrequests serves]
    #[arg(long, value_name = "NAME")]
    pub(crate) scheduler: Option<SchedulerName>,

    /// The cookie, or cookie|parameter, in which backends set the route of a session
    /// [default: the proxy sets ROUTEID for the embedded backends; no sessions for real ones]
    #[arg(long, value_name = "NAMES", value_parser = StickySession::new)]
    pub(crate) sticky: Option<StickySession>,

    /// End after the demonstration, with status 0 if all checks passed
    #[arg(long, conflicts_with = "backends")]
    pub(crate) exit: bool,
}

impl Options {
    /// Parses the command line; on an error, prints it and exits.
    pub(crate) fn from_command_line() -> Self {
        let options = Self::parse();
        if let Err(complaint) = options.check() {
            let mut command = Self::command();
            command.error(ErrorKind::ArgumentConflict, complaint).exit();
        }
        options
    }

    /// Checks what clap cannot check.
    fn check(&self) -> Result<(), String> {
        if self.backends.is_empty() {
            return Ok(());
        }
        if self.scheduler == Some(SchedulerName::Heartbeat) {
            return Err(
                "heartbeat needs backends that report their idle capacity, which only \
                        the embedded ones do: leave --backend out, or choose another scheduler"
                    .to_owned(),
            );
        }
        if self.sticky.is_some() && self.backends.iter().all(|it| it.spec.route().is_none()) {
            return Err(
                "--sticky finds a backend by its route, but none has one: write \
                        --backend http://host:port,route=a"
                    .to_owned(),
            );
        }
        let mut names = HashSet::new();
        match self.backends.iter().find(|it| !names.insert(&it.name)) {
            Some(RealBackend { name, .. }) => Err(format!(
                "backend {name} is given twice: give it once, with weight=2 if it is to get \
                 twice as much"
            )),
            None => Ok(()),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "write an IP address and a port, such as 127.0.0.1:8080 or [::1]:0")
}

/// A backend that exists already.
#[derive(Clone, Debug)]
pub(crate) struct RealBackend {
    /// Host, port and path; clients may see it.
    pub(crate) name: String,
    pub(crate) uri: Uri,
    pub(crate) spec: MemberSpec,
}

impl FromStr for RealBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (url, settings) = text.split_once(',').unwrap_or((text, ""));
        let uri = origin(url)?;
        let mut spec = MemberSpec::new();
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            spec = match setting.split_once('=') {
                Some(("weight", weight)) => spec.with_weight(
                    weight
                        .parse::<Weight>()
                        .map_err(|error| format!("{setting:?}: {error}"))?,
                ),
                Some(("route", "")) => return Err("the route is empty: write route=a".to_owned()),
                Some(("route", route)) => spec.with_route(route),
                _ => {
                    return Err(format!(
                        "{setting:?} is not a setting of a backend: write weight=3 or route=a"
                    ));
                }
            };
        }
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let name = format!("{host}{}", uri.path().trim_end_matches('/'));
        Ok(Self { name, uri, spec })
    }
}

/// Parses the URL of a backend, which has no query and no user.
fn origin(url: &str) -> Result<Uri, String> {
    const WRITE: &str = "write http://host:port, with a path if all requests go below it";
    let uri: Uri = url
        .parse()
        .map_err(|error| format!("{url:?} is not a URL ({error}): {WRITE}"))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let port_follows = authority.len() > uri.host().map_or(0, str::len);
    match uri.scheme_str() {
        Some("http" | "https") if authority.contains('@') => {
            Err(format!("{url:?} names a user: {WRITE}"))
        }
        Some("http" | "https") if port_follows && uri.port().is_none() => {
            Err(format!("{url:?} has no valid port: {WRITE}"))
        }
        Some("http" | "https") if uri.query().is_some() => {
            Err(format!("{url:?} has a query: {WRITE}"))
        }
        Some("http" | "https") => Ok(uri),
        _ => Err(format!(
            "{url:?} does not begin with http:// or https://: {WRITE}"
        )),
    }
}
