//! Health checks as they go on: waiting for them, and for what they come to.

use std::time::Duration;

use equipoise::Flag;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::case::{Event, Object};
use super::world::World;

/// No number of checks takes longer.
const LONGEST: Duration = Duration::from_secs(60);

/// How long it takes until an answer that a backend has sent has come to something.
const SETTLED: Duration = Duration::from_millis(200);

/// Waits until a member has seen so many checks.
pub(crate) async fn checks(world: &World, event: &Event) -> Result<Object, String> {
    let (member, count) = (event.text("member"), event.get("count")?);
    let seen = timeout(LONGEST, world.stage.has_checks(member, count)).await;
    let seen = seen.map_err(|_| format!("{member} is not checked {count} times"))?;
    sleep(SETTLED).await;
    Ok(fields([
        ("checks", seen.into()),
        ("members", world.snapshot()?),
    ]))
}

/// Waits until a member has a flag, or has it no more.
pub(crate) async fn status(world: &World, event: &Event) -> Result<Object, String> {
    let member = event.text("member");
    let flag = match event.text("flag") {
        "Err" => Flag::InError,
        "HcFl" => Flag::FailedCheck,
        other => return Err(format!("the flag `{other}` is not known")),
    };
    let present: bool = event.get("present")?;
    let limit = Duration::from_secs_f64(event.get("timeout")?);
    let began = Instant::now();
    let reached = loop {
        let members = world.members()?;
        let found = members.iter().find(|(name, _)| name == member);
        let (_, state) = found.ok_or_else(|| format!("there is no member {member}"))?;
        if state.status().contains(flag) == present {
            break true;
        }
        if began.elapsed() > limit {
            break false;
        }
        sleep(Duration::from_millis(10)).await;
    };
    Ok(fields([
        ("reached", reached.into()),
        ("members", world.snapshot()?),
    ]))
}

/// The last check as a member saw it.
pub(crate) fn last_check(world: &World, event: &Event) -> Result<Object, String> {
    let head = world.stage.last_check(event.text("member"));
    let head = head.ok_or("it was not checked")?;
    let headers = head.fields.iter().map(|(name, value)| json!([name, value]));
    Ok(fields([
        ("line", head.start.clone().into()),
        ("headers", headers.collect()),
    ]))
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Object {
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
