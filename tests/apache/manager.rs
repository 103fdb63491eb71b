//! What operators change at run time: by the manager's pages in the recordings, by the
//! library's own functions here.
//!
//! The values that the manager's pages ignore are ignored here, so that both balancers
//! go on from the same settings.

use std::time::Duration;

use equipoise::config::{BalancerConfig, Config, MemberConfig, SchedulerName};
use equipoise::{Flag, MemberSpec, Weight};
use serde_json::Value;

use super::case::{Event, Object};
use super::world::World;

/// How many members can be added if a configuration does not say.
const GROWTH: u16 = 5;

const FLAGS: [(&str, Flag); 7] = [
    ("ignore_errors", Flag::IgnoreErrors),
    ("drain", Flag::Draining),
    ("disabled", Flag::Disabled),
    ("hot_standby", Flag::HotStandby),
    ("hot_spare", Flag::HotSpare),
    ("stopped", Flag::Stopped),
    ("hc_fail", Flag::FailedCheck),
];

/// Carries out what a form says, and gives the status that it is answered with.
pub(crate) fn change(world: &mut World, event: &Event, heartbeat: bool) -> Result<u16, String> {
    let set: Object = event.get::<Option<Object>>("set")?.unwrap_or_default();
    match event.text("nonce") {
        "" => {}
        "invalid" => return Ok(200),
        nonce => return Err(format!("what does the nonce `{nonce}` mean?")),
    }
    let added = event.text("add_member");
    if !added.is_empty() {
        return add(world, added);
    }
    let member = event.text("member");
    if member.is_empty() {
        return change_balancer(world, &set, heartbeat).map(|()| 200);
    }
    change_member(world, member, &set).map(|()| 200)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => u8::from(*on).to_string(),
        other => other.to_string(),
    }
}

fn change_member(world: &World, member: &str, set: &Object) -> Result<(), String> {
    let balancer = world.balancer()?;
    let url = world.url_of(member)?;
    for (name, value) in set {
        let text = text_of(value);
        let route = if text.len() > 63 { "" } else { &text };
        let edit: Box<dyn Fn(MemberSpec) -> MemberSpec + Send> = match name.as_str() {
            "loadfactor" => {
                let Some(weight) = weight(&text) else {
                    continue;
                };
                Box::new(move |spec| spec.with_weight(weight))
            }
            "lbset" => match text.parse::<u16>() {
                Ok(tier @ 0..=99) => Box::new(move |spec| spec.with_tier(tier)),
                _ => continue,
            },
            "route" => Box::new(move |spec| spec.with_route(route)),
            "redirect" => Box::new(move |spec| spec.with_redirect_route(route)),
            flag => {
                let flag = FLAGS.iter().find(|(name, _)| *name == flag);
                let (_, flag) = flag.ok_or_else(|| format!("manager: `{name}` is not known"))?;
                let changed = match &*text {
                    "0" => balancer.clear_flag(&url, *flag),
                    _ => balancer.set_flag(&url, *flag),
                };
                changed.map_err(|error| error.to_string())?;
                continue;
            }
        };
        let changed = balancer.update(&url, edit);
        changed.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A load factor of 1 to 100.
fn weight(text: &str) -> Option<Weight> {
    let value: f64 = text.trim().parse().ok()?;
    if !(1.0..=100.0).contains(&value) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and 100"
    )]
    let hundredths = (value * 100.0).round() as u32;
    Weight::from_hundredths(hundredths).ok()
}

fn settings<'a>(world: &World, config: &'a mut Config) -> Result<&'a mut BalancerConfig, String> {
    let name = world.balancer_name();
    let mut balancers = config.server.balancers.iter_mut();
    let found = balancers.find(|balancer| balancer.name == name);
    found.ok_or_else(|| format!("the configuration has no balancer {name}"))
}

/// The configuration that runs, with what was changed in the balancer itself, so that
/// it is not lost when it is read again.
fn present(world: &World) -> Result<Config, String> {
    let mut config = world.system.config();
    let balancer = world.balancer()?;
    let mut states = balancer.members();
    for member in &mut settings(world, &mut config)?.members {
        let place = world.places.whose(&member.url).map(str::to_owned);
        let own = |state: &str| world.places.whose(state).map(str::to_owned) == place;
        let Some(at) = states.iter().position(|state| own(state.name())) else {
            continue;
        };
        let state = states.swap_remove(at);
        let Some(spec) = balancer.spec(state.name()) else {
            continue;
        };
        member.weight = Some(spec.weight());
        member.tier = Some(spec.tier());
        member.route = spec.route().map(str::to_owned);
        member.redirect_route = spec.redirect_route().map(str::to_owned);
        let health = [Flag::InError, Flag::FailedCheck];
        let set = state.status().iter().filter(|flag| !health.contains(flag));
        let configured = member.flags.iter().copied();
        let configured = configured.filter(|flag| health.contains(flag));
        member.flags = set.chain(configured.collect::<Vec<_>>()).collect();
    }
    Ok(config)
}

fn reload(world: &World, config: Config) -> Result<(), String> {
    world.system.reload(config).map_err(|error| {
        let told = error.diagnostics().iter().map(ToString::to_string);
        format!("{error}:\n{}", told.collect::<String>())
    })
}

fn change_balancer(world: &World, set: &Object, heartbeat: bool) -> Result<(), String> {
    let mut config = present(world)?;
    let settings = settings(world, &mut config)?;
    let before = settings.clone();
    for (name, value) in set {
        let text = text_of(value);
        let number = text.parse::<u32>().ok();
        match name.as_str() {
            "lbmethod" => {
                let scheduler = match &*text {
                    "byrequests" => SchedulerName::ByRequests,
                    "bytraffic" => SchedulerName::ByTraffic,
                    "bybusyness" => SchedulerName::ByBusyness,
                    "heartbeat" if heartbeat => SchedulerName::Heartbeat,
                    _ => continue,
                };
                settings.scheduler = Some(scheduler);
            }
            "timeout" => match number {
                Some(0) => settings.wait = None,
                Some(seconds @ 1..=7200) => {
                    settings.wait = Some(Duration::from_secs(u64::from(seconds)));
                }
                _ => {}
            },
            "maxattempts" => {
                if let Some(limit @ 0..=99) = number {
                    settings.max_failovers = Some(limit);
                }
            }
            "nofailover" => settings.session.no_failover = Some(text != "0"),
            "stickysession" => match &*text {
                "" => {}
                "-" => settings.session.names = None,
                names if names.len() <= 62 => settings.session.names = Some(names.to_owned()),
                _ => {}
            },
            _ => return Err(format!("manager: `{name}` is not known")),
        }
    }
    if *settings == before {
        return Ok(());
    }
    reload(world, config)
}

fn add(world: &mut World, name: &str) -> Result<u16, String> {
    let address = world.places.address(name);
    let address = address.ok_or_else(|| format!("there is no backend {name}"))?;
    if world.url_of(name).is_ok() {
        return Ok(400);
    }
    let mut config = present(world)?;
    let settings = settings(world, &mut config)?;
    let growth = usize::from(settings.growth.unwrap_or(GROWTH));
    if world.members()?.len() >= world.configured() + growth {
        return Ok(400);
    }
    let mut member = MemberConfig::default();
    member.url = format!("http://{address}");
    member.flags = vec![Flag::Disabled];
    settings.members.push(member);
    reload(world, config)?;
    world.added(name);
    Ok(200)
}
