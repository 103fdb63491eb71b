//! Counts results in a row and decides what changes: [`CheckTally`].
//!
//! Not here: the checks, and applying the changes (`driver`).

use crate::member::{Flag, Status};

/// The results in a row of one member's checks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct CheckTally {
    passes: u32,
    fails: u32,
}

/// How many results in a row are needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needed {
    pub(super) passes: u32,
    pub(super) fails: u32,
    /// Whether passes also end an ejection.
    pub(super) ends_ejections: bool,
}

/// What changes after a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CheckChange {
    /// The member is taken out of service.
    Fail,
    Nothing,
    /// The member passes, and remains out for a reason other than checks: an ejection.
    Pass,
    /// The member returns to service.
    Recover,
}

impl CheckTally {
    /// Records the result of a check of a member that has this status.
    ///
    /// A result of the other kind resets the count; Apache keeps counting. As in Apache,
    /// failures of a member that is in error because of its requests do not count: the
    /// error ends by itself.
    pub(super) fn note(&mut self, status: Status, passed: bool, needed: Needed) -> CheckChange {
        let is_ejected = status.contains(Flag::Ejected);
        let is_out = status.contains(Flag::FailedCheck)
            || status.contains(Flag::InError)
            || needed.ends_ejections && is_ejected;
        let row = match (is_out, passed) {
            (is_out, true) if is_out || is_ejected => {
                self.fails = 0;
                &mut self.passes
            }
            (false, false) => {
                self.passes = 0;
                &mut self.fails
            }
            (true, false) => {
                self.passes = 0;
                return CheckChange::Nothing;
            }
            (_, true) => {
                // Passes before an outage do not count towards its end.
                *self = Self::default();
                return CheckChange::Nothing;
            }
        };
        *row += 1;
        let (enough, change) = match (passed, is_out) {
            (false, _) => (needed.fails, CheckChange::Fail),
            (true, false) => (needed.passes, CheckChange::Pass),
            (true, true) => (needed.passes, CheckChange::Recover),
        };
        if *row < enough {
            return CheckChange::Nothing;
        }
        *row = 0;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckChange, CheckTally, Needed};
    use crate::member::{Flag, Status};
    use proptest::prelude::*;

    const OK: Status = Status::NORMAL;

    fn out(flag: Flag) -> Status {
        OK.with(flag)
    }

    fn needed(passes: u32, fails: u32) -> Needed {
        Needed {
            passes,
            fails,
            ends_ejections: false,
        }
    }

    /// Applies changes as the balancer does. `+` passes, `-` fails; the result has, for
    /// each check, `x` if the member is out afterwards.
    fn run_checks(needed: Needed, mut status: Status, checks: &str) -> String {
        let mut tally = CheckTally::default();
        let mut shown = String::new();
        for check in checks.chars() {
            match tally.note(status, check == '+', needed) {
                CheckChange::Fail => status = status.with(Flag::FailedCheck),
                CheckChange::Nothing | CheckChange::Pass => {}
                CheckChange::Recover => status = OK,
            }
            shown.push(if status == OK { '.' } else { 'x' });
        }
        shown
    }

    #[test]
    fn a_row_of_fails_takes_a_member_out_and_a_row_of_passes_returns_it() {
        let (failed, error) = (out(Flag::FailedCheck), out(Flag::InError));
        for (passes, fails, status, checks, shown) in [
            (1, 1, OK, "+-+--+", ".x.xx."),
            // Apache keeps counting: the member would be out after the second.
            (1, 2, OK, "-+-+--+", ".....x."),
            (1, 3, OK, "-+-+-", "....."),
            (2, 1, OK, "-+-++-", "xxxx.x"),
            (3, 1, failed, "++-+++", "xxxxx."),
            // An error is not a failed check, and failures do not add one.
            (1, 1, error, "---+-", "xxx.x"),
            (2, 1, error, "+-++", "xxx."),
            // Apache's hcpasses=0 and hcfails=0.
            (0, 0, OK, "-+", "x."),
        ] {
            let found = run_checks(needed(passes, fails), status, checks);
            assert_eq!(found, shown, "{passes} passes, {fails} fails: {checks}");
        }
    }

    #[test]
    fn passes_from_before_an_error_do_not_end_it() {
        let (mut tally, needed) = (CheckTally::default(), needed(3, 1));
        let error = out(Flag::InError);
        let mut note = |status| tally.note(status, true, needed);
        assert_eq!([note(error), note(error)], [CheckChange::Nothing; 2]);
        // Its time was over before the third check.
        assert_eq!(note(OK), CheckChange::Nothing);
        assert_eq!([note(error), note(error)], [CheckChange::Nothing; 2]);
        assert_eq!(note(error), CheckChange::Recover);
    }

    #[test]
    fn only_failed_checks_and_errors_are_ended_unless_ejections_are_too() {
        let ejected = out(Flag::Ejected);
        let note = |status, passed, needed| CheckTally::default().note(status, passed, needed);
        for flag in [
            Flag::Disabled,
            Flag::Draining,
            Flag::HotStandby,
            Flag::HotSpare,
        ] {
            assert_eq!(note(out(flag), true, needed(1, 1)), CheckChange::Nothing);
            assert_eq!(note(out(flag), false, needed(1, 1)), CheckChange::Fail);
        }
        assert_eq!(note(ejected, true, needed(1, 1)), CheckChange::Pass);
        assert_eq!(note(ejected, true, needed(2, 1)), CheckChange::Nothing);
        assert_eq!(note(ejected, false, needed(1, 1)), CheckChange::Fail);
        let ending = Needed {
            ends_ejections: true,
            ..needed(1, 1)
        };
        assert_eq!(note(ejected, true, ending), CheckChange::Recover);
        assert_eq!(note(ejected, false, ending), CheckChange::Nothing);
    }

    #[test]
    fn rows_of_passes_of_an_ejected_member_are_reported_and_fails_count() {
        let (ejected, mut tally) = (out(Flag::Ejected), CheckTally::default());
        let mut run_checks = |checks: &str| -> Vec<CheckChange> {
            let checks = checks.chars();
            checks
                .map(|check| tally.note(ejected, check == '+', needed(2, 2)))
                .collect()
        };
        use CheckChange::{Fail, Nothing, Pass};
        assert_eq!(run_checks("++++"), [Nothing, Pass, Nothing, Pass]);
        assert_eq!(run_checks("+-+-"), [Nothing, Nothing, Nothing, Nothing]);
        assert_eq!(run_checks("--"), [Fail, Nothing], "the fail before counts");
        assert_eq!(run_checks("+"), [Nothing]);
    }

    proptest! {
        /// A slow reference: it looks at all checks since the member's state changed.
        #[test]
        fn a_member_changes_exactly_when_the_last_checks_are_all_of_the_other_kind(
            checks in prop::collection::vec(any::<bool>(), 0..200),
            passes in 1_u32..5,
            fails in 1_u32..5,
        ) {
            let mut tally = CheckTally::default();
            let (mut status, mut since) = (OK, Vec::new());
            for passed in checks {
                let is_out = status != OK;
                since.push(passed);
                let enough = if is_out { passes } else { fails } as usize;
                let row = since.iter().rev().take_while(|&&it| it == is_out).count();
                let change = tally.note(status, passed, needed(passes, fails));
                if row < enough {
                    prop_assert_eq!(change, CheckChange::Nothing);
                    continue;
                }
                since.clear();
                let (wanted, after) = if is_out {
                    (CheckChange::Recover, OK)
                } else {
                    (CheckChange::Fail, out(Flag::FailedCheck))
                };
                prop_assert_eq!(change, wanted);
                status = after;
            }
        }
    }
}
