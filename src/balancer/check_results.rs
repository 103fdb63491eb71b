//! Results of health checks: [`Balancer::apply_check_results`].
//!
//! Not here: the checks themselves, and how many it takes (`health`).

use super::Balancer;
use super::after_change::AfterChange;
use super::events::Interest;
use crate::member::{Cause, Flag, MemberKey, Status};

impl<W> Balancer<W> {
    /// Applies the results of health checks to members, as one change. A result with a
    /// cause means that the member's check failed; one without means that it passed.
    ///
    /// A failed check takes the member out of service until a check passes
    /// ([`Flag::FailedCheck`]); [`MemberState::health`](crate::MemberState::health) and the
    /// event contain the cause. If the member is out for a failed check already, the first
    /// cause stays. A check that passes ends this, and also an error (as in Apache's health
    /// checks), but not an [ejection](Self::eject). Observers are notified of each check
    /// that passes ([`EventKind::PassedCheck`](super::events::EventKind::PassedCheck)), so
    /// that outlier detection can end its own ejections. Names and ids of members that do
    /// not exist are ignored.
    ///
    /// Use it for checks of your own. [`clear_flag`](Self::clear_flag) also ends a failed
    /// check.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::{Cause, MemberKey};
    /// use equipoise::{Balancer, Flag};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let failed = Cause::from("GET /status responded with 503");
    /// balancer.apply_check_results([(MemberKey::Name("a"), Some(failed.clone()))]);
    /// let health = balancer.member("a").unwrap().health();
    /// assert_eq!(health.outage(Flag::FailedCheck).unwrap().cause, Some(failed));
    ///
    /// balancer.apply_check_results([(MemberKey::Name("a"), None)]);
    /// assert!(balancer.member("a").unwrap().health().is_good());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_check_results<'m>(
        &self,
        found: impl IntoIterator<Item = (MemberKey<'m>, Option<Cause>)>,
    ) {
        // The caller's iterator is exhausted before the lock is taken.
        let found: Vec<_> = found.into_iter().collect();
        let mut editor = self.core.editor.lock();
        let mut changed = false;
        let tells = self.shared().observers.want(Interest::PASSED_CHECK);
        let mut passed = AfterChange::NONE;
        for (key, cause) in &found {
            let Some(state) = editor.state_of(*key) else {
                continue;
            };
            changed |= match cause {
                Some(cause) => editor.fail_check(&state, cause),
                None => {
                    let ended = [Flag::FailedCheck, Flag::InError];
                    let ended = ended.into_iter().fold(Status::NORMAL, Status::with);
                    // An error that the member does not have must not be forgotten either:
                    // its count of errors in a row continues.
                    let ended = state.status().intersection(ended);
                    if tells {
                        passed.note_passed(&state);
                    }
                    editor.change_health(&state, Status::NORMAL, ended)
                }
            };
        }
        if changed || self.shared().is_due() {
            editor.after.join(passed);
            self.publish_if(true, editor);
        } else {
            // There is no other picture, but there is an event to report.
            passed.generation = editor.generation;
            drop(editor);
            self.core.settle(passed);
        }
    }
}
