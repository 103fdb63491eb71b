//! Making recorded picks again: [`Replay`].

use std::collections::HashMap;
use std::time::Duration;

use thiserror::Error;

use super::line::{LogRecord, RecordedAsk, TITLE, VERSION, result_text};
use super::spec_text::{decoded, number, ramp_of};
use crate::balancer::{Balancer, Lease, PickRequest};
use crate::clock::{ManualClock, Timestamp};
use crate::member::{MemberId, Ramp};
use crate::scheduler::Scheduler;

/// A log of a [`Recorder`](super::Recorder), whose picks can be made again.
///
/// # Examples
///
/// A pick that has changed is reported with the number of its line:
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::Replay;
///
/// let log = "\
/// equipoise-picks 1
/// seed 7
/// scheduler byrequests
/// @0 insert a
/// @0 insert b
/// @5 pick 1 picks b
/// ";
/// let replay = Replay::parse(log)?;
/// let error = replay.run(ByRequests::new()).unwrap_err();
/// assert_eq!(error.to_string(), "line 6: the log has `picks b`, the replay `picks a`");
/// # Ok::<(), equipoise::testkit::ReplayError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    seed: u64,
    scheduler: String,
    /// The number of the line that names the scheduler.
    scheduler_line: usize,
    forced_recovery: bool,
    ramp: Option<Ramp>,
    /// With the number of the line and the time.
    records: Vec<(usize, Timestamp, LogRecord)>,
}

/// A log that is being read.
#[derive(Default)]
struct LogDraft {
    seed: Option<u64>,
    /// With the number of its line.
    scheduler: Option<(usize, String)>,
    forced_recovery: Option<bool>,
    ramp: Option<Ramp>,
    records: Vec<(usize, Timestamp, LogRecord)>,
}

impl LogDraft {
    fn read(&mut self, line: usize, text: &str) -> Result<(), String> {
        if let Some(text) = text.strip_prefix('@') {
            let (time, record) = text.split_once(' ').ok_or("a record is missing")?;
            let time = Timestamp::from_nanos(number(time)?);
            if self.records.last().is_some_and(|(_, last, _)| *last > time) {
                return Err("the time goes back".to_owned());
            }
            self.records.push((line, time, LogRecord::read(record)?));
            return Ok(());
        }
        let is_new = match text.split_once(' ') {
            Some(("seed", seed)) => self.seed.replace(number(seed)?).is_none(),
            Some(("scheduler", name)) => {
                let name = decoded(name)?;
                self.scheduler.replace((line, name)).is_none()
            }
            Some(("forced_recovery", "off")) => self.forced_recovery.replace(false).is_none(),
            Some(("ramp", ramp)) => {
                let ramp = ramp_of(ramp.split(' '))?;
                self.ramp.replace(ramp).is_none()
            }
            _ => return Err(format!("there is no setting `{text}`")),
        };
        if !is_new {
            return Err(format!("a second setting of this kind: `{text}`"));
        }
        if !self.records.is_empty() {
            return Err(format!("the setting `{text}` comes after a record"));
        }
        Ok(())
    }

    fn finish(self) -> Result<Replay, String> {
        let (scheduler_line, scheduler) = self.scheduler.ok_or("the log names no `scheduler`")?;
        Ok(Replay {
            seed: self.seed.ok_or("the log has no `seed`")?,
            scheduler,
            scheduler_line,
            forced_recovery: self.forced_recovery.unwrap_or(true),
            ramp: self.ramp,
            records: self.records,
        })
    }
}

/// Why a log cannot be replayed, or how its replay differs.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::Replay;
///
/// let error = Replay::parse("equipoise-picks 1\nseed red\n").unwrap_err();
/// assert_eq!(error.to_string(), "line 2: `red` is not a number");
/// assert_eq!(error.line(), 2);
/// ```
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ReplayError {
    /// A result is another one than in the log.
    #[error("line {line}: the log has `{recorded}`, the replay `{replayed}`")]
    Differs {
        /// The number of the line, from 1.
        line: usize,
        /// The result in the log.
        recorded: String,
        /// The result of the replay.
        replayed: String,
    },
    /// A line cannot be read, or does not fit those before it.
    #[error("line {line}: {why}")]
    Syntax {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

impl ReplayError {
    /// Returns the number of the line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        let (Self::Differs { line, .. } | Self::Syntax { line, .. }) = self;
        *line
    }
}

impl Replay {
    /// Reads a log.
    ///
    /// # Errors
    ///
    /// The first line that cannot be read, also because the log is cut there; or a setting that
    /// is missing.
    pub fn parse(log: &str) -> Result<Self, ReplayError> {
        let log = log.strip_prefix('\u{feff}').unwrap_or(log);
        let lines = (1..).zip(log.split_inclusive('\n'));
        let mut lines = lines.filter_map(|(line, text)| {
            let (text, is_whole) = text
                .strip_suffix('\n')
                .map_or((text, false), |it| (it, true));
            let text = text.strip_suffix('\r').unwrap_or(text);
            let has_words = !text.is_empty() && !text.starts_with('#');
            has_words.then_some((line, text, is_whole))
        });
        let (title_line, title, _) = lines.next().unwrap_or((1, "", true));
        let wrong = |line, why| ReplayError::Syntax { line, why };
        if title != format!("{TITLE} {VERSION}") {
            let why = format!("the log does not begin with `{TITLE} {VERSION}`");
            return Err(wrong(title_line, why));
        }
        let mut draft = LogDraft::default();
        for (line, text, is_whole) in lines {
            if !is_whole {
                return Err(wrong(line, "the log is cut within this line".to_owned()));
            }
            draft.read(line, text).map_err(|why| wrong(line, why))?;
        }
        draft.finish().map_err(|why| wrong(title_line, why))
    }

    /// Returns the name of the scheduler that was recorded.
    #[must_use]
    pub fn scheduler(&self) -> &str {
        &self.scheduler
    }

    /// Returns how many picks the log has.
    #[must_use]
    pub fn picks(&self) -> usize {
        let is_pick = |record: &LogRecord| matches!(record, LogRecord::Pick { .. });
        let records = self.records.iter();
        records.filter(|(_, _, record)| is_pick(record)).count()
    }

    /// Makes all recorded operations again with `scheduler`, which must be set up as the
    /// recorded one was.
    ///
    /// # Errors
    ///
    /// The first pick whose result differs; or a line that cannot be played, such as the end
    /// of a request that was not picked.
    pub fn run(&self, scheduler: impl Scheduler) -> Result<(), ReplayError> {
        self.run_with(scheduler, |_, _| {})
    }

    /// As [`run`](Self::run); `on_mark` is called with the text and the time of each
    /// [`mark`](super::Recorder::mark).
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_with(
        &self,
        scheduler: impl Scheduler,
        mut on_mark: impl FnMut(&str, Timestamp),
    ) -> Result<(), ReplayError> {
        if scheduler.name() != self.scheduler {
            return Err(ReplayError::Differs {
                line: self.scheduler_line,
                recorded: self.scheduler.clone(),
                replayed: scheduler.name().to_owned(),
            });
        }
        let clock = ManualClock::new();
        let mut builder = Balancer::builder()
            .scheduler(scheduler)
            .seed(self.seed)
            .clock(clock.clone())
            .forced_recovery(self.forced_recovery);
        if let Some(ramp) = self.ramp {
            builder = builder.ramp(ramp);
        }
        let balancer = builder.build().map_err(|error| ReplayError::Syntax {
            line: 1,
            why: error.to_string(),
        })?;
        let mut player = LogPlayer {
            balancer,
            leases: HashMap::new(),
            ids: HashMap::new(),
        };
        for (line, time, record) in &self.records {
            clock.set(*time);
            if let LogRecord::Mark(text) = record {
                on_mark(text, *time);
            }
            let line = *line;
            let differs = player.play(record);
            let differs = differs.map_err(|why| ReplayError::Syntax { line, why })?;
            if let Some((recorded, replayed)) = differs {
                return Err(ReplayError::Differs {
                    line,
                    recorded,
                    replayed,
                });
            }
        }
        Ok(())
    }
}

/// A replay in progress.
struct LogPlayer {
    balancer: Balancer<()>,
    /// By the number of the request.
    leases: HashMap<u64, Lease<()>>,
    /// The last member of each name, also of removed ones.
    ids: HashMap<String, MemberId>,
}

impl LogPlayer {
    /// Does what a record tells. Returns the recorded and the present result if they differ.
    fn play(&mut self, record: &LogRecord) -> Result<Option<(String, String)>, String> {
        let balancer = &self.balancer;
        match record {
            LogRecord::Eject(name, nanos) => {
                let time = Duration::from_nanos(*nanos);
                done(balancer.eject(name, time, "recorded"))?;
            }
            LogRecord::End(request, outcome) => {
                let lease = self.leases.remove(request);
                lease.ok_or_else(|| unknown(*request))?.finish(*outcome);
            }
            LogRecord::Error(request) => self.lease(*request)?.put_in_error(),
            LogRecord::Flag(name, flag, true) => done(balancer.set_flag(name, *flag))?,
            LogRecord::Flag(name, flag, false) => done(balancer.clear_flag(name, *flag))?,
            LogRecord::Head(request, status) => self.lease(*request)?.record_head(*status),
            LogRecord::Insert(name, spec) => {
                let id = balancer.insert(name.as_str(), (), spec.clone());
                let id = id.map_err(|error| error.to_string())?;
                self.ids.insert(name.clone(), id);
            }
            LogRecord::Mark(_) => {}
            LogRecord::Override(name, overrides) => {
                balancer.override_member(name.as_str(), |_| overrides.clone());
            }
            LogRecord::Pick {
                request,
                asked,
                result,
            } => {
                if self.leases.contains_key(request) {
                    return Err(format!("request {request} is in flight already"));
                }
                let replayed = self.pick(*request, asked);
                if *result != replayed {
                    return Ok(Some((result.clone(), replayed)));
                }
            }
            LogRecord::Received(request, bytes) => self.lease(*request)?.record_received(*bytes),
            LogRecord::Recover(name) => done(balancer.recover(name))?,
            LogRecord::Remove(name) => done(balancer.remove(name))?,
            LogRecord::Replace(members) => {
                let all = members.iter();
                let all = all.map(|(name, spec)| (name.as_str(), (), spec.clone()));
                done(balancer.replace_all(all))?;
                for (name, _) in members {
                    let id = balancer.member(name).map(|member| member.id());
                    self.ids.extend(id.map(|id| (name.clone(), id)));
                }
            }
            LogRecord::Reset => balancer.reset_standings(),
            LogRecord::Sent(request, bytes) => self.lease(*request)?.record_sent(*bytes),
            LogRecord::Timed => balancer.apply_timed_changes(),
            LogRecord::Update(name, spec) => done(balancer.update(name, |_| spec.clone()))?,
        }
        Ok(None)
    }

    fn lease(&mut self, request: u64) -> Result<&mut Lease<()>, String> {
        let lease = self.leases.get_mut(&request);
        lease.ok_or_else(|| unknown(request))
    }

    fn pick(&mut self, number: u64, asked: &RecordedAsk) -> String {
        // A name that is not known is that of a member which is gone.
        let gone = MemberId::new(0);
        let id = |name: &String| self.ids.get(name).copied().unwrap_or(gone);
        let tried: Vec<MemberId> = asked.tried.iter().map(id).collect();
        let mut request = PickRequest::new().with_tried(&tried);
        if let Some(key) = asked.key {
            request = request.with_hash(key);
        }
        if asked.sessions {
            request = match &asked.member {
                Some(name) => request.with_session_member(Some(name.as_str())),
                None => request.with_session(asked.route.as_deref()),
            };
        }
        if asked.no_failover {
            request = request.with_no_failover();
        }
        match self.balancer.pick(&request) {
            Ok(lease) => {
                let text = result_text(Ok((lease.member().name(), lease.session())));
                self.leases.insert(number, lease);
                text
            }
            Err(error) => result_text(Err(&error)),
        }
    }
}

fn unknown(request: u64) -> String {
    format!("request {request} is not in flight")
}

fn done<T, E: ToString>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}
