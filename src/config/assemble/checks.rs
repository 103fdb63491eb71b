//! Health checks of a balancer's members, wanted and running: [`Checks`].
//!
//! Elsewhere: the checks themselves (`health`), and the terms of conditions
//! (`check_terms`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use tokio::runtime::Handle;

use super::Faults;
use super::members::Wire;
use crate::balancer::Balancer;
use crate::config::{CheckConfig, CheckMethod, Config, Expression, MemberConfig, check_terms};
use crate::health::{Check, CheckError, FirstCheck, HealthChecks, HttpProbe, TcpProbe};
use crate::proxy::Endpoint;
use crate::sync::{Mutex, Published};

/// How much of a body is read for a condition. A longer body fails the condition.
const LONGEST_BODY: usize = 256 * 1024;

/// The interval for members that are not checked; a reload applies changes at once.
const UNCHECKED: Duration = Duration::from_secs(60 * 60);

/// The settings of a member's check, from all sources combined.
#[derive(Clone, Debug, PartialEq)]
struct CheckSettings {
    method: CheckMethod,
    interval: Duration,
    passes: u32,
    fails: u32,
    uri: String,
    condition: Option<Expression>,
    limit: Duration,
}

/// The checks of members by name; members without an entry are not checked.
#[derive(Clone, Default)]
pub(in crate::config) struct CheckTable(BTreeMap<String, (CheckSettings, Check)>);

/// Running checks.
#[derive(Clone)]
pub(in crate::config) struct Checks {
    table: Arc<Published<CheckTable>>,
    running: Arc<Mutex<Option<HealthChecks>>>,
}

impl CheckTable {
    /// Adds the check of a member, if it is checked.
    pub(super) fn add(
        &mut self,
        member: &MemberConfig,
        wire: &Wire,
        config: &Config,
        faults: &mut Faults,
    ) {
        let about = format!("health checks of `{}`", member.url);
        let Some(settings) = settings(&about, member, wire, config, faults) else {
            return;
        };
        if let Some(check) = check(&about, &settings, faults) {
            self.0.insert(member.url.clone(), (settings, check));
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        let settings = |table: &Self| -> Vec<_> {
            let all = table.0.iter();
            all.map(|(name, (settings, _))| (name.clone(), settings.clone()))
                .collect()
        };
        settings(self) == settings(other)
    }
}

/// Returns the settings: the member's own, then those of its template, then httpd's
/// defaults.
fn settings(
    about: &str,
    member: &MemberConfig,
    wire: &Wire,
    config: &Config,
    faults: &mut Faults,
) -> Option<CheckSettings> {
    let own = &member.check;
    let template = match &own.template {
        None => None,
        Some(name) => {
            let mut known = config.check_templates.iter();
            let found = known.find(|it| it.name.eq_ignore_ascii_case(name));
            let Some(found) = found else {
                let message = format!("{about}: template `{name}` is not defined");
                faults.add(message, "define it with `ProxyHCTemplate`");
                return None;
            };
            Some(&found.check)
        }
    };
    // A template without a method connects only, as in httpd.
    let templated = template.map(|it| it.method.unwrap_or(CheckMethod::Tcp));
    let method = own.method.or(templated).unwrap_or(CheckMethod::None);
    if method == CheckMethod::None {
        return None;
    }
    let layers = [Some(own), template];
    let condition = first(layers, |it| it.condition.clone());
    let condition = match condition.filter(|_| method != CheckMethod::Tcp) {
        None => None,
        Some(name) => Some(condition_of(about, method, &name, config, faults)?),
    };
    Some(CheckSettings {
        method,
        interval: first(layers, |it| it.interval).unwrap_or(Duration::from_secs(30)),
        passes: first(layers, |it| it.passes).unwrap_or(1),
        fails: first(layers, |it| it.fails).unwrap_or(1),
        uri: first(layers, |it| it.uri.clone()).unwrap_or_default(),
        condition,
        limit: wire.check_limit(method == CheckMethod::Tcp),
    })
}

fn first<T>(
    layers: [Option<&CheckConfig>; 2],
    setting: impl Fn(&CheckConfig) -> Option<T>,
) -> Option<T> {
    layers.into_iter().flatten().find_map(setting)
}

fn condition_of(
    about: &str,
    method: CheckMethod,
    name: &str,
    config: &Config,
    faults: &mut Faults,
) -> Option<Expression> {
    let mut known = config.conditions.iter();
    let Some(found) = known.find(|it| it.name == name) else {
        let message = format!("{about}: condition `{name}` is not defined");
        faults.add(message, "define it with `ProxyHCExpr`");
        return None;
    };
    let read = check_terms::read(&found.expression);
    let expression = faults.note(read, format!("`ProxyHCExpr {name}`"), check_terms::TERMS)?;
    let has_body = matches!(method, CheckMethod::Get | CheckMethod::Get11);
    if check_terms::looks_at_body(&expression) && !has_body {
        let message =
            format!("{about}: condition `{name}` uses the body, but the responses have none");
        faults.add(message, "use `hcmethod=GET`");
        return None;
    }
    Some(expression)
}

fn check(about: &str, settings: &CheckSettings, faults: &mut Faults) -> Option<Check> {
    let (method, version) = match settings.method {
        CheckMethod::Get => (Method::GET, Version::HTTP_10),
        CheckMethod::Get11 => (Method::GET, Version::HTTP_11),
        CheckMethod::Head => (Method::HEAD, Version::HTTP_10),
        CheckMethod::Head11 => (Method::HEAD, Version::HTTP_11),
        CheckMethod::Options => (Method::OPTIONS, Version::HTTP_10),
        CheckMethod::Options11 => (Method::OPTIONS, Version::HTTP_11),
        CheckMethod::None | CheckMethod::Tcp => {
            let built = timed(Check::builder(TcpProbe::new()), settings);
            return faults.note(built, about, "fix its times");
        }
    };
    let mut probe = match method {
        Method::OPTIONS => HttpProbe::options(),
        method => HttpProbe::request(method, &*settings.uri),
    };
    probe = probe.version(version);
    if let Some(condition) = settings.condition.clone() {
        probe = probe
            .max_body(LONGEST_BODY)
            .expect_by(move |answer| check_terms::holds(&condition, answer));
    }
    let probe = faults.note(probe.build(), about, "fix `hcuri`")?;
    let built = timed(Check::builder(probe), settings);
    faults.note(built, about, "fix its times")
}

fn timed(
    builder: crate::health::CheckBuilder,
    settings: &CheckSettings,
) -> Result<Check, CheckError> {
    builder
        .interval(settings.interval)
        .timeout(settings.limit)
        .passes(settings.passes)
        .fails(settings.fails)
        .build()
}

impl Checks {
    pub(super) fn new() -> Self {
        Self {
            table: Arc::new(Published::new(CheckTable::default())),
            running: Arc::default(),
        }
    }

    /// Replaces the table; changed checks run at once.
    pub(super) fn change(
        &self,
        table: CheckTable,
        balancer: &Balancer<Endpoint>,
        runtime: Option<&Handle>,
    ) {
        let (is_empty, stays) = (table.0.is_empty(), table.is_as(&self.table.load()));
        if stays {
            return;
        }
        let before = self.table.swap(table);
        let mut running = self.running.lock();
        let ended = match &*running {
            _ if is_empty => running.take(),
            Some(running) => {
                running.check_now();
                None
            }
            None => {
                *running = runtime.and_then(|runtime| self.begin(balancer, runtime));
                None
            }
        };
        drop(running);
        drop((before, ended));
    }

    fn begin(&self, balancer: &Balancer<Endpoint>, runtime: &Handle) -> Option<HealthChecks> {
        let _inside = runtime.enter();
        let any = Check::builder(TcpProbe::new()).interval(UNCHECKED);
        let table = self.table.clone();
        let choose = move |name: &str| table.load().0.get(name).map(|(_, check)| check.clone());
        let builder = HealthChecks::builder(any.build().ok()?)
            .check_by(move |name, _, _: &Endpoint| choose(name))
            .first_check(FirstCheck::AfterInterval);
        Some(builder.spawn(balancer))
    }

    /// Returns the members that the new table no longer checks.
    pub(super) fn unlike(&self, table: &CheckTable) -> Vec<String> {
        let running = self.table.load();
        let names = running.0.keys();
        names
            .filter(|it| !table.0.contains_key(*it))
            .cloned()
            .collect()
    }

    /// Ends all checks.
    pub(in crate::config) fn end(&self) {
        let ended = self.running.lock().take();
        drop(ended);
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checks")
            .field(&self.table.load().0.len())
            .finish()
    }
}
