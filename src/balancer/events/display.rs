//! An event as one line of a log.

use std::fmt;
use std::time::Duration;

use super::{Event, EventKind};
use crate::balancer::layers::SettingLayer;
use crate::member::{Cause, Ended, MemberState, Outcome};
use crate::session::Session;

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(balancer) = self.balancer {
            write!(f, "balancer {balancer:?}: ")?;
        }
        if let Some(member) = self.member {
            write!(f, "member {:?} ", member.name())?;
        }
        write!(f, "{}", self.kind)
    }
}

impl fmt::Display for EventKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Responded {
                time_to_head,
                status,
            } => {
                f.write_str("responded")?;
                if let Some(status) = status {
                    write!(f, " with status {status}")?;
                }
                after(f, time_to_head)
            }
            Self::Changed {
                before,
                after,
                layer,
                cause,
            } => {
                let layer = match layer {
                    SettingLayer::Health => "health",
                    SettingLayer::Operator => "operator",
                    SettingLayer::Source => "source",
                };
                write!(f, "changed from {before} to {after} ({layer})")?;
                because(f, cause)
            }
            Self::Ejected { until, cause } => {
                let until = Duration::from_nanos(until.as_nanos());
                write!(f, "ejected until {until:?} on the balancer's clock")?;
                because(f, cause)
            }
            Self::Picked { session } => match session {
                Session::Hit => f.write_str("picked by its session"),
                Session::Redirected => f.write_str("picked by a redirected session"),
                Session::Lost | Session::New | Session::Off => f.write_str("picked"),
            },
            Self::Ended(ended) => write_ended(f, ended),
            Self::FailedOver { from, tried, cause } => {
                match from.map(MemberState::name) {
                    Some(from) => write!(f, "takes over from {from:?}")?,
                    None => f.write_str("takes over from a removed member")?,
                }
                let members = if tried == 1 { "member" } else { "members" };
                write!(f, " after {tried} {members}")?;
                because(f, cause)
            }
            Self::HeartbeatFault { why } => {
                f.write_str("heartbeats: ")?;
                in_one_line(f, why)
            }
            Self::Joined => f.write_str("joined"),
            Self::Left => f.write_str("left"),
            Self::PassedCheck => f.write_str("passed its health checks"),
            Self::Recovered => f.write_str("recovered"),
            Self::Refused { error, .. } => write!(f, "request refused: {error}"),
            Self::Session { session, route } => {
                let session = match session {
                    Session::Hit => "serves its session",
                    Session::Lost => "serves a session that is not its own",
                    Session::New => "starts a session",
                    Session::Off => "serves no session",
                    Session::Redirected => "serves a redirected session",
                };
                f.write_str(session)?;
                match route {
                    Some(route) => write!(f, ", route {route:?}"),
                    None => Ok(()),
                }
            }
            Self::SessionNotKept { why } => write!(f, "cannot keep sessions: {why}"),
            Self::Waiting { in_line: 1 } => f.write_str("request waits, first in line"),
            Self::Waiting { in_line } => write!(f, "request waits, {in_line} are in line"),
        }
    }
}

fn write_ended(f: &mut fmt::Formatter<'_>, ended: &Ended) -> fmt::Result {
    f.write_str(match ended.outcome {
        Outcome::Cancelled => "ended a request: cancelled",
        Outcome::Failure => "ended a request: failed",
        Outcome::Success => "ended a request: succeeded",
    })?;
    after(f, ended.elapsed)?;
    let (sent, received) = (ended.bytes_sent, ended.bytes_received);
    write!(f, ", {sent} bytes sent, {received} received")?;
    because(f, ended.cause.as_ref())
}

fn after(f: &mut fmt::Formatter<'_>, time: Option<Duration>) -> fmt::Result {
    match time {
        Some(time) => write!(f, " after {time:?}"),
        None => Ok(()),
    }
}

fn because(f: &mut fmt::Formatter<'_>, cause: Option<&Cause>) -> fmt::Result {
    match cause {
        // A line stays one line, whatever text the caller provides.
        Some(Cause::Other(words)) => write!(f, ": {}", words.escape_debug()),
        Some(cause) => write!(f, ": {cause}"),
        None => Ok(()),
    }
}

/// Writes the text, which may name a file, in one line.
fn in_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for part in text.split_inclusive(char::is_control) {
        let plain = part.trim_end_matches(char::is_control);
        let control = &part[plain.len()..];
        write!(f, "{plain}{}", control.escape_debug())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Event, EventKind};
    use crate::balancer::error::PickError;
    use crate::balancer::layers::SettingLayer;
    use crate::clock::Timestamp;
    use crate::member::{Cause, Ended, Flag, MemberSpec, MemberState, Outcome, Status};
    use crate::session::Session;
    use std::time::Duration;

    fn line(kind: EventKind<'_>, member: Option<&MemberState>) -> String {
        let (balancer, generation) = (None, 1);
        let event = Event {
            balancer,
            generation,
            member,
            kind,
        };
        event.to_string()
    }

    #[test]
    #[cfg_attr(equipoise_loom, ignore = "a member's atomics are a model's there")]
    fn each_event_reads_as_one_line() {
        let state = |name: &str| {
            MemberState::new(name.into(), 0, &MemberSpec::new(), Timestamp::from_nanos(0))
        };
        let (a, b) = (state("a"), state("b\n2"));
        let words = Cause::from("disk\nfull");
        let time_to_head = Some(Duration::from_millis(3));
        let error = Status::NORMAL.with(Flag::InError);
        let ended = |outcome, cause| Ended {
            outcome,
            cause,
            at: None,
            elapsed: None,
            time_to_head,
            has_response: true,
            status: None,
            bytes_sent: 120,
            bytes_received: 4_096,
        };
        let (failed, cancelled, succeeded) = (
            ended(Outcome::Failure, Some(Cause::TimedOut)),
            ended(Outcome::Cancelled, None),
            Ended {
                elapsed: Some(Duration::from_secs(2)),
                ..ended(Outcome::Success, None)
            },
        );
        let lines = [
            (
                EventKind::Responded {
                    time_to_head,
                    status: Some(200),
                },
                "member \"a\" responded with status 200 after 3ms",
            ),
            (
                EventKind::Changed {
                    before: Status::NORMAL,
                    after: error,
                    layer: SettingLayer::Health,
                    cause: Some(&Cause::Refused),
                },
                "member \"a\" changed from ok to in error (health): connection refused",
            ),
            (
                EventKind::Ejected {
                    until: Timestamp::from_nanos(12_500_000_000),
                    cause: Some(&words),
                },
                "member \"a\" ejected until 12.5s on the balancer's clock: disk\\nfull",
            ),
            (
                EventKind::Picked {
                    session: Session::New,
                },
                "member \"a\" picked",
            ),
            (
                EventKind::Ended(&failed),
                "member \"a\" ended a request: failed, 120 bytes sent, 4096 received: timed out",
            ),
            (
                EventKind::Ended(&cancelled),
                "member \"a\" ended a request: cancelled, 120 bytes sent, 4096 received",
            ),
            (
                EventKind::Ended(&succeeded),
                "member \"a\" ended a request: succeeded after 2s, 120 bytes sent, 4096 received",
            ),
            (
                EventKind::FailedOver {
                    from: Some(&b),
                    tried: 2,
                    cause: Some(&Cause::Status(503)),
                },
                "member \"a\" takes over from \"b\\n2\" after 2 members: responded with status 503",
            ),
            (
                EventKind::HeartbeatFault {
                    why: "`hb\n.dat`, line 3: no number: \"x\"",
                },
                "member \"a\" heartbeats: `hb\\n.dat`, line 3: no number: \"x\"",
            ),
            (EventKind::Joined, "member \"a\" joined"),
            (EventKind::Left, "member \"a\" left"),
            (EventKind::Recovered, "member \"a\" recovered"),
            (
                EventKind::Session {
                    session: Session::Lost,
                    route: Some("r1"),
                },
                "member \"a\" serves a session that is not its own, route \"r1\"",
            ),
        ];
        for (kind, expected) in lines {
            assert_eq!(line(kind, Some(&a)), expected);
        }
        let refused = EventKind::Refused {
            error: &PickError::AtCapacity,
            members: 2,
            tried: 0,
        };
        assert_eq!(
            line(refused, None),
            "request refused: all usable members are at their capacity"
        );
        let waiting = EventKind::Waiting { in_line: 3 };
        assert_eq!(line(waiting, None), "request waits, 3 are in line");
        let named = Event {
            balancer: Some("api"),
            generation: 1,
            member: Some(&a),
            kind: EventKind::Joined,
        };
        assert_eq!(named.to_string(), "balancer \"api\": member \"a\" joined");
    }
}
