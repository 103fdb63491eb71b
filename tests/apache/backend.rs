//! A backend: a real server that behaves exactly as a case says.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::case::{Behaviour, Behaviours, Close, Framing, State};
use super::port::Places;
use super::wire::{Head, Line};

/// A request as a backend got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) member: String,
    pub(crate) head: Head,
    pub(crate) body_bytes: usize,
    /// Whether the connection had brought a request before.
    pub(crate) reused: bool,
}

/// What a backend answers to health checks, and what it has seen of them since it was told so.
#[derive(Clone, Debug, Default)]
struct Checked {
    script: VecDeque<Behaviour>,
    answer: Behaviour,
    count: usize,
    last: Option<Head>,
}

/// What all backends of a case share: how to behave, and what was seen.
#[derive(Debug)]
pub(crate) struct Stage {
    places: Places,
    script: Mutex<HashMap<String, Behaviours>>,
    seen: Mutex<Vec<Seen>>,
    checked: Mutex<HashMap<String, Checked>>,
    seen_more: Notify,
    released: watch::Sender<Vec<String>>,
}

impl Stage {
    pub(crate) fn new(places: Places) -> Arc<Self> {
        Arc::new(Self {
            places,
            script: Mutex::default(),
            seen: Mutex::default(),
            checked: Mutex::default(),
            seen_more: Notify::new(),
            released: watch::Sender::new(Vec::new()),
        })
    }

    pub(crate) fn behave(&self, id: &str, behaviours: Behaviours) {
        let mut script = self.script.lock().unwrap();
        script.insert(id.to_owned(), behaviours);
    }

    /// How a member answers to health checks from now on.
    pub(crate) fn check(&self, member: &str, script: Vec<Behaviour>, answer: Behaviour) {
        let checked = Checked {
            script: script.into(),
            answer,
            ..Checked::default()
        };
        self.checked
            .lock()
            .unwrap()
            .insert(member.to_owned(), checked);
    }

    /// Waits until a member has seen so many checks since it was told how to answer.
    pub(crate) async fn has_checks(&self, member: &str, count: usize) -> usize {
        loop {
            let more = self.seen_more.notified();
            let checked = self.checked.lock().unwrap().get(member).map(|it| it.count);
            if let Some(seen) = checked.filter(|seen| *seen >= count) {
                return seen;
            }
            more.await;
        }
    }

    /// The last check as a member saw it.
    pub(crate) fn last_check(&self, member: &str) -> Option<Head> {
        let checked = self.checked.lock().unwrap();
        checked.get(member).and_then(|it| it.last.clone())
    }

    /// What is answered to a check.
    fn checked(&self, member: &str, head: Head) -> Behaviour {
        let mut checked = self.checked.lock().unwrap();
        let checked = checked.entry(member.to_owned()).or_default();
        checked.count += 1;
        checked.last = Some(head);
        let next = checked.script.pop_front();
        next.unwrap_or_else(|| checked.answer.clone())
    }

    pub(crate) fn release(&self, id: &str) {
        self.released
            .send_modify(|released| released.push(id.to_owned()));
    }

    pub(crate) fn seen(&self, id: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.id == id).cloned().collect()
    }

    /// Waits until a backend has this request.
    pub(crate) async fn has(&self, id: &str) {
        loop {
            let more = self.seen_more.notified();
            if !self.seen(id).is_empty() {
                return;
            }
            more.await;
        }
    }

    fn behaviour(&self, id: &str, member: &str) -> Behaviour {
        let script = self.script.lock().unwrap();
        let entry = script
            .get(id)
            .and_then(|behaviours| behaviours.get(member).or_else(|| behaviours.get("*")));
        entry.cloned().unwrap_or_default()
    }

    async fn held(&self, id: &str) {
        let mut released = self.released.subscribe();
        // The sender lives as long as the stage does.
        let _ = released
            .wait_for(|released| released.iter().any(|released| released == id))
            .await;
    }
}

/// A backend; a change of its state closes all its connections.
#[derive(Debug)]
pub(crate) struct Backend {
    name: String,
    address: SocketAddr,
    stage: Arc<Stage>,
    running: Option<(JoinHandle<()>, Arc<Notify>)>,
}

impl Backend {
    pub(crate) fn new(name: &str, address: SocketAddr, stage: &Arc<Stage>) -> Self {
        Self {
            name: name.to_owned(),
            address,
            stage: stage.clone(),
            running: None,
        }
    }

    pub(crate) async fn become_(&mut self, state: State) -> std::io::Result<()> {
        if let Some((task, stop)) = self.running.take() {
            stop.notify_one();
            let _ = task.await;
        }
        if state == State::Down {
            return Ok(());
        }
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let full = state == State::Blackhole;
        let listener = socket.listen(if full { 0 } else { 512 })?;
        let crowd = if full {
            crowd(self.address).await
        } else {
            Vec::new()
        };
        let stop = Arc::new(Notify::new());
        let member = Member {
            name: self.name.clone(),
            state,
            stage: self.stage.clone(),
        };
        let task = tokio::spawn(member.listen(listener, crowd, stop.clone()));
        self.running = Some((task, stop));
        Ok(())
    }
}

/// As many connections as a listener that accepts nobody has room for: whoever comes
/// later gets no answer at all.
async fn crowd(address: SocketAddr) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    loop {
        let connecting = TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(150), connecting).await {
            Ok(Ok(stream)) => crowd.push(stream),
            _ => return crowd,
        }
    }
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    state: State,
    stage: Arc<Stage>,
}

impl Member {
    async fn listen(self, listener: TcpListener, crowd: Vec<TcpStream>, stop: Arc<Notify>) {
        let mut connections = JoinSet::new();
        let accepts = self.state != State::Blackhole;
        loop {
            let stream = tokio::select! {
                () = stop.notified() => break,
                accepted = listener.accept(), if accepts => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let Ok((stream, _)) = stream else { break };
            let mut line = Line::new(stream);
            match self.state {
                // It closes when the request is on its way: before that, it would be
                // chance whether anything has been sent.
                State::CloseOnAccept => {
                    connections.spawn(async move { line.glance().await });
                }
                State::HangOnAccept => {
                    connections.spawn(async move { line.closed().await });
                }
                _ => {
                    connections.spawn(self.clone().serve(line));
                }
            }
        }
        drop(listener);
        drop(crowd);
        connections.shutdown().await;
    }

    async fn serve(self, mut line: Line) {
        let mut reused = false;
        while let Ok(Some(head)) = line.head().await {
            if head.says("expect", "100-continue")
                && line.say("HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
            {
                return;
            }
            let body = line.body(&head, false).await;
            // Every client's request has a name; those without one are health checks.
            let Some(id) = head.get("x-req").map(str::to_owned) else {
                let is_head = head.word(0) == "HEAD";
                let behaviour = self.stage.checked(&self.name, head);
                self.stage.seen_more.notify_waiters();
                if let Some(line) = self.answer(line, "", is_head, &behaviour).await {
                    line.close().await;
                }
                return;
            };
            let closes = head.says("connection", "close");
            let is_head = head.word(0) == "HEAD";
            self.stage.seen.lock().unwrap().push(Seen {
                id: id.clone(),
                member: self.name.clone(),
                head,
                body_bytes: body.bytes,
                reused,
            });
            self.stage.seen_more.notify_waiters();
            reused = true;
            let behaviour = self.stage.behaviour(&id, &self.name);
            match self.answer(line, &id, is_head, &behaviour).await {
                Some(same) if !closes => line = same,
                Some(same) => return same.close().await,
                None => return,
            }
        }
    }

    /// Answers; gives the connection back if it goes on.
    async fn answer(
        &self,
        mut line: Line,
        id: &str,
        is_head: bool,
        behaviour: &Behaviour,
    ) -> Option<Line> {
        if behaviour.hold {
            self.stage.held(id).await;
        }
        if behaviour.delay > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(behaviour.delay)).await;
        }
        if behaviour.hang {
            line.closed().await;
            return None;
        }
        match behaviour.close {
            Some(Close::BeforeResponse) => return None,
            Some(Close::Reset) => {
                line.reset();
                return None;
            }
            _ => {}
        }
        if let Some(raw) = &behaviour.raw {
            let _ = line.say(bytes(&self.stage.places.fill(raw))).await;
            line.close().await;
            return None;
        }
        let (head, body) = self.message(is_head, behaviour);
        if behaviour.close == Some(Close::MidHeaders) {
            let _ = line.say(&head[..head.len() - 4]).await;
            line.close().await;
            return None;
        }
        let breaks_off = behaviour.hang_mid_body || behaviour.close == Some(Close::MidBody);
        let mut message = head;
        if breaks_off {
            message.extend(framed(&body[..body.len() / 2], behaviour.framing));
            line.say(message).await.ok()?;
            if behaviour.hang_mid_body {
                line.closed().await;
            } else {
                line.close().await;
            }
            return None;
        }
        message.extend(framed(&body, behaviour.framing));
        if behaviour.framing == Framing::Chunked && !is_head && may_have_body(behaviour) {
            message.extend_from_slice(b"0\r\n\r\n");
        }
        line.say(message).await.ok()?;
        if behaviour.connection_close || behaviour.framing == Framing::Close {
            line.close().await;
            return None;
        }
        Some(line)
    }

    fn message(&self, is_head: bool, behaviour: &Behaviour) -> (Vec<u8>, Vec<u8>) {
        let status = behaviour.status.unwrap_or(200);
        let reason = behaviour.reason.clone().unwrap_or_else(|| {
            let status = http::StatusCode::from_u16(status).ok();
            let reason = status.and_then(|status| status.canonical_reason());
            reason.unwrap_or_default().to_owned()
        });
        let mut head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nX-Backend: {}\r\n",
            self.name
        );
        for (name, value) in &behaviour.headers {
            let value = self.stage.places.fill(value);
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let size = behaviour.body.unwrap_or(16);
        if may_have_body(behaviour) {
            match behaviour.framing {
                Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
                Framing::Close => {}
                Framing::Length => head.push_str(&format!("Content-Length: {size}\r\n")),
            }
        }
        if behaviour.connection_close || behaviour.framing == Framing::Close {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        let sends = may_have_body(behaviour) && !is_head;
        (bytes(&head), vec![b'x'; if sends { size } else { 0 }])
    }
}

pub(crate) fn may_have_body(behaviour: &Behaviour) -> bool {
    !matches!(behaviour.status, Some(100..=199 | 204 | 304))
}

fn framed(body: &[u8], framing: Framing) -> Vec<u8> {
    if framing != Framing::Chunked || body.is_empty() {
        return body.to_vec();
    }
    let mut framed = format!("{:x}\r\n", body.len()).into_bytes();
    framed.extend_from_slice(body);
    framed.extend_from_slice(b"\r\n");
    framed
}

/// The bytes that a text of a case stands for.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in text.chars() {
        match u8::try_from(u32::from(character)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(character.to_string().bytes()),
        }
    }
    bytes
}
