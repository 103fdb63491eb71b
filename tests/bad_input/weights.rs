//! Numbers that are no weight, and extreme ones that are.

use equipoise::{Balancer, MemberSpec, PickRequest, Weight, WeightError};

#[test]
fn what_is_no_weight_is_refused_with_advice() {
    let numbers = [
        (0.0, WeightError::OutOfRange),
        (-0.0, WeightError::OutOfRange),
        (-3.0, WeightError::OutOfRange),
        (0.004, WeightError::OutOfRange),
        (65_535.01, WeightError::OutOfRange),
        (1e300, WeightError::OutOfRange),
        (f64::MAX, WeightError::OutOfRange),
        (f64::MIN_POSITIVE, WeightError::OutOfRange),
        (f64::INFINITY, WeightError::OutOfRange),
        (f64::NEG_INFINITY, WeightError::OutOfRange),
        (f64::NAN, WeightError::NotANumber),
        (1.001, WeightError::TooFine),
    ];
    for (number, error) in numbers {
        assert_eq!(Weight::try_from(number), Err(error), "{number}");
    }
    assert_eq!(Weight::new(0), Err(WeightError::OutOfRange));
    assert_eq!(Weight::from_hundredths(0), Err(WeightError::OutOfRange));
    assert_eq!(Weight::new(u32::MAX), Err(WeightError::OutOfRange));
    let advice = WeightError::OutOfRange.to_string();
    assert!(advice.contains("to keep a member idle, drain or disable it"));
}

#[test]
fn text_that_is_no_weight_is_refused_and_never_read_by_half() {
    let texts = [
        "", " ", "-", ".", "abc", "1x", "1,5", "0x10", "NaN", "1 000", "--1", "1.2.3", "１", "1e",
        "+", "1_000", "1;2",
    ];
    for text in texts {
        let read = text.parse::<Weight>();
        assert_eq!(read, Err(WeightError::NotANumber), "{text:?}");
    }
    let huge = "9".repeat(100_000);
    for text in [
        "0", "0.00", "-1", "0.001", "65536", "1e300", "inf", "-inf", &huge,
    ] {
        let read = text.parse::<Weight>();
        assert_eq!(read, Err(WeightError::OutOfRange), "{text:.20}");
    }
}

// Ledger 1: Apache allows 1 to 100; the core more on either side.
#[test]
fn weights_beyond_apaches_range_share_exactly() {
    assert_eq!(Weight::new(101).unwrap().hundredths(), 10_100);
    let balancer = Balancer::builder()
        .member("least", (), MemberSpec::new().with_weight(Weight::MIN))
        .member(
            "101",
            (),
            MemberSpec::new().with_weight(Weight::new(101).unwrap()),
        )
        .build()
        .unwrap();
    for _ in 0..10_101 {
        drop(balancer.pick(&PickRequest::new()).unwrap());
    }
    assert_eq!(balancer.member("least").unwrap().picked(), 1);
    assert_eq!(balancer.standing("101"), Some(0));
}

#[test]
fn ten_thousand_members_of_the_greatest_weight_overflow_nothing() {
    let spec = MemberSpec::new().with_weight(Weight::MAX);
    let members = (0..10_000).map(|at| (format!("m{at}"), (), spec.clone().with_route("r")));
    let balancer = Balancer::builder().members(members).build().unwrap();
    let session = PickRequest::new().with_session(Some("r"));
    for _ in 0..10_000 {
        drop(balancer.pick(&session).unwrap());
    }
    let total = 10_000 * i64::from(Weight::MAX.hundredths());
    let own = i64::from(Weight::MAX.hundredths());
    assert_eq!(balancer.standing("m0"), Some(10_000 * (own - total)));
    let next = balancer.pick(&PickRequest::new()).unwrap();
    assert_eq!(next.member().name(), "m1");
}
