//! Everything that one case needs: its backends, and the proxy that its configuration
//! makes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::balancer::events::Interest;
use equipoise::config::{Config, Reader, RunningConfig};
use equipoise::proxy::Endpoint;
use equipoise::{Balancer, Event, Flag, MemberState, Observer};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::backend::{Backend, Stage};
use super::case::{Case, Configured, Object, State};
use super::port::Places;

/// Hears who is elected.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Observer for Heard {
    fn observe(&self, event: &Event<'_>) {
        let name = event.member.map(|member| member.name().to_owned());
        self.0.lock().unwrap().extend(name);
    }

    fn interest(&self) -> Interest {
        Interest::PICKED
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) places: Places,
    pub(crate) stage: Arc<Stage>,
    pub(crate) system: RunningConfig,
    backends: BTreeMap<String, Backend>,
    heard: Heard,
    balancer: String,
    /// The members of the configuration, in its order, and who was added.
    order: Vec<String>,
    configured: usize,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    _folder: Folder,
}

/// The folder of one case, with one for what changes while httpd runs.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("equipoise-apache-{process}-{number}");
        let folder = std::env::temp_dir().join(name);
        let made = std::fs::create_dir_all(folder.join("run"));
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ip_of(text: Option<&String>) -> Result<IpAddr, String> {
    let Some(text) = text else {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    };
    text.parse().map_err(|_| format!("{text} is no address"))
}

/// Reads a configuration; all errors in one text otherwise.
pub(crate) fn read(text: &str, root: &str) -> Result<Config, String> {
    let (config, diagnostics) = Reader::new().name("apache.conf").base(root).parse(text);
    let errors = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error());
    let errors: String = errors.map(ToString::to_string).collect();
    if errors.is_empty() {
        Ok(config)
    } else {
        Err(format!("the configuration is refused:\n{errors}"))
    }
}

impl World {
    pub(crate) async fn new(case: &Case, configured: &Configured) -> Result<Self, String> {
        let folder = Folder::new()?;
        let root = folder.0.to_string_lossy().into_owned();
        let mut places = Places::new(root.clone());
        let mut addresses = Vec::new();
        for member in &configured.members {
            if places.address(&member.name).is_none() {
                let address = places.add(&member.name, ip_of(member.ip.as_ref())?);
                addresses.push((member.name.clone(), address));
            }
        }
        let order: Vec<_> = addresses.iter().map(|(name, _)| name.clone()).collect();
        for name in &configured.spare_members {
            let address = places.add(name, ip_of(None)?);
            addresses.push((name.clone(), address));
        }
        let stage = Stage::new(places.clone());
        let mut backends = BTreeMap::new();
        for (name, address) in addresses {
            let mut backend = Backend::new(&name, address, &stage);
            let state = configured.initial_state.get(&name);
            let state = state.copied().unwrap_or(State::Up);
            let became = backend.become_(state).await;
            became.map_err(|error| format!("backend {name}: {error}"))?;
            backends.insert(name, backend);
        }
        let text = case.apache_conf.as_deref().unwrap_or_default();
        let config = read(&places.fill(text), &root)?;
        let heard = Heard::default();
        let system = RunningConfig::builder(config)
            .observer(heard.clone())
            .build();
        let system = system.map_err(|error| {
            let diagnostics = error.diagnostics().iter();
            let told: String = diagnostics.map(ToString::to_string).collect();
            format!("{error}:\n{told}")
        })?;
        let (stop, stopped) = oneshot::channel();
        let serving = system.clone();
        let serving = tokio::spawn(async move {
            let stop = async { stopped.await.unwrap_or_default() };
            serving.serve(stop).await;
        });
        Ok(Self {
            places,
            stage,
            system,
            backends,
            heard,
            balancer: configured.balancer.name.to_ascii_lowercase(),
            configured: order.len(),
            order,
            stop,
            serving,
            _folder: folder,
        })
    }

    pub(crate) async fn end(self) {
        let _ = self.stop.send(());
        // Requests that are held are not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.serving).await;
    }

    pub(crate) fn front(&self) -> Result<SocketAddr, String> {
        self.places
            .address("apache")
            .ok_or_else(|| "there is no address to listen to".to_owned())
    }

    pub(crate) fn balancer(&self) -> Result<Balancer<Endpoint>, String> {
        let found = self.system.balancer(&self.balancer);
        found.ok_or_else(|| format!("there is no balancer {}", self.balancer))
    }

    pub(crate) fn balancer_name(&self) -> &str {
        &self.balancer
    }

    /// How many members there were at the start.
    pub(crate) fn configured(&self) -> usize {
        self.configured
    }

    pub(crate) fn added(&mut self, name: &str) {
        self.order.push(name.to_owned());
    }

    pub(crate) async fn backend(&mut self, name: &str, state: State) -> Result<(), String> {
        let backend = self.backends.get_mut(name);
        let backend = backend.ok_or_else(|| format!("there is no backend {name}"))?;
        let became = backend.become_(state).await;
        became.map_err(|error| format!("backend {name}: {error}"))
    }

    /// Who was elected since this was asked last.
    pub(crate) fn elections(&self) -> Vec<String> {
        let heard = std::mem::take(&mut *self.heard.0.lock().unwrap());
        heard.iter().map(|url| self.called(url)).collect()
    }

    /// What a case calls a member.
    fn called(&self, url: &str) -> String {
        self.places.whose(url).unwrap_or(url).to_owned()
    }

    /// The members as a case calls them, in the order of the configuration, and their
    /// states.
    pub(crate) fn members(&self) -> Result<Vec<(String, Arc<MemberState>)>, String> {
        let members = self.balancer()?.members();
        let mut members: Vec<_> = members
            .into_iter()
            .map(|state| (self.called(state.name()), state))
            .collect();
        let place = |name: &String| self.order.iter().position(|other| other == name);
        members.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
        Ok(members)
    }

    /// The name in the balancer of what a case calls so.
    pub(crate) fn url_of(&self, name: &str) -> Result<String, String> {
        let members = self.members()?;
        let found = members.iter().find(|(called, _)| called == name);
        let (_, state) = found.ok_or_else(|| format!("there is no member {name}"))?;
        Ok(state.name().to_owned())
    }

    /// Waits until no more requests are in flight than are held; what is left after a
    /// moment is what there is.
    pub(crate) async fn settle(&self, held: usize) -> Result<(), String> {
        for _ in 0..400 {
            let members = self.balancer()?.members();
            let in_flight: u32 = members.iter().map(|member| member.in_flight()).sum();
            if in_flight as usize <= held {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// What a case records after each request.
    pub(crate) fn after(&self) -> Result<Value, String> {
        let balancer = self.balancer()?;
        let mut standings = Object::new();
        let mut errors = Vec::new();
        let mut busy = Object::new();
        for (name, state) in self.members()? {
            let standing = balancer.standing(state.name()).unwrap_or_default();
            standings.insert(name.clone(), standing.into());
            if state.status().contains(Flag::InError) {
                errors.push(name.clone());
            }
            if state.in_flight() > 0 {
                busy.insert(name, state.in_flight().into());
            }
        }
        let mut after = json!({ "lbstatus": standings });
        if !errors.is_empty() {
            after["error"] = errors.into();
        }
        if !busy.is_empty() {
            after["busy"] = busy.into();
        }
        Ok(after)
    }

    /// All that the manager shows of the members.
    pub(crate) fn snapshot(&self) -> Result<Value, String> {
        let balancer = self.balancer()?;
        let mut all = Object::new();
        for (name, state) in self.members()? {
            let spec = balancer.spec(state.name()).unwrap_or_default();
            let weight = spec.weight().hundredths();
            let shown = json!({
                "status": status_text(state.status()),
                "elected": state.picked(),
                "busy": state.in_flight(),
                "lbstatus": balancer.standing(state.name()).unwrap_or_default(),
                "loadfactor": format!("{}.{:02}", weight / 100, weight % 100),
                "route": spec.route().unwrap_or_default(),
                "redirect": spec.redirect_route().unwrap_or_default(),
                "lbset": spec.tier(),
            });
            all.insert(name, shown);
        }
        Ok(Value::Object(all))
    }
}

fn status_text(status: equipoise::Status) -> String {
    let shown = [
        (Flag::IgnoreErrors, "Ign"),
        (Flag::Draining, "Drn"),
        (Flag::Disabled, "Dis"),
        (Flag::Stopped, "Stop"),
        (Flag::InError, "Err"),
        (Flag::HotStandby, "Stby"),
        (Flag::HotSpare, "Spar"),
        (Flag::FailedCheck, "HcFl"),
    ];
    let mut text = "Init".to_owned();
    for (flag, name) in shown {
        if status.contains(flag) {
            text.push(' ');
            text.push_str(name);
        }
    }
    if status.is_usable() {
        text.push_str(" Ok");
    }
    text
}
