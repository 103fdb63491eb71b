//! One member of the model: what is known of it, and when it recovers.

use std::time::Duration;

use equipoise::testkit::models::ModelMember;
use equipoise::{Flag, MemberSpec, Status};

/// One identity: the index of a [`Member`], never used again.
pub(crate) type Key = usize;

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// What its source says, with flags.
    pub(crate) source: MemberSpec,
    /// What holds, by its source and by what is overridden.
    pub(crate) spec: MemberSpec,
    pub(crate) payload: u32,
    /// The place in configuration order; `None` once removed.
    pub(crate) order: Option<u64>,
    pub(crate) status: Status,
    pub(crate) error_since: Duration,
    pub(crate) retries: u32,
    pub(crate) in_flight: u32,
    pub(crate) elected: u64,
    /// Both directions together.
    pub(crate) bytes: u64,
    /// It has got another spec or payload since the model last looked who is eligible.
    pub(crate) touched: bool,
}

/// What an election reads of the members.
pub(crate) fn facts(members: &[Member]) -> impl Fn(Key) -> ModelMember {
    |key| members[key].contender()
}

impl Member {
    pub(crate) fn contender(&self) -> ModelMember {
        let mut contender = ModelMember::new(self.weight().into());
        contender.in_flight = self.in_flight.into();
        contender.is_full = !self.has_room();
        contender.received = self.bytes;
        contender
    }

    pub(crate) fn weight(&self) -> u32 {
        self.spec.weight().hundredths()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.spec
            .max_in_flight()
            .is_none_or(|cap| self.in_flight < cap)
    }

    pub(crate) fn is(&self, flag: Flag) -> bool {
        self.status.contains(flag)
    }

    pub(crate) fn set_status(&mut self, status: Status, now: Duration) {
        if status.contains(Flag::InError) && !self.is(Flag::InError) {
            self.error_since = now;
        }
        self.status = status;
    }

    pub(crate) fn leave_error(&mut self) {
        self.status = self.status.without(Flag::InError);
        self.retries += 1;
    }

    /// When the retry rule lets it out of its error; `None` if it does not.
    pub(crate) fn due(&self) -> Option<Duration> {
        let never = !self.is(Flag::InError) || self.is(Flag::Stopped);
        (!never).then(|| {
            if self.is(Flag::IgnoreErrors) {
                Duration::ZERO
            } else {
                self.error_since + self.spec.recovery_delay()
            }
        })
    }
}
