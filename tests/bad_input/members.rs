//! Memberships that are empty, contradictory or very large.

use crate::support::assert_sound;
use equipoise::{
    Balancer, BuildError, ByBusyness, ByRequests, ByTraffic, Flag, MemberSpec, PickError,
    PickRequest, Scheduler,
};

#[test]
fn an_empty_balancer_says_so() {
    let balancer: Balancer<()> = Balancer::builder().build().unwrap();
    let request = PickRequest::new();
    assert_eq!(balancer.pick(&request).unwrap_err(), PickError::Empty);
    let insists = request.with_session(Some("r")).with_no_failover();
    assert_eq!(balancer.pick(&insists).unwrap_err(), PickError::Empty);
    assert!(balancer.is_empty() && balancer.members().is_empty());
    assert_eq!(balancer.next_timed_change(), None);
    assert!(
        balancer
            .explain(&request)
            .to_string()
            .contains("there are no members")
    );
    assert!(balancer.remove("a").is_err());
    assert!(balancer.update("a", |spec| spec).is_err());
    balancer.reset_standings();
    balancer.set_scheduler(ByTraffic::new());
    assert_sound(&balancer);
}

#[test]
fn a_name_that_occurs_twice_is_named_in_the_error() {
    let error = Balancer::new([("a", 1), ("b", 2), ("a", 3)]).unwrap_err();
    assert_eq!(error, BuildError::DuplicateName { name: "a".into() });
    assert_eq!(
        error.to_string(),
        "two members are called \"a\": give each member a name of its own"
    );
}

#[test]
fn any_text_is_a_name() {
    let long = "x".repeat(100_000);
    let names = ["", " ", "a\nb", "ü", "\0", long.as_str()];
    let balancer = Balancer::new(names.map(|name| (name, ()))).unwrap();
    for name in names {
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), name);
    }
    assert_sound(&balancer);
}

#[test]
fn labels_of_a_megabyte_are_kept_once_and_shown_short() {
    let long = "x".repeat(1 << 20);
    let spec = MemberSpec::new().with_label(&long, &long);
    let balancer = Balancer::builder()
        .members(["a", "b"].map(|name| (name, (), spec.clone())))
        .build()
        .unwrap();
    let place = |spec: &MemberSpec| spec.label(&long).unwrap().as_ptr();
    for name in ["a", "b"] {
        assert_eq!(place(&balancer.spec(name).unwrap()), place(&spec));
        balancer.set_flag(name, Flag::HotSpare).unwrap();
        assert_eq!(place(&balancer.spec(name).unwrap()), place(&spec));
    }
    let explanation = balancer.explain(&PickRequest::new());
    assert!(explanation.to_string().len() < 4_096);
    assert_sound(&balancer);
}

#[test]
fn an_explanation_bears_any_name_and_route() {
    let long = "x".repeat(100_000);
    let balancer = Balancer::builder()
        .member("ü", (), MemberSpec::new().with_route(&long))
        .build()
        .unwrap();
    let explain = || balancer.explain(&PickRequest::new()).to_string();
    assert!(explain().contains(&long));
    balancer
        .insert(long.as_str(), (), MemberSpec::new())
        .unwrap();
    assert!(explain().contains("ü"));
    assert_sound(&balancer);
}

#[test]
fn members_of_whom_none_can_serve_are_an_error_with_numbers() {
    let spec = MemberSpec::new().with_flag(Flag::Disabled);
    let balancer = Balancer::builder()
        .member("a", (), spec.clone())
        .member("b", (), spec)
        .build()
        .unwrap();
    let error = balancer.pick(&PickRequest::new()).unwrap_err();
    let expected = PickError::NoneUsable {
        members: 2,
        tried: 0,
        retry_after: None,
    };
    assert_eq!(error, expected);
    assert_sound(&balancer);
}

#[test]
fn all_flags_at_once_are_simply_unusable() {
    let spec = Flag::ALL
        .into_iter()
        .fold(MemberSpec::new(), MemberSpec::with_flag);
    let balancer = Balancer::builder().member("a", (), spec).build().unwrap();
    assert!(balancer.pick(&PickRequest::new()).is_err());
    assert_sound(&balancer);
}

#[test]
fn members_that_were_tried_but_are_unknown_here_do_not_matter() {
    let other = Balancer::new([("a", ()), ("b", ())]).unwrap();
    let strangers: Vec<_> = other.members().iter().map(|member| member.id()).collect();
    let tried = strangers.repeat(1_000);
    let balancer = Balancer::new([("a", ())]).unwrap();
    let request = PickRequest::new().with_tried(&tried);
    assert!(
        balancer.pick(&request).is_ok(),
        "the ids of another balancer"
    );
    assert_sound(&balancer);
}

#[test]
fn a_member_that_is_said_to_be_tried_many_times_is_tried() {
    for balancer in [
        with(ByRequests::new(), 3),
        with(ByBusyness::new(), 3),
        with(ByTraffic::new(), 3),
    ] {
        let tried = vec![balancer.member("m0").unwrap().id(); 1_000];
        let request = PickRequest::new().with_tried(&tried);
        for _ in 0..10 {
            assert_ne!(balancer.pick(&request).unwrap().member().name(), "m0");
        }
        assert_sound(&balancer);
    }
}

fn with(scheduler: impl Scheduler, members: usize) -> Balancer<()> {
    let members = (0..members).map(|at| (format!("m{at}"), (), MemberSpec::new()));
    let builder = Balancer::builder().scheduler(scheduler).members(members);
    builder.build().unwrap()
}

#[test]
fn ten_thousand_members_are_served_in_turn_changed_and_replaced() {
    const MANY: usize = 10_000;
    for balancer in [
        with(ByRequests::new(), MANY),
        with(ByBusyness::new(), MANY),
        with(ByTraffic::new(), MANY),
    ] {
        let leases: Vec<_> = (0..MANY)
            .map(|_| {
                let mut lease = balancer.pick(&PickRequest::new()).unwrap();
                lease.record_sent(1);
                lease
            })
            .collect();
        assert!(
            balancer
                .members()
                .iter()
                .all(|member| member.in_flight() == 1)
        );
        drop(leases);
        for at in 0..5 {
            balancer
                .set_flag(&format!("m{at}"), Flag::Disabled)
                .unwrap();
        }
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "m5");
        drop(lease);
        let half = (0..MANY / 2).map(|at| (format!("m{at}"), (), MemberSpec::new()));
        let done = balancer.replace_all(half).unwrap();
        assert_eq!(
            (done.updated.len(), done.removed.len()),
            (MANY / 2, MANY / 2)
        );
        assert_sound(&balancer);
    }
}
