//! Schedulers that are right for few members, and whose other half, for many, is broken.

use equipoise::scheduler::{Candidate, Candidates, Pick, PickContext, Scheduler};
use equipoise::testkit::laws;

/// Members beyond the first ones are kept in another way.
const FEW: usize = 16;

/// What a scheduler does when there are many members.
type ManyFn = for<'c> fn(&Candidates<'c>, &PickContext<'_>) -> Pick<'c>;

/// Draws a member by the hash key, or by chance, unless there are many.
#[derive(Debug)]
struct TwoPaths(ManyFn);

fn drawn<'c>(candidates: &Candidates<'c>, context: &PickContext<'_>, skipped: u64) -> Pick<'c> {
    let open: Vec<Candidate<'c>> = candidates.iter().filter(Candidate::has_room).collect();
    let weights = open.iter().map(|one| u64::from(one.weight().units()));
    let total: u64 = weights.skip(usize::try_from(skipped).unwrap()).sum();
    let key = context
        .hash()
        .unwrap_or_else(|| context.random().next_u64());
    let mut rest = if total == 0 { 0 } else { key % total };
    let mut order = open.iter().skip(usize::try_from(skipped).unwrap());
    let picked = order.find(|one| {
        let weight = u64::from(one.weight().units());
        let is_it = rest < weight;
        rest = rest.saturating_sub(weight);
        is_it
    });
    candidates.claim_first(picked.copied().into_iter().chain(candidates.iter()))
}

impl Scheduler for TwoPaths {
    fn name(&self) -> &'static str {
        "two paths"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        if candidates.len() > FEW {
            self.0(candidates, context)
        } else {
            drawn(candidates, context, 0)
        }
    }
}

#[test]
fn a_panic_from_ten_members_on_is_found() {
    #[derive(Debug)]
    struct Ten;

    impl Scheduler for Ten {
        fn name(&self) -> &'static str {
            "ten"
        }

        fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
            assert!(candidates.len() < 10, "a digit too many");
            candidates.claim_first(candidates.iter())
        }
    }

    let violation = laws::picks_candidates_only(|| Ten).unwrap_err();
    let report = violation.to_string();
    assert!(violation.found().contains("a digit too many"), "{report}");
    assert!(
        report.contains("m9") && !report.contains("m10:"),
        "{report}"
    );
}

#[test]
fn a_pick_among_many_that_gives_up_is_found() {
    let gives_up = || TwoPaths(|candidates, _| candidates.claim_first(candidates.at(0)));
    let violation = laws::honours_tried(gives_up).unwrap_err();
    assert!(violation.to_string().contains("m16"), "{violation}");
    assert!(!violation.to_string().contains("m17:"), "{violation}");
    laws::respects_caps(gives_up).unwrap_err();
    laws::survives_churn(gives_up).unwrap_err();
}

#[test]
fn shares_and_failovers_among_many_are_measured() {
    let right = || TwoPaths(|candidates, context| drawn(candidates, context, 0));
    laws::shares_by_weight(right, 1, 0.04).unwrap();
    laws::shares_failovers(right, 1.5).unwrap();
    laws::keeps_keys(right).unwrap();
    let unfair = || TwoPaths(|candidates, context| drawn(candidates, context, 1));
    laws::starves_none(unfair, 20.0).unwrap_err();
    let first = || TwoPaths(|candidates, _| candidates.claim_first(candidates.iter()));
    laws::shares_by_weight(first, 1, 0.04).unwrap_err();
    laws::shares_failovers(first, 1.5).unwrap_err();
    laws::is_no_sinkhole(first, 0, 1.5).unwrap();
    let by_chance = || {
        TwoPaths(|candidates, context| {
            let at = context.random().below(candidates.len() as u64);
            let drawn = candidates.at(usize::try_from(at).unwrap());
            candidates.claim_first(drawn.into_iter().chain(candidates.iter()))
        })
    };
    laws::keeps_keys(by_chance).unwrap_err();
}
