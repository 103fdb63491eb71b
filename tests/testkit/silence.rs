//! The law of a member that stops answering: which schedulers keep it, and which break it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use equipoise::clock::Timestamp;
use equipoise::member::{Ended, MemberId, MemberState};
use equipoise::scheduler::{
    Candidates, LeastRequest, Needs, Pick, PickContext, Prequal, PrequalReports, Scheduler,
    WeightedRandom,
};
use equipoise::testkit::laws;
use equipoise::{ByBusyness, ByRequests};

/// Picks the member with the least latency, half of which is forgotten in each second.
#[derive(Debug, Default)]
struct Fastest(Mutex<HashMap<MemberId, (Duration, Timestamp)>>);

impl Scheduler for Fastest {
    fn name(&self) -> &'static str {
        "fastest"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let (costs, now) = (self.0.lock().unwrap(), context.now().unwrap());
        let fastest = candidates.iter().min_by_key(|one| {
            let (latency, at) = costs.get(&one.id()).copied().unwrap_or_default();
            latency.mul_f64(0.5_f64.powf(now.since(at).as_secs_f64()))
        });
        candidates.claim_first(fastest.into_iter().chain(candidates.iter()))
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        let cost = (ended.elapsed.unwrap(), ended.at.unwrap());
        self.0.lock().unwrap().insert(member.id(), cost);
    }

    fn needs(&self) -> Needs {
        Needs::CLOCK | Needs::ENDED | Needs::ELAPSED
    }
}

#[test]
fn latencies_alone_send_each_client_to_a_silent_member() {
    let violation = laws::survives_silence(Fastest::default, 1.5).unwrap_err();
    assert_eq!(violation.found(), "8 clients", "{violation}");
}

#[test]
fn schedulers_that_compare_all_loads_survive_silence() {
    laws::survives_silence(ByBusyness::new, 1.5).unwrap();
    laws::survives_silence(ByBusyness::weighted, 1.5).unwrap();
    laws::survives_silence(LeastRequest::new, 1.5).unwrap();
}

/// The silent member is picked whenever it is drawn with one that is as busy by chance, and it
/// gives no request back.
#[test]
fn schedulers_that_compare_two_loads_survive_silence_with_more_clients_stuck() {
    let drawing = || LeastRequest::new().with_scan_max(0).unwrap();
    laws::survives_silence(drawing, 2.5).unwrap();
    laws::survives_silence(|| Prequal::new(&PrequalReports::new()), 2.5).unwrap();
}

/// Without a look at the load, each client is sent to the silent member sooner or later.
#[test]
fn schedulers_that_do_not_read_the_load_do_not_survive_silence() {
    laws::survives_silence(ByRequests::new, 2.9).unwrap_err();
    laws::survives_silence(WeightedRandom::new, 2.9).unwrap_err();
}
