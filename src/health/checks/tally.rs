//! How many checks in a row passed or failed, and what follows: [`CheckTally`].
//!
//! What does not live here: the checks, and carrying out what follows (`driver`).

use crate::member::{Flag, Status};

/// What the checks of one member have come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct CheckTally {
    passes: u32,
    fails: u32,
}

/// How many in a row it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needed {
    pub(super) passes: u32,
    pub(super) fails: u32,
    /// Whether passes also end an ejection.
    pub(super) ends_ejections: bool,
}

/// What follows from a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CheckChange {
    /// The member is out of service from now on.
    Fail,
    Nothing,
    /// The member passes, and is out for what checks have not found: an ejection.
    Pass,
    /// The member is well again.
    Recover,
}

impl CheckTally {
    /// Notes a check of a member that has this status.
    ///
    /// Where Apache counts on, a check of the other kind ends the row. As with Apache, fails
    /// of a member that is out for an error of its requests do not count: the error has an end
    /// of its own.
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
                // Passes before an outage do not count to its end.
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

    /// Carries changes out as the balancer does. `+` passes, `-` fails; the answer has, for
    /// each, `x` if the member is out afterwards.
    fn course(needed: Needed, mut status: Status, checks: &str) -> String {
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
    fn a_row_takes_a_member_out_and_another_brings_it_back() {
        let (failed, error) = (out(Flag::FailedCheck), out(Flag::InError));
        for (passes, fails, status, checks, shown) in [
            (1, 1, OK, "+-+--+", ".x.xx."),
            // Apache counts on: it would be out after the second.
            (1, 2, OK, "-+-+--+", ".....x."),
            (1, 3, OK, "-+-+-", "....."),
            (2, 1, OK, "-+-++-", "xxxx.x"),
            (3, 1, failed, "++-+++", "xxxxx."),
            // An error is no failed check, and fails do not add one.
            (1, 1, error, "---+-", "xxx.x"),
            (2, 1, error, "+-++", "xxx."),
            // Apache's hcpasses=0 and hcfails=0.
            (0, 0, OK, "-+", "x."),
        ] {
            let found = course(needed(passes, fails), status, checks);
            assert_eq!(found, shown, "{passes} passes, {fails} fails: {checks}");
        }
    }

    #[test]
    fn passes_from_before_an_error_do_not_end_it() {
        let (mut tally, needed) = (CheckTally::default(), needed(3, 1));
        let error = out(Flag::InError);
        let mut note = |status| tally.note(status, true, needed);
        assert_eq!([note(error), note(error)], [CheckChange::Nothing; 2]);
        // Its time was over before the third.
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
    fn each_row_of_passes_of_an_ejected_member_is_noted_and_fails_take_it_out_too() {
        let (ejected, mut tally) = (out(Flag::Ejected), CheckTally::default());
        let mut course = |checks: &str| -> Vec<CheckChange> {
            let checks = checks.chars();
            checks
                .map(|check| tally.note(ejected, check == '+', needed(2, 2)))
                .collect()
        };
        use CheckChange::{Fail, Nothing, Pass};
        assert_eq!(course("++++"), [Nothing, Pass, Nothing, Pass]);
        assert_eq!(course("+-+-"), [Nothing, Nothing, Nothing, Nothing]);
        assert_eq!(course("--"), [Fail, Nothing], "the fail before counts");
        assert_eq!(course("+"), [Nothing]);
    }

    proptest! {
        /// A slow twin: it looks at all checks since the member went out or came back.
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
