//! What health checks have found of members: [`Balancer::apply_check_results`].
//!
//! What does not live here: the checks themselves, and how many it takes (`health`).

use super::Balancer;
use super::after_change::AfterChange;
use super::events::Interest;
use crate::member::{Cause, Flag, MemberKey, Status};

impl<W> Balancer<W> {
    /// Notes what health checks have found of members, all of them as one change: with a cause
    /// the member's check has failed, without one it has passed.
    ///
    /// A failed check takes the member out of service until one passes
    /// ([`Flag::FailedCheck`]); [`MemberState::health`](crate::MemberState::health) and the
    /// event tell the cause. If it is out for that already, the first cause stays. A check that
    /// passes ends this, and an error (Apache's health checks do so, too), but no
    /// [ejection](Self::eject). Observers are told of each that passes
    /// ([`EventKind::PassedCheck`](super::events::EventKind::PassedCheck)), so that a detector of
    /// outliers ends its own ejections. Members that are not there are passed over.
    ///
    /// For checks of your own; [`clear_flag`](Self::clear_flag) undoes one by hand.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::{Cause, MemberKey};
    /// use equipoise::{Balancer, Flag};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let failed = Cause::from("GET /status answered 503");
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
        // The caller's iterator is at its end before the lock is taken.
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
                    // An error that is not there is not to be forgotten, either: its count in a
                    // row goes on.
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
            // There is no other picture, but something to tell.
            passed.generation = editor.generation;
            drop(editor);
            self.core.settle(passed);
        }
    }
}
