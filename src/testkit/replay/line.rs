//! One line of a log: [`LogRecord`], its text, and how it is read.

use std::fmt;

use super::spec_text::{
    decoded, encoded, flag_of, flag_word, number, once, overrides_of, overrides_text, spec_of,
    spec_text,
};
use crate::balancer::{PickError, PickRequest};
use crate::member::{Flag, MemberSpec, Outcome, Overrides};
use crate::session::Session;

/// The first word of a log.
pub(super) const TITLE: &str = "equipoise-picks";

/// The version of the format.
pub(super) const VERSION: &str = "1";

/// What happened, apart from the time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LogRecord {
    Eject(String, u64),
    End(u64, Outcome),
    Error(u64),
    Flag(String, Flag, bool),
    Head(u64, Option<u16>),
    Insert(String, MemberSpec),
    Mark(String),
    Override(String, Overrides),
    Pick {
        request: u64,
        asked: RecordedAsk,
        result: String,
    },
    Received(u64, u64),
    Recover(String),
    Remove(String),
    Replace(Vec<(String, MemberSpec)>),
    Reset,
    Sent(u64, u64),
    Timed,
    Update(String, MemberSpec),
}

/// The properties of a request that its pick uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RecordedAsk {
    pub(super) key: Option<u64>,
    pub(super) tried: Vec<String>,
    pub(super) sessions: bool,
    pub(super) route: Option<String>,
    pub(super) member: Option<String>,
    pub(super) no_failover: bool,
}

impl RecordedAsk {
    /// Takes the properties of a request; `tried` are the names of the tried members.
    pub(super) fn of(request: &PickRequest<'_>, tried: Vec<String>) -> Self {
        Self {
            key: request.hash(),
            tried,
            sessions: request.has_sessions(),
            route: request.session_route().map(ToOwned::to_owned),
            member: request.session_member().map(ToOwned::to_owned),
            no_failover: request.has_no_failover(),
        }
    }

    fn read<'w>(words: impl Iterator<Item = &'w str>) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut seen = Vec::new();
        for word in words {
            once(
                word.split_once('=').map_or(word, |(name, _)| name),
                &mut seen,
            )?;
            match word.split_once('=') {
                Some(("key", key)) => {
                    let key = u64::from_str_radix(key, 16);
                    let key = key.map_err(|_| format!("`{word}` is not a hexadecimal number"))?;
                    asked.key = Some(key);
                }
                Some(("tried", names)) => {
                    asked.tried = names.split(',').map(decoded).collect::<Result<_, _>>()?;
                }
                Some(("route", route)) => asked.route = Some(decoded(route)?),
                Some(("member", name)) => asked.member = Some(decoded(name)?),
                None if word == "sessions" => asked.sessions = true,
                None if word == "no_failover" => asked.no_failover = true,
                _ => return Err(format!("`{word}` is not a setting of a pick")),
            }
        }
        asked.sessions |= asked.route.is_some() || asked.member.is_some();
        Ok(asked)
    }
}

impl fmt::Display for RecordedAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key {
            write!(f, " key={key:x}")?;
        }
        if !self.tried.is_empty() {
            let tried: Vec<String> = self.tried.iter().map(|name| encoded(name)).collect();
            write!(f, " tried={}", tried.join(","))?;
        }
        match (&self.route, &self.member) {
            (Some(route), _) => write!(f, " route={}", encoded(route))?,
            (None, Some(name)) => write!(f, " member={}", encoded(name))?,
            (None, None) if self.sessions => f.write_str(" sessions")?,
            (None, None) => {}
        }
        if self.no_failover {
            f.write_str(" no_failover")?;
        }
        Ok(())
    }
}

/// The result of a pick, as the log has it.
pub(super) fn result_text(picked: Result<(&str, Session), &PickError>) -> String {
    match picked {
        Ok((name, session)) => {
            let session = match session {
                Session::Hit => " hit",
                Session::Lost => " lost",
                Session::New => " new",
                Session::Off => "",
                Session::Redirected => " redirected",
            };
            format!("picks {}{session}", encoded(name))
        }
        Err(error) => {
            let why = match error {
                PickError::AtCapacity => "at_capacity",
                PickError::Empty => "empty",
                PickError::NoneUsable { .. } => "none_usable",
                PickError::SessionLost { .. } => "session_lost",
            };
            format!("fails {why}")
        }
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Cancelled => "cancelled",
        Outcome::Failure => "failure",
        Outcome::Success => "success",
    }
}

fn outcome_of(word: &str) -> Result<Outcome, String> {
    let mut all = [Outcome::Cancelled, Outcome::Failure, Outcome::Success].into_iter();
    let found = all.find(|&outcome| outcome_word(outcome) == word);
    found.ok_or_else(|| format!("there is no outcome `{word}`"))
}

impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eject(name, nanos) => write!(f, "eject {} {nanos}", encoded(name)),
            Self::End(request, outcome) => write!(f, "end {request} {}", outcome_word(*outcome)),
            Self::Error(request) => write!(f, "error {request}"),
            Self::Flag(name, flag, on) => {
                let on = if *on { "on" } else { "off" };
                write!(f, "flag {} {} {on}", encoded(name), flag_word(*flag))
            }
            Self::Head(request, Some(status)) => write!(f, "head {request} {status}"),
            Self::Head(request, None) => write!(f, "head {request} -"),
            Self::Insert(name, spec) => write!(f, "insert {}{}", encoded(name), spec_text(spec)),
            Self::Mark(text) => write!(f, "mark {}", encoded(text)),
            Self::Override(name, overrides) => {
                write!(f, "override {}{}", encoded(name), overrides_text(overrides))
            }
            Self::Pick {
                request,
                asked,
                result,
            } => write!(f, "pick {request}{asked} {result}"),
            Self::Received(request, bytes) => write!(f, "received {request} {bytes}"),
            Self::Recover(name) => write!(f, "recover {}", encoded(name)),
            Self::Remove(name) => write!(f, "remove {}", encoded(name)),
            Self::Replace(members) => {
                f.write_str("replace")?;
                for (at, (name, spec)) in members.iter().enumerate() {
                    let between = if at == 0 { "" } else { " &" };
                    write!(f, "{between} {}{}", encoded(name), spec_text(spec))?;
                }
                Ok(())
            }
            Self::Reset => f.write_str("reset"),
            Self::Sent(request, bytes) => write!(f, "sent {request} {bytes}"),
            Self::Timed => f.write_str("timed"),
            Self::Update(name, spec) => write!(f, "update {}{}", encoded(name), spec_text(spec)),
        }
    }
}

impl LogRecord {
    /// Reads a record, given the words after the time.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let verb = words.next().unwrap_or_default();
        let mut word = || {
            words
                .next()
                .ok_or_else(|| format!("`{verb}` needs more words"))
        };
        let record = match verb {
            "eject" => Self::Eject(decoded(word()?)?, number(word()?)?),
            "end" => Self::End(number(word()?)?, outcome_of(word()?)?),
            "error" => Self::Error(number(word()?)?),
            "flag" => {
                let (name, flag) = (decoded(word()?)?, flag_of(word()?)?);
                let on = match word()? {
                    "on" => true,
                    "off" => false,
                    other => return Err(format!("`{other}` is neither `on` nor `off`")),
                };
                Self::Flag(name, flag, on)
            }
            "head" => {
                let request = number(word()?)?;
                let status = word()?;
                let status = (status != "-").then(|| number(status)).transpose()?;
                Self::Head(request, status)
            }
            "insert" => return Ok(Self::Insert(decoded(word()?)?, spec_of(words)?)),
            "mark" => Self::Mark(decoded(word()?)?),
            "override" => return Ok(Self::Override(decoded(word()?)?, overrides_of(words)?)),
            "pick" => {
                let request = number(word()?)?;
                let rest: Vec<&str> = words.collect();
                let is_result = |word: &&str| ["fails", "picks"].contains(word);
                let at = rest.iter().position(is_result);
                let at = at.ok_or("a pick needs `picks` or `fails`")?;
                let result = rest[at..].join(" ");
                return Ok(Self::Pick {
                    request,
                    asked: RecordedAsk::read(rest[..at].iter().copied())?,
                    result,
                });
            }
            "received" => Self::Received(number(word()?)?, number(word()?)?),
            "recover" => Self::Recover(decoded(word()?)?),
            "remove" => Self::Remove(decoded(word()?)?),
            "replace" => return replaced(&words.collect::<Vec<_>>()).map(Self::Replace),
            "reset" => Self::Reset,
            "sent" => Self::Sent(number(word()?)?, number(word()?)?),
            "timed" => Self::Timed,
            "update" => return Ok(Self::Update(decoded(word()?)?, spec_of(words)?)),
            _ => return Err(format!("there is no record `{verb}`")),
        };
        match words.next() {
            Some(more) => Err(format!("`{more}` is too much")),
            None => Ok(record),
        }
    }
}

/// Reads members, which `&` separates.
fn replaced(words: &[&str]) -> Result<Vec<(String, MemberSpec)>, String> {
    let members = words.split(|word| *word == "&");
    let members = members.filter(|_| !words.is_empty());
    let member = |words: &[&str]| {
        let (name, settings) = words.split_first().ok_or("a member has no name")?;
        Ok((decoded(name)?, spec_of(settings.iter().copied())?))
    };
    members.map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::{LogRecord, RecordedAsk, result_text};
    use crate::balancer::PickError;
    use crate::member::{Flag, MemberSpec, Outcome, Overrides};
    use crate::session::Session;

    #[test]
    fn every_record_is_read_as_it_was_written() {
        let spec = MemberSpec::new().with_tier(1).with_route("r 1");
        let asked = RecordedAsk {
            key: Some(u64::MAX),
            tried: vec!["a,b".to_owned(), "c d".to_owned()],
            sessions: true,
            route: Some("picks".to_owned()),
            member: None,
            no_failover: true,
        };
        let pick = |result: String| LogRecord::Pick {
            request: 7,
            asked: asked.clone(),
            result,
        };
        let plain = LogRecord::Pick {
            request: 8,
            asked: RecordedAsk {
                sessions: true,
                ..RecordedAsk::default()
            },
            result: result_text(Ok(("fails", Session::New))),
        };
        let records = [
            LogRecord::Eject("a b".to_owned(), 5),
            LogRecord::End(3, Outcome::Cancelled),
            LogRecord::Error(3),
            LogRecord::Flag("a".to_owned(), Flag::FailedCheck, true),
            LogRecord::Flag("a".to_owned(), Flag::Draining, false),
            LogRecord::Head(3, Some(503)),
            LogRecord::Head(3, None),
            LogRecord::Insert("a".to_owned(), spec.clone()),
            LogRecord::Mark("ready=3 busy=1".to_owned()),
            LogRecord::Override("a".to_owned(), Overrides::new().with_tier(7)),
            LogRecord::Override("a".to_owned(), Overrides::new()),
            pick(result_text(Ok(("a b", Session::Redirected)))),
            pick(result_text(Err(&PickError::Empty))),
            plain,
            LogRecord::Received(3, 99),
            LogRecord::Recover("a".to_owned()),
            LogRecord::Remove(String::new()),
            LogRecord::Replace(Vec::new()),
            LogRecord::Replace(vec![
                ("a".to_owned(), MemberSpec::new()),
                ("b c".to_owned(), spec.clone()),
                ("d".to_owned(), MemberSpec::new()),
            ]),
            LogRecord::Reset,
            LogRecord::Sent(3, 99),
            LogRecord::Timed,
            LogRecord::Update("a".to_owned(), spec),
        ];
        for record in records {
            let text = record.to_string();
            assert_eq!(LogRecord::read(&text), Ok(record), "{text}");
        }
    }

    #[test]
    fn wrong_records_are_refused() {
        let wrong = [
            "",
            "sing",
            "end",
            "end 1",
            "end x success",
            "end 1 well",
            "end 1 success now",
            "flag a fast on",
            "flag a draining maybe",
            "pick 1",
            "pick 1 colour=red picks a",
            "pick 1 key=xyz picks a",
            "insert a weight=0",
            "replace a &",
            "head 1 many",
        ];
        for text in wrong {
            assert!(LogRecord::read(text).is_err(), "{text}");
        }
    }
}
