//! Errors: each ends once, and none is lost.

use std::time::Duration;

use super::super::{Balancer, PickError};
use super::{check, empty, in_flight, join, pick, picked, spawn};
use crate::clock::ManualClock;
use crate::member::{Flag, MemberSpec};

const DELAY: Duration = Duration::from_secs(1);

/// One member in error whose delay has just elapsed.
fn about_to_recover() -> (Balancer<()>, ManualClock) {
    let clock = ManualClock::new();
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .seed(1)
        .forced_recovery(false)
        .member("a", (), MemberSpec::new().with_recovery_delay(DELAY))
        .build()
        .unwrap();
    picked(&balancer).put_in_error();
    assert!(pick(&balancer).is_err());
    clock.advance(DELAY);
    (balancer, clock)
}

#[test]
fn loom_two_picks_end_an_error_once() {
    check(|| {
        let (balancer, _) = about_to_recover();
        let other = balancer.clone();
        let picking = spawn(move || pick(&other));
        let mine = pick(&balancer);
        let theirs = join(picking);

        let member = balancer.member("a").unwrap();
        assert_eq!(member.recoveries(), 1);
        let picks = [&mine, &theirs].into_iter().filter(|pick| pick.is_ok());
        let picks = u32::try_from(picks.count()).unwrap();
        assert!(picks > 0, "the pick that renews the picture finds it");
        assert_eq!(member.in_flight(), picks);
        drop((mine, theirs));
        assert_eq!(member.in_flight(), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_ending_an_old_error_does_not_end_a_new_one() {
    check(|| {
        let (balancer, clock) = about_to_recover();
        let other = balancer.clone();
        let picking = spawn(move || pick(&other));
        let member = balancer.member("a").unwrap();
        balancer.shared().put_in_error(&member, None);
        drop(join(picking));

        assert!(member.status().contains(Flag::InError));
        assert!(member.recoveries() <= 1);
        assert!(matches!(pick(&balancer), Err(PickError::NoneUsable { .. })));
        assert!(member.status().contains(Flag::InError));
        assert_eq!(member.in_flight(), 0);

        // The new error is not reported if the old one had not ended yet; it ends all the
        // same.
        clock.advance(DELAY);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_forced_recovery_and_a_new_error_agree_in_the_end() {
    check(|| {
        let balancer = empty().member("a", (), MemberSpec::new()).build().unwrap();
        let member = balancer.member("a").unwrap();
        balancer.shared().put_in_error(&member, None);
        let (other, state) = (balancer.clone(), member.clone());
        let failing = spawn(move || other.shared().put_in_error(&state, None));
        let mine = pick(&balancer);
        join(failing);

        assert!(matches!(mine, Ok(_) | Err(PickError::NoneUsable { .. })));
        drop(mine);
        drop(picked(&balancer));
        assert!(member.status().is_usable());
        assert!((1..=2).contains(&member.recoveries()));
    });
}

#[test]
fn loom_an_error_that_two_requests_tell_of_at_once_keeps_its_member_out() {
    check(|| {
        let balancer = empty()
            .forced_recovery(false)
            .member("a", (), MemberSpec::new())
            .member("b", (), MemberSpec::new().with_flag(Flag::HotStandby))
            .build()
            .unwrap();
        let (mine, theirs) = (picked(&balancer), picked(&balancer));
        assert_eq!(theirs.member().name(), "a");
        let failing = spawn(move || theirs.put_in_error());
        mine.put_in_error();
        assert_eq!(picked(&balancer).member().name(), "b");
        join(failing);

        assert_eq!(picked(&balancer).member().name(), "b");
        assert!(balancer.next_timed_change().is_some());
    });
}

#[test]
fn loom_an_error_is_not_lost_while_a_pick_renews_the_picture() {
    check(|| {
        let balancer = empty()
            .forced_recovery(false)
            .member("a", (), MemberSpec::new())
            .member("b", (), MemberSpec::new())
            .build()
            .unwrap();
        let lease = picked(&balancer);
        assert_eq!(lease.member().name(), "a");
        // Something is due already, so that the pick renews the picture.
        balancer.shared().agenda.make_due();
        let failing = spawn(move || {
            lease.put_in_error();
            drop(lease);
        });
        drop(picked(&balancer));
        join(failing);

        for _ in 0..2 {
            assert_eq!(picked(&balancer).member().name(), "b");
        }
        assert_eq!(balancer.core.view.load().picture.group_len(), 1);
        assert_eq!(
            (in_flight(&balancer, "a"), in_flight(&balancer, "b")),
            (0, 0)
        );
    });
}

#[test]
fn loom_no_member_in_error_is_picked_with_an_older_picture() {
    check(|| {
        let balancer = empty()
            .forced_recovery(false)
            .member("a", (), MemberSpec::new())
            .member("b", (), MemberSpec::new())
            .build()
            .unwrap();
        drop(picked(&balancer));
        drop(picked(&balancer));
        // It is the turn of "a"; and while another caller renews, no pick does.
        balancer.shared().agenda.make_due();
        let other = balancer.clone();
        let renewing = spawn(move || other.apply_timed_changes());
        let member = balancer.member("a").unwrap();
        balancer.shared().put_in_error(&member, None);
        assert_eq!(picked(&balancer).member().name(), "b");
        join(renewing);
    });
}

#[test]
fn loom_an_error_is_not_lost_while_an_operator_changes_the_member() {
    check(|| {
        let balancer = empty()
            .forced_recovery(false)
            .member("a", (), MemberSpec::new())
            .member("b", (), MemberSpec::new().with_tier(1))
            .build()
            .unwrap();
        let lease = picked(&balancer);
        let failing = spawn(move || lease.put_in_error());
        balancer.set_flag("a", Flag::HotStandby).unwrap();
        join(failing);

        let status = balancer.member("a").unwrap().status();
        assert!(status.contains(Flag::InError) && status.contains(Flag::HotStandby));
        assert_eq!(picked(&balancer).member().name(), "b");
    });
}

#[test]
fn loom_an_ejection_that_ends_does_not_wipe_out_a_new_error() {
    check(|| {
        let clock = ManualClock::new();
        let balancer = Balancer::builder()
            .clock(clock.clone())
            .seed(1)
            .forced_recovery(false)
            .member("a", (), MemberSpec::new().with_recovery_delay(DELAY))
            .build()
            .unwrap();
        let lease = picked(&balancer);
        balancer.eject("a", DELAY, "slow").unwrap();
        clock.advance(DELAY);
        let failing = spawn(move || lease.put_in_error());
        drop(pick(&balancer));
        join(failing);

        assert!(pick(&balancer).is_err());
        let member = balancer.member("a").unwrap();
        assert_eq!(member.status().to_string(), "in error");
        let health = member.health();
        assert!(health.outage(Flag::InError).is_some() && health.outage(Flag::Ejected).is_none());
        clock.advance(DELAY);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_recovery_and_an_error_leave_flags_that_their_record_explains() {
    check(|| {
        let balancer = empty()
            .forced_recovery(false)
            .member("a", (), MemberSpec::new())
            .build()
            .unwrap();
        let lease = picked(&balancer);
        balancer.set_flag("a", Flag::InError).unwrap();
        let failing = spawn(move || lease.put_in_error());
        balancer.recover("a").unwrap();
        join(failing);

        // Either came last.
        let member = balancer.member("a").unwrap();
        let (status, health) = (member.status(), member.health());
        assert_eq!(status.is_usable(), health.is_good());
        assert_eq!(status.is_usable(), pick(&balancer).is_ok());
        assert_eq!(status.is_usable(), balancer.next_timed_change().is_none());
    });
}
