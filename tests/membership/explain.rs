//! Explanations: what they say, that they agree with the pick that follows, and that
//! they change nothing.

use crate::support::{fleet, pick, seconds};
use equipoise::balancer::Reason;
use equipoise::clock::ManualClock;
use equipoise::random::Random;
use equipoise::{
    Balancer, ByBusyness, ByRequests, ByTraffic, Flag, Heartbeat, HeartbeatReadings, Lease,
    MemberId, MemberSpec, PickError, PickRequest, Scheduler, Weight,
};

#[test]
fn it_prints_as_a_table() {
    let spec = MemberSpec::new;
    let (balancer, _) = fleet([
        (
            "10.0.0.1:80",
            spec().with_route("r1").with_weight(Weight::new(2).unwrap()),
        ),
        ("10.0.0.2:80", spec().with_max_in_flight(1).with_route("r2")),
        ("drains", spec().with_flag(Flag::Draining)),
        (
            "off",
            spec().with_flag(Flag::Disabled).with_flag(Flag::HotStandby),
        ),
        ("standby", spec().with_flag(Flag::HotStandby)),
        ("later", spec().with_tier(1)),
        ("spare", spec().with_flag(Flag::HotSpare)),
    ]);
    let _held: Vec<_> = (0..3).map(|_| pick(&balancer).unwrap()).collect();
    balancer.learned_limit("standby").unwrap().set(Some(8));
    let tried = [balancer.member("spare").unwrap().id()];
    let request = PickRequest::new()
        .with_session(Some("gone"))
        .with_tried(&tried);
    let table = balancer.explain(&request).to_string();
    assert_eq!(table, include_str!("explanation.txt"));
}

#[test]
fn each_reason_reads_as_a_sentence() {
    let rows = [
        (
            Reason::AtCapacity,
            "all members that could be picked are at capacity",
        ),
        (
            Reason::Unpredictable,
            "the scheduler does not predict its pick",
        ),
        (Reason::Empty, "there are no members"),
        (Reason::NoneUsable, "no member can be picked"),
        (Reason::SessionHit, "its session belongs to this member"),
        (
            Reason::SessionLost,
            "its session's member cannot serve, and no other member may",
        ),
        (
            Reason::SessionRedirected,
            "its session is redirected to this member",
        ),
    ];
    for (why, sentence) in rows {
        assert_eq!(why.to_string(), sentence);
    }
    let tied = Reason::Scheduled {
        tied_with: Some("b".into()),
        lost_route: None,
    };
    assert_eq!(
        tied.to_string(),
        "by standing, tied with b, and the earlier place decides"
    );
}

#[test]
fn a_tie_is_told_and_so_is_chance() {
    let (balancer, clock) = fleet(["a", "b"].map(|name| (name, MemberSpec::new())));
    let tied_with = || match balancer.explain(&PickRequest::new()).reason() {
        Reason::Scheduled { tied_with, .. } => tied_with.as_deref().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(tied_with().as_deref(), Some("b"));
    drop(pick(&balancer));
    assert_eq!(tied_with(), None);

    let readings = HeartbeatReadings::new();
    balancer.set_scheduler(Heartbeat::new(&readings));
    let reading = equipoise::scheduler::HeartbeatReading { ready: 1, busy: 1 };
    use equipoise::clock::Clock;
    readings.report("a", reading, clock.now()).unwrap();
    let explained = balancer.explain(&PickRequest::new());
    assert_eq!(explained.reason(), &Reason::Unpredictable);
    assert!(explained.picked().is_none());
}

/// A year of a balancer's life in a few thousand steps.
struct Life {
    balancer: Balancer<()>,
    clock: ManualClock,
    chance: Random,
    held: Vec<Lease<()>>,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Life {
    fn new(scheduler: impl Scheduler, seed: u64, forced: bool) -> Self {
        let clock = ManualClock::new();
        let mut builder = Balancer::builder()
            .scheduler(scheduler)
            .clock(clock.clone());
        if !forced {
            builder = builder.forced_recovery(false);
        }
        Self {
            balancer: builder.build().unwrap(),
            clock,
            chance: Random::seeded(seed),
            held: Vec::new(),
        }
    }

    fn below(&self, end: usize) -> usize {
        usize::try_from(self.chance.below(end as u64)).unwrap()
    }

    fn any<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn step(&mut self) {
        let name = self.any(&NAMES);
        match self.below(12) {
            0 => {
                self.balancer.insert(name, (), self.spec()).unwrap();
            }
            1 => drop(self.balancer.remove(name)),
            2 => {
                let flag = self.any(&Flag::ALL);
                let _ = self.balancer.set_flag(name, flag);
            }
            3..=5 => {
                let flag = self.any(&Flag::ALL);
                let _ = self.balancer.clear_flag(name, flag);
            }
            6 => self.clock.advance(seconds(self.chance.below(40))),
            7..=8 if !self.held.is_empty() => {
                let at = self.below(self.held.len());
                self.held[at].record_sent(self.chance.below(1_000));
                drop(self.held.swap_remove(at));
            }
            9 if !self.held.is_empty() => self.held[self.below(self.held.len())].put_in_error(),
            _ => {}
        }
    }

    fn spec(&self) -> MemberSpec {
        let spec = MemberSpec::new()
            .with_weight(Weight::from_hundredths(self.any(&[100, 100, 150, 500])).unwrap())
            .with_tier(self.any(&[0, 0, 0, 1]))
            .with_route(self.any(&["a", "b", "c"]))
            .with_redirect_route(self.any(&["", "a", "b"]));
        match self.below(3) {
            0 => spec.with_max_in_flight(2),
            _ => spec,
        }
    }

    /// Explains, picks, and compares.
    fn pick(&mut self, step: usize) {
        let members = self.balancer.members();
        let mut tried: Vec<MemberId> = members.iter().map(|member| member.id()).collect();
        tried.retain(|_| self.below(5) == 0);
        let mut request = PickRequest::new().with_tried(&tried);
        if self.below(4) == 0 {
            request = request.with_session(Some(self.any(&["a", "b", "x"])));
        }
        let explained = self.balancer.explain(&request);
        let again = self.balancer.explain(&request).to_string();
        assert_eq!(explained.to_string(), again, "it changes nothing");
        let picked = self.balancer.pick(&request);

        let context = format!("step {step}\n{explained}");
        let came = picked.as_ref().ok().map(|lease| lease.member().name());
        let foreseen = explained.picked().map(|member| member.name.as_ref());
        assert_eq!(foreseen, came, "{context}");
        match (&picked, explained.reason()) {
            (Ok(lease), Reason::Scheduled { lost_route, .. }) => {
                let lost = lease.session() == equipoise::Session::Lost;
                assert_eq!(lost, lost_route.is_some(), "{context}");
            }
            (Ok(_), Reason::SessionHit | Reason::SessionRedirected)
            | (Err(PickError::AtCapacity), Reason::AtCapacity)
            | (Err(PickError::Empty), Reason::Empty)
            | (Err(PickError::NoneUsable { .. }), Reason::NoneUsable) => {}
            (picked, _) => panic!("{picked:?}, {context}"),
        }
        self.held.extend(picked);
    }
}

#[test]
fn it_agrees_with_the_pick_that_follows_by_whatever_method() {
    for seed in 0..6 {
        let forced = seed % 2 == 0;
        let lives = [
            Life::new(ByRequests::new(), seed, forced),
            Life::new(ByTraffic::new(), seed, forced),
            Life::new(ByBusyness::new(), seed, forced),
            Life::new(ByBusyness::weighted(), seed, forced),
        ];
        for mut life in lives {
            for step in 0..1_500 {
                life.step();
                life.pick(step);
            }
            life.held.clear();
            let members = life.balancer.members();
            assert!(members.iter().all(|member| member.in_flight() == 0));
        }
    }
}
