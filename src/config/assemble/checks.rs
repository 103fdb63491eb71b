//! Health checks of a balancer's members, wanted and running: [`Checks`].
//!
//! Not here: the checks themselves (`health`), and the terms of conditions
//! (`check_terms`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use tokio::runtime::Handle;

use super::Faults;
use super::members::ConnectionSettings;
use crate::balancer::Balancer;
use crate::config::{CheckConfig, CheckMethod, Config, Expression, MemberConfig, check_terms};
use crate::health::{Check, CheckError, FirstCheck, HealthChecks, HttpProbe, TcpProbe};
use crate::proxy::Endpoint;
use crate::sync::{Mutex, Published};

/// How much of a body is read for a condition. A condition on a longer body cannot be
/// evaluated.
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
pub(in crate::config) struct CheckTable {
    members: BTreeMap<String, (CheckSettings, Check)>,
    /// Parsed conditions by name. All members with the same condition share one, because
    /// each regular expression in it may take a megabyte. `None` for a condition that
    /// cannot be parsed, which is reported once.
    conditions: BTreeMap<String, Option<Expression>>,
}

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
        connection: &ConnectionSettings,
        config: &Config,
        faults: &mut Faults,
    ) {
        let about = format!("health checks of `{}`", member.url);
        let Some(settings) = self.settings(&about, member, connection, config, faults) else {
            return;
        };
        if let Some(check) = check(&about, &settings, faults) {
            self.members.insert(member.url.clone(), (settings, check));
        }
    }

    /// Returns the settings: the member's own, then those of its templates, then httpd's
    /// defaults.
    fn settings(
        &mut self,
        about: &str,
        member: &MemberConfig,
        connection: &ConnectionSettings,
        config: &Config,
        faults: &mut Faults,
    ) -> Option<CheckSettings> {
        let own = &member.check;
        let templates = templates(about, own, config, faults)?;
        // A template without a method connects only, as in httpd.
        let templated = templates.iter().find_map(|it| it.method);
        let unsaid = match templates.is_empty() {
            true => CheckMethod::None,
            false => CheckMethod::Tcp,
        };
        let method = own.method.or(templated).unwrap_or(unsaid);
        if method == CheckMethod::None {
            return None;
        }
        let layers: Vec<_> = std::iter::once(own).chain(templates).collect();
        let condition = first(&layers, |it| it.condition.clone());
        let condition = match condition.filter(|_| method != CheckMethod::Tcp) {
            None => None,
            Some(name) => Some(self.condition_of(about, method, &name, config, faults)?),
        };
        Some(CheckSettings {
            method,
            interval: first(&layers, |it| it.interval).unwrap_or(Duration::from_secs(30)),
            passes: first(&layers, |it| it.passes).unwrap_or(1),
            fails: first(&layers, |it| it.fails).unwrap_or(1),
            uri: first(&layers, |it| it.uri.clone()).unwrap_or_default(),
            condition,
            limit: connection.check_limit(method == CheckMethod::Tcp),
        })
    }

    fn condition_of(
        &mut self,
        about: &str,
        method: CheckMethod,
        name: &str,
        config: &Config,
        faults: &mut Faults,
    ) -> Option<Expression> {
        let mut known = config.conditions.iter();
        let Some(found) = known.find(|it| it.name.eq_ignore_ascii_case(name)) else {
            let message = format!("{about}: condition `{name}` is not defined");
            faults.add(message, "define it with `ProxyHCExpr`");
            return None;
        };
        let read = || {
            let read = check_terms::read(&found.expression);
            faults.note(read, format!("`ProxyHCExpr {name}`"), check_terms::TERMS)
        };
        let known = self.conditions.entry(found.name.clone());
        let expression = known.or_insert_with(read).clone()?;
        let has_body = matches!(method, CheckMethod::Get | CheckMethod::Get11);
        if check_terms::looks_at_body(&expression) && !has_body {
            let message =
                format!("{about}: condition `{name}` uses the body, but the responses have none");
            faults.add(message, "use `hcmethod=GET`");
            return None;
        }
        Some(expression)
    }

    fn is_as(&self, other: &Self) -> bool {
        let settings = |table: &Self| -> Vec<_> {
            let all = table.members.iter();
            all.map(|(name, (settings, _))| (name.clone(), settings.clone()))
                .collect()
        };
        settings(self) == settings(other)
    }
}

/// Returns the template of a member, the template of that template, and so on.
fn templates<'c>(
    about: &str,
    own: &CheckConfig,
    config: &'c Config,
    faults: &mut Faults,
) -> Option<Vec<&'c CheckConfig>> {
    let mut found: Vec<&CheckConfig> = Vec::new();
    let mut wanted = own.template.as_deref();
    while let Some(name) = wanted {
        let mut known = config.check_templates.iter();
        let template = known.find(|it| it.name.eq_ignore_ascii_case(name));
        let Some(template) = template else {
            let message = format!("{about}: template `{name}` is not defined");
            faults.add(message, "define it with `ProxyHCTemplate`");
            return None;
        };
        // A template that refers to itself, directly or not, adds nothing.
        if found.iter().any(|it| std::ptr::eq(*it, &template.check)) {
            break;
        }
        found.push(&template.check);
        wanted = template.check.template.as_deref();
    }
    Some(found)
}

fn first<T>(layers: &[&CheckConfig], setting: impl FnMut(&&CheckConfig) -> Option<T>) -> Option<T> {
    layers.iter().find_map(setting)
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
        let (is_empty, stays) = (table.members.is_empty(), table.is_as(&self.table.load()));
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
        let choose = move |name: &str| {
            table
                .load()
                .members
                .get(name)
                .map(|(_, check)| check.clone())
        };
        let builder = HealthChecks::builder(any.build().ok()?)
            .check_by(move |name, _, _: &Endpoint| choose(name))
            .first_check(FirstCheck::AfterInterval);
        Some(builder.spawn(balancer))
    }

    /// Returns the members that the new table no longer checks.
    pub(super) fn unlike(&self, table: &CheckTable) -> Vec<String> {
        let running = self.table.load();
        let names = running.members.keys();
        names
            .filter(|it| !table.members.contains_key(*it))
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
            .field(&self.table.load().members.len())
            .finish()
    }
}
