//! Why a member's health keeps it out of service, since when and until when: [`Health`].
//!
//! This is the record that explains the flags of health; the flags themselves are in the
//! word of `recovery.rs`. What does not live here: when an outage ends
//! (`balancer/agenda.rs`).

use std::fmt;
use std::time::Duration;

use super::{Cause, Flag, Status};
use crate::clock::Timestamp;

/// One reason why a member is out of service.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Outage {
    /// When it began. A further error prolongs the outage and does not begin another.
    pub since: Timestamp,
    /// When it ends by itself; `None` if it does not, or if that has not been computed yet.
    /// The next pick after an error computes it.
    pub until: Option<Timestamp>,
    /// The cause, if one was given.
    pub cause: Option<Cause>,
}

/// The health of a member: an [`Outage`] for each of *in error*, *failed check* and
/// *ejected* that holds.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{ManualClock, Timestamp};
/// use equipoise::{Balancer, Flag, MemberSpec};
/// use std::time::Duration;
///
/// let balancer = Balancer::builder()
///     .clock(ManualClock::new())
///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let minute = Duration::from_secs(60);
/// balancer.eject("a", minute, "too slow")?;
///
/// let health = balancer.member("a").unwrap().health();
/// let ejection = health.outage(Flag::Ejected).unwrap();
/// assert_eq!(ejection.until, Some(Timestamp::ORIGIN + minute));
/// assert_eq!(health.to_string(), "ejected since 0s until 60s, too slow");
/// assert_eq!(health.outage(Flag::InError), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Health {
    // Boxed, because most members have none.
    ejected: Option<Box<Outage>>,
    failed_check: Option<Box<Outage>>,
    in_error: Option<Box<Outage>>,
    errors: u32,
}

impl Health {
    /// Returns the outage of `flag`; `None` if the flag is not set or is not a flag of
    /// health.
    #[must_use]
    pub const fn outage(&self, flag: Flag) -> Option<&Outage> {
        let outage = match flag {
            Flag::Ejected => &self.ejected,
            Flag::FailedCheck => &self.failed_check,
            Flag::InError => &self.in_error,
            _ => return None,
        };
        match outage {
            Some(outage) => Some(outage),
            None => None,
        }
    }

    /// Returns the number of consecutive errors, the present one included, as
    /// [`Backoff`](crate::member::Backoff) counts them.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// assert_eq!(balancer.member("a").unwrap().health().errors_in_a_row(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn errors_in_a_row(&self) -> u32 {
        self.errors
    }

    /// Returns whether no outage holds.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(equipoise::member::Health::default().is_good());
    /// ```
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.ejected.is_none() && self.failed_check.is_none() && self.in_error.is_none()
    }

    /// Sets the end of the present error, in a copy for display.
    pub(crate) fn with_error_until(mut self, until: Option<Timestamp>) -> Self {
        if let Some(error) = &mut self.in_error {
            error.until = until;
        }
        self
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut outages = Flag::ALL
            .into_iter()
            .filter_map(|flag| Some((flag, self.outage(flag)?)))
            .peekable();
        if outages.peek().is_none() {
            return f.write_str("ok");
        }
        let mut between = "";
        for (flag, outage) in outages {
            let seconds = |time: Timestamp| time.since(Timestamp::ORIGIN).as_secs_f64();
            write!(f, "{between}{flag} since {}s", seconds(outage.since))?;
            if let Some(until) = outage.until {
                write!(f, " until {}s", seconds(until))?;
            }
            if let Some(cause) = &outage.cause {
                write!(f, ", {cause}")?;
            }
            between = "; ";
        }
        Ok(())
    }
}

/// A member's health record, under a lock that is taken only to read it and when a flag of
/// health changes.
#[derive(Debug, Default)]
pub(super) struct HealthRecord {
    pub(super) health: Health,
    /// How long the last error was to last, once computed.
    pub(super) error_delay: Option<Duration>,
}

impl HealthRecord {
    /// Updates the record after a change of the flags.
    pub(super) fn follow(
        &mut self,
        (before, after): (Status, Status),
        now: Timestamp,
        cause: Option<&Cause>,
    ) {
        let health = &mut self.health;
        let outages = [
            (Flag::Ejected, &mut health.ejected),
            (Flag::FailedCheck, &mut health.failed_check),
            (Flag::InError, &mut health.in_error),
        ];
        for (flag, outage) in outages {
            match (before.contains(flag), after.contains(flag)) {
                (false, true) => {
                    *outage = Some(Box::new(Outage {
                        since: now,
                        until: None,
                        cause: cause.cloned(),
                    }));
                }
                (true, false) => *outage = None,
                _ => {}
            }
        }
    }

    /// Counts an error that has just begun; before it, the member had been healthy since
    /// `healthy_since`.
    ///
    /// The count restarts if the member was healthy for at least as long as its last error
    /// was to last.
    pub(super) fn count_error(&mut self, healthy_since: Timestamp, now: Timestamp) {
        let healthy = now.since(healthy_since);
        let goes_on = self.error_delay.is_none_or(|delay| healthy < delay);
        self.health.errors = match self.health.errors {
            0 => 1,
            errors if goes_on => errors.saturating_add(1),
            _ => 1,
        };
        self.error_delay = None;
    }

    /// Resets the number of consecutive errors, because an operator ended the error.
    pub(super) fn forget_errors(&mut self) {
        self.health.errors = 0;
        self.error_delay = None;
    }

    /// Sets the end of the present ejection; does nothing if there is none.
    pub(super) fn set_ejected_until(&mut self, until: Timestamp) {
        if let Some(ejected) = &mut self.health.ejected {
            ejected.until = Some(until);
        }
    }

    /// Makes the present ejection last until it is cleared.
    pub(super) fn eject_without_end(&mut self) {
        if let Some(ejected) = &mut self.health.ejected {
            ejected.until = None;
        }
    }

    /// Extends the present ejection to `until`, if that is later, and then also takes over
    /// `cause`. Returns whether it was extended.
    pub(super) fn extend_ejection(&mut self, until: Timestamp, cause: &Cause) -> bool {
        let Some(ejected) = &mut self.health.ejected else {
            return false;
        };
        let is_later = ejected.until.is_some_and(|known| known < until);
        if is_later {
            ejected.until = Some(until);
            ejected.cause = Some(cause.clone());
        }
        is_later
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, HealthRecord};
    use crate::clock::Timestamp;
    use crate::member::{Cause, Flag, Status};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Timestamp {
        Timestamp::ORIGIN + SECOND * seconds
    }

    #[test]
    fn each_outage_is_a_part_of_the_text() {
        assert_eq!(Health::default().to_string(), "ok");
        let mut record = HealthRecord::default();
        let ejected = Status::NORMAL.with(Flag::Ejected);
        let both = ejected.with(Flag::InError);
        record.follow((Status::NORMAL, ejected), at(1), None);
        record.follow((ejected, both), at(2), Some(&Cause::Refused));
        let health = record.health.clone();
        let text = "ejected since 1s; in error since 2s until 2.5s, connection refused";
        let until = at(2) + SECOND / 2;
        assert_eq!(health.with_error_until(Some(until)).to_string(), text);
        record.follow((both, Status::NORMAL), at(3), None);
        assert!(record.health.is_good());
    }

    #[test]
    fn errors_are_in_a_row_until_the_last_delay_has_passed_in_health() {
        let mut record = HealthRecord::default();
        record.count_error(at(0), at(0));
        record.error_delay = Some(SECOND * 10);
        record.count_error(at(10), at(19));
        assert_eq!(record.health.errors_in_a_row(), 2);
        record.error_delay = Some(SECOND * 20);
        record.count_error(at(39), at(58));
        assert_eq!(record.health.errors_in_a_row(), 3);
        record.error_delay = Some(SECOND * 40);
        record.count_error(at(100), at(140));
        assert_eq!(record.health.errors_in_a_row(), 1);
        record.forget_errors();
        record.count_error(at(141), at(142));
        assert_eq!(record.health.errors_in_a_row(), 1);
    }

    #[test]
    fn of_two_ejections_the_later_end_holds() {
        let mut record = HealthRecord::default();
        let cause = Cause::TimedOut;
        assert!(!record.extend_ejection(at(1), &cause), "there is none");
        let ejected = Status::NORMAL.with(Flag::Ejected);
        record.follow((Status::NORMAL, ejected), at(0), Some(&Cause::Refused));
        assert!(!record.extend_ejection(at(9), &cause), "it has no end");
        record.set_ejected_until(at(5));
        assert!(!record.extend_ejection(at(5), &cause));
        assert!(record.extend_ejection(at(6), &cause));
        let outage = record.health.outage(Flag::Ejected).cloned();
        let outage = outage.map(|it| (it.since, it.until, it.cause));
        assert_eq!(outage, Some((at(0), Some(at(6)), Some(cause))));
    }
}
