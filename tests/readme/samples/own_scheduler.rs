use equipoise::scheduler::{Candidate, Candidates, Pick, PickContext, Scheduler};
use equipoise::testkit::laws;

/// Any member that has room, with the same chance for all.
#[derive(Debug)]
struct Lottery;

impl Scheduler for Lottery {
    fn name(&self) -> &'static str {
        "lottery"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let open = || candidates.iter().filter(Candidate::has_room);
        let drawn = context.random().below(open().count() as u64);
        let drawn = usize::try_from(drawn).ok().and_then(|drawn| open().nth(drawn));
        // The member may just have become full: then any other.
        candidates.claim_first(drawn.into_iter().chain(candidates.iter()))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    laws::check_all(|| Lottery)?;
    laws::shares_failovers(|| Lottery, 1.5)?;
    // It ignores weights, and the law shows on which members.
    let violation = laws::shares_by_weight(|| Lottery, 1, 0.05).unwrap_err();
    println!("{violation}");
    Ok(())
}
