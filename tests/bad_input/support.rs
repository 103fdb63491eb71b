//! What holds after every mishap.

use equipoise::{Balancer, MemberSpec, PickRequest};

/// Nothing is in flight, and the balancer elects, changes and forgets as ever.
pub(crate) fn assert_sound<W: Default>(balancer: &Balancer<W>) {
    for member in balancer.members() {
        assert_eq!(member.in_flight(), 0, "{}", member.name());
    }
    let newcomer = MemberSpec::new().with_tier(0).with_route("newcomer");
    balancer.insert("newcomer", W::default(), newcomer).unwrap();
    let request = PickRequest::new().with_session(Some("newcomer"));
    let lease = balancer.pick(&request).expect("the newcomer can serve");
    assert_eq!(lease.member().name(), "newcomer");
    drop(lease);
    let removed = balancer.remove("newcomer").expect("it is there");
    assert_eq!(removed.in_flight(), 0);
}
