//! Plays the events of a case, strictly in order, and writes down what is seen in the
//! shape of what was recorded.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::backend::may_have_body;
use super::case::{Asked, Behaviour, Case, Configured, Event, Object, State};
use super::client::{Got, connect, exchange, request};
use super::observed;
use super::port::Places;
use super::wire::Line;
use super::world::World;
use super::{heartbeat, manager, watch};

/// What was seen of an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) fields: Object,
    /// What Apache would have recorded, had it been asked for the same sizes as we.
    pub(crate) instead: Object,
}

/// A request whose answer is held.
#[derive(Debug)]
struct Running {
    asked: Asked,
    task: JoinHandle<(Got, Option<Line>)>,
    tried: Vec<String>,
    started: Instant,
    instead: Object,
}

#[derive(Debug)]
struct Player<'a> {
    case: &'a Case,
    world: World,
    lines: HashMap<String, Line>,
    running: HashMap<String, Running>,
    file: Option<heartbeat::Kept>,
    /// The last heartbeat that each member sent by UDP.
    beats: HashMap<String, Event>,
}

/// How long a client waits if nothing is known of how long it takes: longer than the
/// `Timeout` of the recordings, as we may wait where Apache does not.
const PATIENCE: f64 = 40.0;

/// What was seen of a whole case.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) observed: Vec<Observed>,
    places: Places,
}

impl Played {
    /// Fields with their placeholders filled.
    pub(crate) fn filled(&self, fields: &Object) -> Object {
        let fields = fields.iter();
        let filled = fields.map(|(name, value)| (name.clone(), self.places.fill_value(value)));
        filled.collect()
    }
}

/// Plays a whole case.
pub(crate) async fn play(case: &Case, configured: &Configured) -> Result<Played, String> {
    let world = World::new(case, configured).await?;
    let mut player = Player {
        case,
        file: None,
        beats: HashMap::new(),
        world,
        lines: HashMap::new(),
        running: HashMap::new(),
    };
    player.wait_for_front().await?;
    if let Some(lines) = &configured.heartbeat_file {
        player.write_heartbeats(lines, true).await?;
    }
    let mut observed = Vec::new();
    for (at, event) in case.events.iter().enumerate() {
        let seen = player.event(at, event).await;
        observed.push(seen.map_err(|error| format!("event {at}: {error}"))?);
    }
    let places = player.world.places.clone();
    for running in player.running.values() {
        running.task.abort();
    }
    player.world.end().await;
    Ok(Played { observed, places })
}

impl Player<'_> {
    async fn wait_for_front(&self) -> Result<(), String> {
        let front = self.world.front()?;
        for _ in 0..200 {
            if connect(front).await.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err("the proxy does not listen".to_owned())
    }

    async fn event(&mut self, at: usize, event: &Event) -> Result<Observed, String> {
        let mut observed = Observed::default();
        match &*event.kind {
            "request" => return self.request(at, event).await,
            "start" => return self.start(at, event).await,
            "finish" => return self.finish(event).await,
            "abandon" => {
                let running = self.running.remove(event.text("id"));
                let running = running.ok_or("there is no such request")?;
                running.task.abort();
                drop(running.task.await);
                self.note_after(&mut observed.fields).await?;
            }
            "release" => {
                self.world.stage.release(event.text("id"));
                sleep(Duration::from_millis(50)).await;
                self.note_after(&mut observed.fields).await?;
            }
            "sequence" => observed.fields = self.sequence(at, event).await?,
            "burst" => observed.fields = self.burst(at, event).await?,
            "wait" => sleep(Duration::from_secs_f64(event.get("seconds")?)).await,
            "backend" => {
                let state: State = event.get("state")?;
                self.world.backend(event.text("member"), state).await?;
                // The proxy hears that its idle connections are closed.
                sleep(Duration::from_millis(20)).await;
            }
            "manager" => {
                let text = self.case.apache_conf.as_deref().unwrap_or_default();
                let heartbeat = text.contains("lbmethod_heartbeat");
                let status = manager::change(&mut self.world, event, heartbeat)?;
                observed.fields.insert("status".to_owned(), status.into());
                let members = self.world.snapshot()?;
                observed.fields.insert("members".to_owned(), members);
            }
            "snapshot" => {
                self.world.settle(self.running.len()).await?;
                let members = self.world.snapshot()?;
                observed.fields.insert("members".to_owned(), members);
            }
            "heartbeat_file" => {
                let lines: Vec<String> = event.get("lines")?;
                let newline: Option<bool> = event.get("final_newline")?;
                self.write_heartbeats(&lines, newline.unwrap_or(true))
                    .await?;
            }
            "heartbeat" => {
                let status = heartbeat::send(&self.world, event).await?;
                if event.text("via") == "udp" {
                    let member = event.text("member").to_owned();
                    self.beats.insert(member, event.clone());
                }
                observed.fields.insert("status".to_owned(), status.into());
            }
            "health" => {
                let script: Option<Vec<Behaviour>> = event.get("script")?;
                let answer: Behaviour = event.get("answer")?;
                let script = script.unwrap_or_default();
                self.world.stage.check(event.text("member"), script, answer);
            }
            "wait_checks" => observed.fields = watch::checks(&self.world, event).await?,
            "wait_status" => observed.fields = watch::status(&self.world, event).await?,
            "health_request" => observed.fields = watch::last_check(&self.world, event)?,
            other => return Err(format!("`{other}` cannot be played yet")),
        }
        Ok(observed)
    }

    /// Writes the file of heartbeats, and lets it be read.
    async fn write_heartbeats(&mut self, lines: &[String], newline: bool) -> Result<(), String> {
        let mut text = self.world.places.fill(&lines.join("\n"));
        if newline {
            text.push('\n');
        }
        let config = self.world.system.config();
        let path = config.heartbeats.storage.ok_or("no file is read")?;
        // The one before ends first.
        if let Some(before) = self.file.take() {
            before.end().await;
        }
        self.file = Some(heartbeat::Kept::new(path.into(), &text)?);
        heartbeat::noticed(&self.world.system.heartbeats(), &text).await;
        Ok(())
    }

    async fn note_after(&self, fields: &mut Object) -> Result<(), String> {
        self.world.settle(self.running.len()).await?;
        fields.insert("after".to_owned(), self.world.after()?);
        Ok(())
    }

    /// Who receives so many bytes gets to see bodies of that size: where bytes elect,
    /// they are the same for both balancers.
    fn with_bytes(&self, at: usize, event: &Event, asked: &mut Asked) -> Object {
        let mut instead = Object::new();
        if self.case.kind != "bytraffic" {
            return instead;
        }
        let id = event.text("id");
        let later = self.case.events[at..].iter().filter(|event| {
            let same = event.text("id") == id && !id.is_empty();
            same && matches!(&*event.kind, "request" | "start" | "finish" | "release")
        });
        let (mut to, mut from) = (0, 0);
        for event in later {
            let moved = event.expect.get("bytes").and_then(Value::as_object);
            for moved in moved.into_iter().flat_map(Object::values) {
                let bytes = |way: &str| moved.get(way).and_then(Value::as_u64).unwrap_or(0);
                to += usize::try_from(bytes("to")).unwrap_or(0);
                from += usize::try_from(bytes("from")).unwrap_or(0);
            }
        }
        if to + from == 0 {
            return instead;
        }
        asked.backend.entry("*".to_owned()).or_default();
        let is_head = asked.method.as_deref() == Some("HEAD");
        let mut sent = from;
        for behaviour in asked.backend.values_mut() {
            behaviour.body = Some(from);
            // Where no answer can be as long, the request makes up for it: what counts is
            // the sum of both ways.
            if is_head || !may_have_body(behaviour) || behaviour.raw.is_some() {
                sent = behaviour.raw.as_deref().map_or(0, body_of);
            }
        }
        to += from.saturating_sub(sent);
        from = sent;
        match asked.body_chunked {
            Some(_) => asked.body_chunked = Some(to),
            None => asked.body = Some(to),
        }
        instead.insert("body_bytes".to_owned(), from.into());
        instead.insert("backend_body_bytes".to_owned(), vec![to].into());
        instead
    }

    /// Tells the backends what is to come, and makes the bytes of a request.
    fn prepare(&self, id: &str, asked: &Asked) -> Vec<u8> {
        self.world.stage.behave(id, asked.backend.clone());
        request(&self.filled(asked), id, asked.connection.is_some())
    }

    fn filled(&self, asked: &Asked) -> Asked {
        let places = &self.world.places;
        let fill = |text: &Option<String>| text.as_ref().map(|text| places.fill(text));
        let mut filled = asked.clone();
        filled.path = fill(&asked.path);
        filled.query = fill(&asked.query);
        filled.host = fill(&asked.host);
        for (_, value) in &mut filled.headers {
            *value = places.fill(value);
        }
        filled
    }

    fn patience(event: &Event) -> Duration {
        let elapsed = event.expect.get("elapsed_s");
        let longest = elapsed.and_then(|elapsed| elapsed.get("max")?.as_f64());
        let longest = longest.unwrap_or_default();
        let expected = event.expect.get("client").and_then(Value::as_str);
        Duration::from_secs_f64(match expected {
            Some("timeout") if longest > 0.0 => longest,
            _ => PATIENCE + 1.5 * longest,
        })
    }

    async fn line(&mut self, asked: &Asked) -> Result<Option<Line>, String> {
        let kept = asked.connection.as_ref();
        match kept.and_then(|name| self.lines.remove(name)) {
            Some(line) => Ok(Some(line)),
            None => Ok(connect(self.world.front()?).await),
        }
    }

    fn keep(&mut self, asked: &Asked, line: Option<Line>) {
        if let (Some(name), Some(line)) = (&asked.connection, line) {
            self.lines.insert(name.clone(), line);
        }
    }

    async fn request(&mut self, at: usize, event: &Event) -> Result<Observed, String> {
        let mut asked = event.asked()?;
        let instead = self.with_bytes(at, event, &mut asked);
        let id = event.text("id");
        let message = self.prepare(id, &asked);
        let before = self.world.elections();
        for running in self.running.values_mut() {
            running.tried.extend(before.iter().cloned());
        }
        let started = Instant::now();
        let line = self.line(&asked).await?;
        let keeps = asked.connection.is_some();
        let patience = Self::patience(event);
        let (got, line) = exchange(line, message, &asked, keeps, patience).await;
        self.keep(&asked, line);
        let elapsed = started.elapsed();
        self.world.settle(self.running.len()).await?;
        let tried = self.world.elections();
        let mut fields = observed::answer(&self.world, id, &asked, &got, tried);
        fields.insert("elapsed_s".to_owned(), elapsed.as_secs_f64().into());
        self.note_after(&mut fields).await?;
        Ok(Observed { fields, instead })
    }

    async fn start(&mut self, at: usize, event: &Event) -> Result<Observed, String> {
        let mut asked = event.asked()?;
        let instead = self.with_bytes(at, event, &mut asked);
        let id = event.text("id").to_owned();
        let message = self.prepare(&id, &asked);
        drop(self.world.elections());
        let started = Instant::now();
        let line = self.line(&asked).await?;
        let keeps = asked.connection.is_some();
        let client = asked.clone();
        let task = tokio::spawn(async move {
            let patience = Duration::from_secs(120);
            exchange(line, message, &client, keeps, patience).await
        });
        let seen = timeout(Duration::from_secs(10), self.world.stage.has(&id)).await;
        let tried = self.world.elections();
        let mut fields = Object::new();
        fields.insert("tried".to_owned(), tried.clone().into());
        let seen_by = match seen {
            Ok(()) => observed::seen_by(&self.world.stage.seen(&id)),
            Err(_) => Value::Array(Vec::new()),
        };
        fields.insert("seen_by".to_owned(), seen_by);
        fields.insert("after".to_owned(), self.world.after()?);
        let running = Running {
            asked,
            task,
            tried,
            started,
            instead,
        };
        self.running.insert(id, running);
        Ok(Observed {
            fields,
            instead: Object::new(),
        })
    }

    async fn finish(&mut self, event: &Event) -> Result<Observed, String> {
        let id = event.text("id");
        let running = self.running.remove(id).ok_or("there is no such request")?;
        self.world.stage.release(id);
        let mut task = running.task;
        let ended = timeout(Self::patience(event), &mut task).await;
        let (got, line) = match ended {
            Ok(ended) => ended.map_err(|error| error.to_string())?,
            Err(_) => {
                task.abort();
                let fault = Some("timeout");
                let got = Got {
                    fault,
                    ..Got::default()
                };
                (got, None)
            }
        };
        let asked = &running.asked;
        self.keep(asked, line);
        self.world.settle(self.running.len()).await?;
        let mut tried = running.tried;
        tried.extend(self.world.elections());
        let mut fields = observed::answer(&self.world, id, asked, &got, tried);
        let elapsed = running.started.elapsed().as_secs_f64();
        fields.insert("elapsed_s".to_owned(), elapsed.into());
        self.note_after(&mut fields).await?;
        Ok(Observed {
            fields,
            instead: running.instead,
        })
    }

    async fn sequence(&mut self, at: usize, event: &Event) -> Result<Object, String> {
        let asked = event.asked()?;
        let count: usize = event.get("count")?;
        let mut rows = observed::Rows::new(&self.world)?;
        for number in 0..count {
            let id = format!("q{at:03}-{number:04}");
            let message = self.prepare(&id, &asked);
            let line = self.line(&asked).await?;
            let keeps = asked.connection.is_some();
            let patience = Self::patience(event);
            let (got, line) = exchange(line, message, &asked, keeps, patience).await;
            self.keep(&asked, line);
            self.world.settle(self.running.len()).await?;
            let tried = self.world.elections();
            let answer = observed::answer(&self.world, &id, &asked, &got, tried);
            rows.add(&answer, &self.world.after()?);
        }
        Ok(rows.told())
    }

    async fn burst(&mut self, at: usize, event: &Event) -> Result<Object, String> {
        let mut asked = event.asked()?;
        let count: usize = event.get("count")?;
        asked.connection.get_or_insert(format!("burst {at}"));
        let mut burst = observed::Burst::default();
        let id = format!("b{at:03}");
        let message = self.prepare(&id, &asked);
        let mut beaten: Option<Instant> = None;
        for _ in 0..count {
            // Recorded, a burst is over before reports are too old; on a busy machine it may take
            // longer than that, and servers report each second anyway.
            if beaten.is_none_or(|it| it.elapsed() > Duration::from_secs(1)) {
                for beat in self.beats.values() {
                    heartbeat::send(&self.world, beat).await?;
                }
                beaten = Some(Instant::now());
            }
            let line = self.line(&asked).await?;
            let patience = Self::patience(event);
            let (got, line) = exchange(line, message.clone(), &asked, true, patience).await;
            self.keep(&asked, line);
            burst.add(&got);
        }
        drop(self.world.elections());
        Ok(burst.told())
    }
}

/// How long the body is of an answer that is sent as it is written: without a head, none
/// of it is one.
fn body_of(raw: &str) -> usize {
    let mut rest = raw;
    while let Some((head, body)) = rest.split_once("\r\n\r\n") {
        if !head.starts_with("HTTP/") {
            return 0;
        }
        if !head.starts_with("HTTP/1.1 1") {
            let chunked = head
                .to_ascii_lowercase()
                .contains("\r\ntransfer-encoding: chunked");
            return if chunked { unchunked(body) } else { body.len() };
        }
        rest = body;
    }
    0
}

fn unchunked(mut rest: &str) -> usize {
    let mut length = 0;
    while let Some((size, data)) = rest.split_once("\r\n") {
        let size = size.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        length += size;
        match data.get(size + 2..) {
            Some(next) if size > 0 => rest = next,
            _ => break,
        }
    }
    length
}
