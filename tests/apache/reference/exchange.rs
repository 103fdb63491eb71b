//! What one attempt comes to: the rows of specification 4.1 that the recorded backends can cause.

use serde_json::Value;

use super::fixes::Fix;
use super::member::Backend;
use super::params::SECOND;
use super::running::{Ending, Holding, Running};
use super::site::Site;

#[derive(Debug)]
pub enum Outcome {
    Ended(Ending),
    Held(Holding),
    /// The member goes into error, and another may be tried (rows 1 to 3, and 7).
    NothingSent,
}

impl Site {
    /// Carries out one attempt at a member; the clock moves with it.
    pub fn exchange(&mut self, at: usize, running: &mut Running) -> Outcome {
        if self.has_no_connection(at) {
            let wait = self.members[at].acquire;
            self.waits_without_end |= wait.is_none();
            self.now += wait.unwrap_or(0);
            return Outcome::NothingSent;
        }
        let behaviour = self.behaviour(at, running);
        match self.members[at].backend {
            Backend::Down => {
                // A refusal takes a moment, so that nobody's delay ends with another's.
                self.now += 1;
                return Outcome::NothingSent;
            }
            Backend::Blackhole => {
                let member = &self.members[at];
                let limit = member.connect_timeout.or(member.timeout);
                self.now += limit.unwrap_or(self.io_timeout);
                return Outcome::NothingSent;
            }
            Backend::CloseOnAccept => {
                return Outcome::Ended(self.closed(at, running, false));
            }
            Backend::HangOnAccept => {
                let ping = self.members[at].ping.filter(|_| !self.has(Fix::NoPing));
                if let Some(ping) = ping.filter(|_| running.has_body()) {
                    self.now += ping;
                    running.timed_out = true;
                    return Outcome::NothingSent;
                }
                return Outcome::Ended(self.late(at, running));
            }
            Backend::Up => {}
        }
        running.seen.push(at);
        let reused = self.take_connection(at, running);
        let limit = self.io_limit(at);
        if behaviour["hang"] == true {
            return Outcome::Ended(self.late(at, running));
        }
        match behaviour["close"].as_str() {
            Some("before_response" | "reset") => {
                if reused && running.is_idempotent() && self.has(Fix::ClosedIsBadGateway) {
                    // Once more, on a new connection, which comes to the same.
                    running.seen.push(at);
                }
                return Outcome::Ended(self.closed(at, running, reused));
            }
            Some("mid_headers") => return Outcome::Ended(Ending::of_proxy(502)),
            _ => {}
        }
        let delay = (behaviour["delay"].as_f64().unwrap_or(0.0) * SECOND as f64) as i64;
        if delay >= limit {
            return Outcome::Ended(self.late(at, running));
        }
        self.now += delay;
        if behaviour["hold"] == true {
            let deadline = self.now + limit;
            self.members[at].connections += 1;
            return Outcome::Held(Holding {
                member: at,
                deadline,
                reused,
            });
        }
        Outcome::Ended(self.answer(at, running))
    }

    /// Whether held requests have all connections of one process, as there was one where the
    /// recordings were made.
    fn has_no_connection(&self, at: usize) -> bool {
        let member = &self.members[at];
        let all_in_use = member.most.is_some_and(|most| member.connections >= most);
        all_in_use && !self.has(Fix::FullIsPassedOver)
    }

    /// A held request's connection is free again, or closed.
    pub fn let_go(&mut self, running: &mut Running) -> Option<Holding> {
        let holding = running.holding.take()?;
        self.members[holding.member].connections -= 1;
        Some(holding)
    }

    fn behaviour(&self, at: usize, running: &Running) -> Value {
        let all = &running.event["backend"];
        let own = all.get(&self.members[at].name);
        own.or_else(|| all.get("*")).cloned().unwrap_or(Value::Null)
    }

    fn io_limit(&self, at: usize) -> i64 {
        self.members[at].timeout.unwrap_or(self.io_timeout)
    }

    /// Whether the client's connection has carried a request before.
    fn is_kept(&self, running: &Running) -> bool {
        running
            .connection()
            .is_some_and(|name| self.kept.contains_key(name))
    }

    /// Takes a connection of the pool, or makes one; tells whether it had been used.
    fn take_connection(&mut self, at: usize, running: &Running) -> bool {
        let fresh = self.initial_not_pooled && !self.is_kept(running);
        let member = &mut self.members[at];
        let reused = member.reuse && member.idle > 0 && !fresh;
        member.idle -= usize::from(reused);
        reused
    }

    /// The member answers.
    pub fn answer(&mut self, at: usize, running: &Running) -> Ending {
        let behaviour = self.behaviour(at, running);
        if let Some(raw) = behaviour["raw"].as_str() {
            return self.raw_answer(raw);
        }
        let status = behaviour["status"].as_i64().unwrap_or(200);
        let broken = behaviour["close"] == "mid_body" || behaviour["hang_mid_body"] == true;
        if behaviour["hang_mid_body"] == true {
            self.now += self.io_limit(at);
        }
        let ends =
            broken || behaviour["connection_close"] == true || behaviour["framing"] == "close";
        let replaces = |statuses: &Vec<i64>| statuses.is_empty() || statuses.contains(&status);
        let replaced = status >= 400 && self.error_override.as_ref().is_some_and(replaces);
        let member = &mut self.members[at];
        member.idle += usize::from(member.reuse && !ends);
        Ending {
            status: Some(status),
            served_by: (!replaced).then(|| member.name.clone()),
            from_member: true,
            closes: broken,
        }
    }

    /// Rows 12, 13 and 15 for bytes that a backend sent as they are.
    fn raw_answer(&self, raw: &str) -> Ending {
        let text = raw.replace("\r\n", "\n");
        // One empty line may stray in front.
        let mut rest = text.strip_prefix('\n').unwrap_or(&text).to_owned();
        if !is_status_line(&rest) {
            // A line that does not end is none, nor is an empty one, or one with a NUL.
            let line = rest.split_once('\n').map_or("", |(line, _)| line);
            let is_line = !line.is_empty() && !line.contains('\0');
            if !is_line || self.has(Fix::JunkIsBadGateway) {
                return Ending::of_proxy(502);
            }
            let junk = Ending::of_proxy(200);
            return Ending {
                from_member: true,
                ..junk
            };
        }
        // Up to nine interim answers may come first.
        for _ in 0..10 {
            let Some((head, body)) = rest.split_once("\n\n") else {
                break;
            };
            let mut lines = head.split('\n');
            let first = lines.next().unwrap_or_default();
            let headers: Vec<&str> = lines.collect();
            let status = first
                .split(' ')
                .nth(1)
                .and_then(|text| text.parse::<i64>().ok());
            let lines_are_fine = headers.iter().all(|it| it.contains(':') && it.len() < 8192);
            let (Some(status), true) = (status, first.starts_with("HTTP/1.") && lines_are_fine)
            else {
                break;
            };
            match status {
                101 => break,
                _ if self.has(Fix::JunkIsBadGateway) && contradicts(status, &headers) => break,
                100..200 => rest = body.to_owned(),
                _ => return raw_ending(status, &headers, body),
            }
        }
        Ending::of_proxy(502)
    }

    /// Rows 9 to 11: the connection was closed before an answer began.
    pub fn closed(&mut self, at: usize, running: &Running, reused: bool) -> Ending {
        if !self.is_kept(running) || self.has(Fix::ClosedIsBadGateway) {
            return Ending::of_proxy(502);
        }
        if !reused && !self.members[at].flags.ignore_errors {
            let now = self.now;
            self.members[at].fail(now);
        }
        Ending::closed()
    }

    /// Row 8: no answer in time.
    fn late(&mut self, at: usize, running: &mut Running) -> Ending {
        self.now += self.io_limit(at);
        self.note_timeout(at, running)
    }

    /// What is noted when a member has let a time limit pass.
    pub fn note_timeout(&mut self, at: usize, running: &mut Running) -> Ending {
        running.timed_out = true;
        let blamed = self.fail_on_timeout && self.has(Fix::TimeoutBlame);
        if blamed && !self.members[at].flags.ignore_errors {
            let now = self.now;
            self.members[at].fail(now);
        }
        Ending::of_proxy(502)
    }
}

/// `HTTP/#.# ###`, and anything: what is not so is no head.
fn is_status_line(text: &str) -> bool {
    let shape = "HTTP/#.# ###".bytes();
    let fits = |(wanted, byte): (u8, u8)| match wanted {
        b'#' => byte.is_ascii_digit(),
        wanted => byte == wanted,
    };
    text.len() >= shape.len() && shape.zip(text.bytes()).all(fits)
}

/// A status that there cannot be, or two lengths.
fn contradicts(status: i64, headers: &[&str]) -> bool {
    let lengths = headers.iter().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    });
    let mut lengths: Vec<_> = lengths.collect();
    lengths.dedup();
    status < 100 || lengths.len() > 1
}

fn raw_ending(status: i64, headers: &[&str], body: &str) -> Ending {
    let header = |name: &str| {
        headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let chunked = header("transfer-encoding").is_some_and(|it| it.contains("chunked"));
    let length = header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let complete = if chunked {
        body.ends_with("0\n\n")
    } else {
        body.len() >= length
    };
    Ending {
        status: Some(status),
        served_by: header("x-backend"),
        from_member: true,
        closes: !complete,
    }
}
