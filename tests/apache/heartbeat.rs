//! Heartbeats: those that are sent, and the file as Apache's reader understands it, which gives
//! the readings that a case elects by.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use equipoise::heartbeat::{HeartbeatFile, HeartbeatMonitor};
use equipoise::scheduler::HeartbeatReading;
use tokio::net::{TcpSocket, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::case::Event;
use super::wire::Line;
use super::world::World;

/// Sends a heartbeat from a member's address; the status of the answer, if there is one.
pub(crate) async fn send(world: &World, event: &Event) -> Result<Option<u16>, String> {
    let (member, message) = (event.text("member"), event.text("message"));
    let member = world.places.address(member);
    let from = SocketAddr::new(member.ok_or("there is no such member")?.ip(), 0);
    let told = |error: std::io::Error| format!("a heartbeat from {from}: {error}");
    if event.text("via") == "udp" {
        let to = world.system.config().heartbeats.listen;
        let to = to.ok_or("nothing listens to heartbeats")?;
        let socket = UdpSocket::bind(from).await.map_err(told)?;
        if let (IpAddr::V4(group), true) = (to.ip(), to.ip().is_multicast()) {
            // From an address of this machine alone it comes in by the interface of those, which
            // takes it if anything there is in the group.
            let joined = socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST);
            joined.map_err(told)?;
        }
        socket.send_to(message.as_bytes(), to).await.map_err(told)?;
        return Ok(None);
    }
    let socket = TcpSocket::new_v4().map_err(told)?;
    socket.bind(from).map_err(told)?;
    let stream = socket.connect(world.front()?).await.map_err(told)?;
    let mut line = Line::new(stream);
    let request = format!(
        "POST /__heartbeat HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{message}",
        message.len()
    );
    line.say(request).await.map_err(told)?;
    let head = timeout(Duration::from_secs(10), line.head()).await;
    let head = head
        .map_err(|_| "a heartbeat has no answer")?
        .map_err(told)?;
    Ok(head.and_then(|head| head.status()))
}

/// Waits until what a file tells has come in; what is told already is waited for no longer than it
/// takes to look at the file.
pub(crate) async fn noticed(monitor: &HeartbeatMonitor, text: &str) {
    let (file, _) = HeartbeatFile::parse(text.as_bytes());
    let fresh = file.records().iter().filter(|record| {
        let age = record.last_seen();
        age.is_some_and(|age| age < Duration::from_secs(10))
    });
    let fresh: Vec<_> = fresh.map(|it| (it.sender(), it.reading())).collect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(700) {
        let known = monitor.records();
        let known = known
            .iter()
            .filter(|it| it.reading().ready > 0 || it.reading().busy != 1);
        let known: Vec<_> = known.map(|it| (it.sender(), it.reading())).collect();
        let told = fresh.iter().filter(|(_, it)| it.ready > 0 || it.busy != 1);
        if told.clone().count() > 0 && told.eq(known.iter()) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// A file of heartbeats that is written again and again, as httpd's monitor does, so that its own
/// age counts for nothing.
#[derive(Debug)]
pub(crate) struct Kept(JoinHandle<()>);

impl Kept {
    pub(crate) fn new(path: PathBuf, text: &str) -> Result<Self, String> {
        let text = text.to_owned();
        let write = move || {
            let beside = path.with_extension("new");
            std::fs::write(&beside, &text).and_then(|()| std::fs::rename(&beside, &path))
        };
        write().map_err(|error| format!("the file of heartbeats: {error}"))?;
        let writing = async move {
            loop {
                sleep(Duration::from_millis(100)).await;
                let _ = write();
            }
        };
        Ok(Self(tokio::spawn(writing)))
    }

    /// Stops writing; once it has ended, nothing of it is written any more.
    pub(crate) async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server that was seen so many seconds ago is not counted on.
const STALE: i64 = 10;

/// What is known of an address; each line changes the fields that it has.
#[derive(Clone, Copy, Debug)]
struct Known {
    reading: HeartbeatReading,
    last_seen: i64,
}

/// The readings that count of the same lines as they are read here, by address; members have no
/// ports of their own.
pub(crate) fn reports(lines: &[String], final_newline: bool) -> Vec<(String, HeartbeatReading)> {
    let end = if final_newline { "\n" } else { "" };
    let (file, _) = HeartbeatFile::parse(format!("{}{end}", lines.join("\n")).as_bytes());
    let fresh = file.records().iter().filter(|record| {
        let age = record.last_seen().map(|age| age.as_secs());
        age.is_some_and(|age| i64::try_from(age).is_ok_and(|age| age < STALE))
    });
    let of_all = fresh.filter(|record| record.sender().port().is_none());
    let reports = of_all.map(|it| (it.sender().ip().to_string(), it.reading()));
    reports.collect()
}

/// The readings that count, by address. The last character of a line is dropped,
/// whatever it is.
pub(crate) fn parse(lines: &[String], final_newline: bool) -> Vec<(String, HeartbeatReading)> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let mut line = line.as_str();
        if at + 1 == lines.len() && !final_newline {
            let end = line.char_indices().last().map_or(0, |(end, _)| end);
            line = &line[..end];
        }
        if line.starts_with('#') {
            continue;
        }
        let Some((host, fields)) = line.split_once(' ') else {
            continue;
        };
        let field = |wanted: &str| {
            let pairs = fields.trim().split('&');
            let mut values = pairs.filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
                name.eq_ignore_ascii_case(wanted).then(|| unescape(value))
            });
            values.next_back()
        };
        let known = all.entry(host.to_owned()).or_insert(Known {
            reading: HeartbeatReading { ready: 0, busy: 0 },
            last_seen: 0,
        });
        // What is idle counts a quarter after each line; after the last, the method does it.
        if known.reading.busy == 0 {
            known.reading.ready /= 4;
        }
        let slots = |name| {
            let value = number(&field(name)?);
            Some(u32::try_from(value).unwrap_or(0))
        };
        known.reading.ready = slots("ready").unwrap_or(known.reading.ready);
        known.reading.busy = slots("busy").unwrap_or(known.reading.busy);
        let last_seen = field("lastseen").map(|value| number(&value));
        known.last_seen = last_seen.unwrap_or(known.last_seen);
    }
    let fresh = all.into_iter().filter(|(_, known)| known.last_seen < STALE);
    fresh.map(|(host, known)| (host, known.reading)).collect()
}

/// A whole number that fits; anything else is 0.
fn number(text: &str) -> i64 {
    let value = text.trim_start().parse::<i32>();
    value.map_or(0, i64::from).max(0)
}

/// A text with its `%` escapes resolved.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = rest.clone().take(2).collect::<Vec<_>>();
        let digits = std::str::from_utf8(&escaped).ok();
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) if byte == b'%' && escaped.len() == 2 => {
                bytes.push(value);
                rest.nth(1);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
