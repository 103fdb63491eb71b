//! Recording picks: [`Recorder`].

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::line::{LogRecord, RecordedAsk, TITLE, VERSION, result_text};
use super::recorded_lease::RecordedLease;
use super::recorded_log::{LogSink, RecordedLog};
use super::spec_text::{encoded, ramp_text};
use crate::balancer::{Balancer, BuildError, EditError, PickError, PickRequest, UnknownMember};
use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
use crate::member::{Flag, MemberId, MemberSpec, Overrides, Ramp};
use crate::scheduler::Scheduler;

/// A balancer whose picks are written down, to be made again by a
/// [`Replay`](super::Replay).
///
/// Use it in place of the [`Balancer`]: its methods do the same and write a line each. The
/// recorder makes the balancer itself, because no event tells the seed and no observer sees
/// a request's hash key and tried members. It reads the clock once for each operation, and
/// the balancer sees that time only; so a replay has exactly the same times.
///
/// Operations are made one at a time, in the order of the log, whichever thread calls them.
/// An operation that runs within another one on the same thread, such as the end of a lease
/// that a replaced payload holds, is recorded before that one. The log is kept in memory and
/// grows with each operation. For a long recording, write it to a file instead:
/// [`sink`](RecorderBuilder::sink). For the format see [the module](super).
///
/// What is not recorded:
///
/// * facts of a request ([`PickRequest::with_facts`]) and its time
///   ([`PickRequest::with_now`]), which is replaced by that of the record;
/// * waiting for a member, and reserved room;
/// * the causes of errors and of failed requests;
/// * observers, meters, guards and limits of the balancer, and what they change: this balancer
///   has none;
/// * changes made with [`balancer`](Self::balancer), and by sources of members;
/// * a member's handle ([`Balancer::member`]) that is held while the member is removed and
///   inserted again: the member then keeps its state, and in the replay it does not.
///
/// Whatever else a scheduler reads, such as reports of idle capacity, is recorded by
/// [`mark`](Self::mark).
///
/// # Examples
///
/// ```
/// use equipoise::testkit::{Recorder, Replay};
/// use equipoise::{ByBusyness, MemberSpec, Outcome, PickRequest};
///
/// let recorder = Recorder::new(7, ByBusyness::new())?;
/// recorder.insert("a", "10.0.0.1:80", MemberSpec::new())?;
/// recorder.insert("b", "10.0.0.2:80", MemberSpec::new())?;
/// let first = recorder.pick(&PickRequest::new())?;
/// let second = recorder.pick(&PickRequest::new())?;
/// assert_eq!((*first, *second), ("10.0.0.1:80", "10.0.0.2:80"));
/// first.finish(Outcome::Success);
///
/// let log = recorder.log();
/// assert!(log.starts_with("equipoise-picks 1\nseed 7\nscheduler bybusyness\n"));
/// Replay::parse(&log)?.run(ByBusyness::new())?;
/// # drop(second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recorder<W> {
    balancer: Balancer<W>,
    pub(super) log: Arc<RecordedLog>,
}

/// The settings of a [`Recorder`].
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::clock::ManualClock;
/// use equipoise::testkit::Recorder;
///
/// let clock = ManualClock::new();
/// let builder = Recorder::<()>::builder(7).clock(clock.clone()).forced_recovery(false);
/// let recorder = builder.build(ByRequests::new())?;
/// assert!(recorder.log().contains("forced_recovery off"));
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[must_use = "a builder makes nothing until `build`"]
pub struct RecorderBuilder<W> {
    seed: u64,
    clock: Option<Arc<dyn Clock>>,
    forced_recovery: bool,
    ramp: Option<Ramp>,
    sink: Option<LogSink>,
    payload: std::marker::PhantomData<fn() -> W>,
}

impl<W> RecorderBuilder<W> {
    /// Sets the clock; by default it is the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Turns forced recovery on or off; see
    /// [`Builder::forced_recovery`](crate::balancer::Builder::forced_recovery).
    pub fn forced_recovery(mut self, on: bool) -> Self {
        self.forced_recovery = on;
        self
    }

    /// Sets the ramp of members that join or recover; see
    /// [`Builder::ramp`](crate::balancer::Builder::ramp).
    pub fn ramp(mut self, ramp: Ramp) -> Self {
        self.ramp = Some(ramp);
        self
    }

    /// Writes the log to a file or another writer, so that a recording takes the same memory
    /// however long it lasts.
    ///
    /// Each line is one write, and operations wait for it, so use a
    /// [`BufWriter`](std::io::BufWriter). The writer must not use the recorder. After an error,
    /// nothing more is written, and picks go on; [`Recorder::flush`] returns the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::{self, File};
    /// use std::io::BufWriter;
    ///
    /// use equipoise::testkit::{Recorder, Replay};
    /// use equipoise::{ByRequests, MemberSpec, PickRequest};
    ///
    /// # let path = std::env::temp_dir().join(format!("equipoise-{}.log", std::process::id()));
    /// let file = BufWriter::new(File::create_new(&path)?);
    /// let recorder = Recorder::builder(7).sink(file).build(ByRequests::new())?;
    /// recorder.insert("a", (), MemberSpec::new())?;
    /// drop(recorder.pick(&PickRequest::new())?);
    /// recorder.flush()?;
    /// Replay::parse(&fs::read_to_string(&path)?)?.run(ByRequests::new())?;
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sink(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.sink = Some(Box::new(writer));
        self
    }

    /// Builds the recorder, with a balancer without members.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`](crate::balancer::Builder::build).
    pub fn build(self, scheduler: impl Scheduler) -> Result<Recorder<W>, BuildError> {
        let time = ManualClock::new();
        let mut text = format!(
            "{TITLE} {VERSION}\nseed {}\nscheduler {}\n",
            self.seed,
            encoded(scheduler.name())
        );
        let mut builder = Balancer::builder()
            .scheduler(scheduler)
            .seed(self.seed)
            .clock(time.clone())
            .forced_recovery(self.forced_recovery);
        if !self.forced_recovery {
            text.push_str("forced_recovery off\n");
        }
        if let Some(ramp) = self.ramp {
            builder = builder.ramp(ramp);
            text.push_str("ramp ");
            text.push_str(&ramp_text(ramp, ' '));
            text.push('\n');
        }
        let source = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let log = RecordedLog::new(time, source, text, self.sink);
        Ok(Recorder {
            balancer: builder.build()?,
            log: Arc::new(log),
        })
    }
}

impl<W> Recorder<W> {
    /// Creates a recorder with the machine's clock, and a balancer without members.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`](crate::balancer::Builder::build).
    pub fn new(seed: u64, scheduler: impl Scheduler) -> Result<Self, BuildError> {
        Self::builder(seed).build(scheduler)
    }

    /// Returns a builder; `seed` is that of the balancer's random source.
    pub fn builder(seed: u64) -> RecorderBuilder<W> {
        RecorderBuilder {
            seed,
            clock: None,
            forced_recovery: true,
            ramp: None,
            sink: None,
            payload: std::marker::PhantomData,
        }
    }

    /// Returns the balancer. Use it to read: what it does by itself is not recorded.
    #[must_use]
    pub fn balancer(&self) -> &Balancer<W> {
        &self.balancer
    }

    /// Returns the log up to now; with a [`sink`](RecorderBuilder::sink) it is empty.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Flushes the [`sink`](RecorderBuilder::sink). Call it at the end, after the last lease has
    /// ended: what the sink does when it is dropped is not checked.
    ///
    /// # Errors
    ///
    /// The first error that the sink has had, also in an earlier call. The log lacks everything
    /// from then on.
    pub fn flush(&self) -> io::Result<()> {
        self.log.flush()
    }

    fn know(&self, name: &str, id: MemberId) {
        let is_present = |name: &str| self.balancer.member(name).is_some();
        self.log.know(name.into(), id, is_present);
    }

    /// Picks a member, as [`Balancer::pick`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::pick`].
    pub fn pick(&self, request: &PickRequest<'_>) -> Result<RecordedLease<W>, PickError> {
        self.log.record_if(|| {
            let number = self.log.next_request();
            let tried = request.tried().iter();
            let tried = tried.map(|id| self.log.name_of(*id)).collect();
            let asked = RecordedAsk::of(request, tried);
            let picked = self.balancer.pick(&request.with_now(self.log.now()));
            let result = match &picked {
                Ok(lease) => result_text(Ok((lease.member().name(), lease.session()))),
                Err(error) => result_text(Err(error)),
            };
            let record = LogRecord::Pick {
                request: number,
                asked,
                result,
            };
            let log = self.log.clone();
            let lease = picked.map(|lease| RecordedLease::new(lease, number, log));
            (lease, Some(record))
        })
    }

    /// Inserts a member, as [`Balancer::insert`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::insert`].
    pub fn insert(&self, name: &str, payload: W, spec: MemberSpec) -> Result<MemberId, EditError> {
        self.log.record_if(|| {
            let inserted = self.balancer.insert(name, payload, spec.clone());
            if let Ok(id) = &inserted {
                self.know(name, *id);
            }
            let record = LogRecord::Insert(name.to_owned(), spec);
            let is_done = inserted.is_ok();
            (inserted, is_done.then_some(record))
        })
    }

    /// Changes the spec of a member, as [`Balancer::update`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::update`].
    pub fn update(
        &self,
        name: &str,
        change: impl Fn(MemberSpec) -> MemberSpec + Send + Sync,
    ) -> Result<MemberId, EditError> {
        self.log.record_if(|| {
            let updated = self.balancer.update(name, change);
            let spec = self.balancer.source_spec(name);
            let spec = spec.filter(|_| updated.is_ok());
            let record = spec.map(|spec| LogRecord::Update(name.to_owned(), spec));
            (updated, record)
        })
    }

    /// Removes a member, as [`Balancer::remove`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::remove`].
    pub fn remove(&self, name: &str) -> Result<(), EditError> {
        self.log.record_if(|| {
            let removed = self.balancer.remove(name).map(drop);
            let is_done = removed.is_ok();
            let record = is_done.then(|| LogRecord::Remove(name.to_owned()));
            (removed, record)
        })
    }

    /// Replaces all members as one change, as [`Balancer::replace_all`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::replace_all`].
    pub fn replace_all<'n>(
        &self,
        members: impl IntoIterator<Item = (&'n str, W, MemberSpec)>,
    ) -> Result<(), EditError> {
        let members: Vec<_> = members.into_iter().collect();
        self.log.record_if(|| {
            let named = members
                .iter()
                .map(|(name, _, spec)| ((*name).to_owned(), spec.clone()));
            let named: Vec<(String, MemberSpec)> = named.collect();
            let replaced = self.balancer.replace_all(members).map(drop);
            for (name, _) in &named {
                if let Some(member) = self.balancer.member(name) {
                    self.know(name, member.id());
                }
            }
            let is_done = replaced.is_ok();
            (replaced, is_done.then_some(LogRecord::Replace(named)))
        })
    }

    /// Sets a flag of a member, as [`Balancer::set_flag`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::set_flag`].
    pub fn set_flag(&self, name: &str, flag: Flag) -> Result<MemberId, UnknownMember> {
        let record = || LogRecord::Flag(name.to_owned(), flag, true);
        self.of_member(record, || self.balancer.set_flag(name, flag))
    }

    /// Clears a flag of a member, as [`Balancer::clear_flag`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::clear_flag`].
    pub fn clear_flag(&self, name: &str, flag: Flag) -> Result<MemberId, UnknownMember> {
        let record = || LogRecord::Flag(name.to_owned(), flag, false);
        self.of_member(record, || self.balancer.clear_flag(name, flag))
    }

    /// Changes the settings that an operator gives a member, as
    /// [`Balancer::override_member`] does. Without any, as [`Overrides::new`] has them, the
    /// overrides are cleared.
    pub fn override_member(&self, name: &str, change: impl Fn(Overrides) -> Overrides + Send) {
        self.log.record(|| {
            self.balancer.override_member(name, change);
            let mut all = self.balancer.overrides();
            let overrides = all.remove(name).unwrap_or_default();
            ((), LogRecord::Override(name.to_owned(), overrides))
        });
    }

    /// Ejects a member for a time, as [`Balancer::eject`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::eject`].
    pub fn eject(&self, name: &str, time: Duration) -> Result<MemberId, UnknownMember> {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let record = || LogRecord::Eject(name.to_owned(), nanos);
        let time = Duration::from_nanos(nanos);
        self.of_member(record, || self.balancer.eject(name, time, "recorded"))
    }

    /// Ends the errors and ejections of a member, as [`Balancer::recover`] does.
    ///
    /// # Errors
    ///
    /// As [`Balancer::recover`].
    pub fn recover(&self, name: &str) -> Result<MemberId, UnknownMember> {
        let record = || LogRecord::Recover(name.to_owned());
        self.of_member(record, || self.balancer.recover(name))
    }

    fn of_member(
        &self,
        record: impl FnOnce() -> LogRecord,
        work: impl FnOnce() -> Result<MemberId, UnknownMember>,
    ) -> Result<MemberId, UnknownMember> {
        self.log.record_if(|| {
            let done = work();
            let is_done = done.is_ok();
            (done, is_done.then(record))
        })
    }

    /// Resets the standings, as [`Balancer::reset_standings`] does.
    pub fn reset_standings(&self) {
        self.log
            .record(|| (self.balancer.reset_standings(), LogRecord::Reset));
    }

    /// Applies timed changes that are due, as [`Balancer::apply_timed_changes`] does.
    pub fn apply_timed_changes(&self) {
        self.log
            .record(|| (self.balancer.apply_timed_changes(), LogRecord::Timed));
    }

    /// Does something outside the balancer that its picks depend on, and writes down a text
    /// that tells what. [`Replay::run_with`](super::Replay::run_with) passes the text to a
    /// function that does the same. Operations that `work` makes are recorded after the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use equipoise::scheduler::{Heartbeat, HeartbeatReading, HeartbeatReadings};
    /// use equipoise::testkit::{Recorder, Replay};
    /// use equipoise::{MemberSpec, PickRequest};
    ///
    /// /// A report, such as `a 12`: member a could take 12 more requests.
    /// fn report(readings: &HeartbeatReadings, text: &str, now: Timestamp) {
    ///     let (name, ready) = text.split_once(' ').unwrap();
    ///     let reading = HeartbeatReading { ready: ready.parse().unwrap(), busy: 0 };
    ///     readings.report(name, reading, now).unwrap();
    /// }
    ///
    /// let readings = HeartbeatReadings::new();
    /// let recorder = Recorder::new(7, Heartbeat::new(&readings))?;
    /// recorder.insert("a", (), MemberSpec::new())?;
    /// recorder.insert("b", (), MemberSpec::new())?;
    /// for text in ["a 12", "b 3"] {
    ///     recorder.mark(text, |now| report(&readings, text, now));
    /// }
    /// recorder.pick(&PickRequest::new())?;
    ///
    /// let readings = HeartbeatReadings::new();
    /// let again = Heartbeat::new(&readings);
    /// let replay = Replay::parse(&recorder.log())?;
    /// replay.run_with(again, |text, now| report(&readings, text, now))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark<R>(&self, text: &str, work: impl FnOnce(Timestamp) -> R) -> R {
        let record = LogRecord::Mark(text.to_owned());
        self.log.record_first(&record, || work(self.log.now()))
    }
}

impl<W> fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl<W> fmt::Debug for RecorderBuilder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderBuilder")
            .field("seed", &self.seed)
            .field("clock", &self.clock)
            .field("forced_recovery", &self.forced_recovery)
            .field("ramp", &self.ramp)
            .finish_non_exhaustive()
    }
}
