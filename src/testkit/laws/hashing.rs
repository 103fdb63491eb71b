//! The laws of consistent hashing: which keys move when members leave.

use super::case::{LawCase, LawMember, name};
use super::course::{LawCourse, request};
use super::parameter::assert_bound;
use super::search::search_among;
use super::violation::{Breach, Violation};
use crate::member::{Flag, Outcome};
use crate::scheduler::Scheduler;
use crate::stable_hash::hash_bytes;

/// How many keys are looked up.
const KEYS: u64 = 1_000;

/// Checks that a key stays with its member while the members do not change.
///
/// The keys are looked up twice, one at a time and with other keys in between.
///
/// # Errors
///
/// A key that moved.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Maglev;
/// use equipoise::testkit::laws;
///
/// laws::keeps_keys(Maglev::new)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
pub fn keeps_keys<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    let law = "a key stays with its member";
    search_among(law, make().name(), cases(), &|case| {
        let mut course = LawCourse::start(make(), case);
        let first = owners(&mut course)?;
        let second = owners(&mut course)?;
        for (key, (first, second)) in first.iter().zip(&second).enumerate() {
            if first != second {
                let expected = format!("key {key} stays with {first}");
                return Err(Breach::new(expected, format!("it moved to {second}")));
            }
        }
        Ok(())
    })
}

/// Checks that the removal of a member moves at most the share `bound` of the other members'
/// keys, and so does a member that is disabled. The keys of the member itself must move. When
/// a member joins, at most that share of the keys moves between the other members.
///
/// 0 is the bound of a ring and of rendezvous hashing. Maglev moves up to 1 % more keys than
/// it must if its table has 100 slots for each member.
///
/// # Errors
///
/// More keys that moved.
///
/// # Panics
///
/// If the bound is not below 1.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Maglev;
/// use equipoise::testkit::laws;
///
/// laws::moves_few_keys(Maglev::new, 0.01)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn moves_few_keys<S: Scheduler>(make: impl Fn() -> S, bound: f64) -> Result<(), Violation> {
    assert_bound("bound", bound, 1.0);
    let law = "when a member leaves or joins, the other members keep their keys";
    search_among(law, make().name(), cases(), &|case| {
        // Without others there are no keys that could stay.
        if case.members.len() < 2 {
            return Ok(());
        }
        for removes in [false, true] {
            let mut course = LawCourse::start(make(), case);
            let before = owners(&mut course)?;
            let gone = name(case.members.len() / 2);
            let how = if removes {
                course.group.remove(&gone);
                "is removed"
            } else {
                course.group.set_flag(&gone, Flag::Disabled);
                "is disabled"
            };
            let after = owners(&mut course)?;
            let (mut others, mut moved) = (0_u32, 0_u32);
            for (before, after) in before.iter().zip(&after) {
                if *after == gone {
                    let expected = format!("no key is served by {gone}, which {how}");
                    return Err(Breach::new(expected, "it still has a key"));
                }
                if *before != gone {
                    others += 1;
                    moved += u32::from(before != after);
                }
            }
            if f64::from(moved) > bound * f64::from(others) {
                return Err(Breach::new(
                    format!("{gone} {how}: at most {bound} of the others' {others} keys move"),
                    format!("{moved} keys move"),
                ));
            }
        }
        let mut course = LawCourse::start(make(), case);
        let before = owners(&mut course)?;
        let joins = name(case.members.len());
        course.group.insert(&joins, LawMember::PLAIN.spec());
        let after = owners(&mut course)?;
        let kept = before.iter().zip(&after);
        let kept: Vec<_> = kept.filter(|(_, after)| **after != joins).collect();
        let moved = kept.iter().filter(|(before, after)| before != after);
        let (moved, all) = (moved.count(), kept.len());
        #[expect(clippy::cast_precision_loss, reason = "at most `KEYS`")]
        if moved as f64 > bound * all as f64 {
            return Err(Breach::new(
                format!(
                    "{joins} joins: at most {bound} of the {all} keys that it does not get move"
                ),
                format!("{moved} keys move"),
            ));
        }
        Ok(())
    })
}

fn cases() -> Vec<LawCase> {
    let plain = |members: usize| LawCase::plain(1, members);
    let weighted = |members: usize| LawCase::weighted(members as u64, members, 5);
    let many = [plain(20), weighted(40)];
    let few = (1..7).map(plain).chain((2..7).map(weighted));
    few.chain(many).collect()
}

/// The member of each key, by name. Each request ends before the next one.
fn owners<S: Scheduler>(course: &mut LawCourse<S>) -> Result<Vec<String>, Breach> {
    let mut owners = Vec::new();
    for key in 0..KEYS {
        let key = hash_bytes(&key.to_le_bytes());
        let picked = course.group.pick(&request(Some(key), &[]));
        course.group.end_oldest(Outcome::Success);
        match picked {
            Ok(id) => owners.push(course.name_of(id)),
            Err(error) => {
                let expected = format!("a member for the key {key:#x}");
                return Err(Breach::new(expected, error.to_string()));
            }
        }
    }
    Ok(owners)
}
