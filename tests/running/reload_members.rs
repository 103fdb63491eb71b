//! Members while the configuration is changed: who stays keeps what it has.

use equipoise::{Flag, MemberSpec, Weight};

use crate::client::{get, until};
use crate::member::Member;
use crate::running::{Running, run};

/// A balancer with members of these parameters, and more lines.
fn text(members: &[(&Member, &str)], more: &str) -> String {
    let members = members
        .iter()
        .map(|(member, words)| format!("BalancerMember {} {words}\n", member.url()));
    let members: String = members.collect();
    format!("<Proxy balancer://c>\n{members}</Proxy>\nProxyPass / balancer://c/\n{more}")
}

/// How often each member was elected, and how many requests it has in flight.
fn counters(running: &Running) -> Vec<(u64, u32)> {
    let members = running.balancer("c").members();
    let counters = members.iter().map(|it| (it.picked(), it.in_flight()));
    counters.collect()
}

#[tokio::test]
async fn a_member_that_stays_keeps_counters_requests_and_connections() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&text(&[(&one, "")], "")).await;
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    until("held", || one.requests() == 1).await;
    assert_eq!(get(here, "/").await.status, 200);
    assert_eq!(counters(&running), [(2, 1)]);
    let connections = one.connections();
    running.reload(&text(&[(&one, "loadfactor=3"), (&two, "")], ""));
    assert_eq!(counters(&running), [(2, 1), (0, 0)]);
    one.release();
    let answer = held.await.unwrap();
    assert_eq!((answer.status, answer.member()), (200, "one"));
    until("given back", || counters(&running)[0].1 == 0).await;
    for _ in 0..8 {
        assert_eq!(get(here, "/").await.status, 200);
    }
    assert_eq!(counters(&running), [(8, 0), (2, 0)], "by their weights");
    assert_eq!(one.connections(), connections);
    assert_eq!(two.connections(), 1);
}

#[tokio::test]
async fn a_member_that_leaves_ends_its_requests() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&text(&[(&one, "")], "")).await;
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    until("held", || one.requests() == 1).await;
    running.reload(&text(&[(&two, "")], ""));
    for _ in 0..3 {
        assert_eq!(get(here, "/").await.member(), "two");
    }
    one.release();
    let answer = held.await.unwrap();
    assert_eq!((answer.status, answer.member()), (200, "one"));
    assert_eq!(counters(&running), [(3, 0)]);
}

#[tokio::test]
async fn flags_of_an_operator_stay_until_they_are_cleared() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let (first, second) = (one.url(), two.url());
    let running = run(&text(&[(&one, ""), (&two, "status=D")], "")).await;
    let balancer = running.balancer("c");
    balancer.set_flag(&first, Flag::Draining).unwrap();
    balancer.clear_flag(&second, Flag::Disabled).unwrap();
    let flags = |url: &str| {
        let member = running.balancer("c").member(url).unwrap();
        member.status().iter().collect::<Vec<_>>()
    };
    // Something else changes.
    for words in ["", "loadfactor=2", "retry=5", "timeout=7", "route=r"] {
        let disabled = format!("status=D {words}");
        running.reload(&text(&[(&one, words), (&two, &disabled)], ""));
        assert_eq!(flags(&first), [Flag::Draining], "{words}");
        assert_eq!(flags(&second), [], "{words}");
    }
    running.reload(&text(&[(&one, ""), (&two, "status=D")], "ProxyTimeout 9\n"));
    assert_eq!(flags(&first), [Flag::Draining]);
    assert_eq!(flags(&second), []);
    // Also where the file changes the same.
    running.reload(&text(&[(&one, "status=N"), (&two, "")], ""));
    assert_eq!(flags(&first), [Flag::Draining]);
    running.reload(&text(&[(&one, ""), (&two, "status=D")], ""));
    assert_eq!(flags(&first), [Flag::Draining]);
    assert_eq!(flags(&second), []);
    // What the file says holds once they are cleared.
    balancer.clear_overrides(&first);
    balancer.clear_overrides(&second);
    assert_eq!(flags(&first), []);
    assert_eq!(flags(&second), [Flag::Disabled]);
    // With something that makes new connections.
    running.reload(&text(&[(&one, "status=D"), (&two, "")], "ProxyTimeout 5\n"));
    assert_eq!(flags(&first), [Flag::Disabled]);
    assert_eq!(flags(&second), []);
}

/// "Members that stay keep .. what was overridden about them, until that is cleared."
#[tokio::test]
async fn a_weight_of_an_operator_stays_until_it_is_cleared() {
    let one = Member::start("one").await;
    let url = one.url();
    let running = run(&text(&[(&one, "")], "")).await;
    let seven = Weight::new(7).unwrap();
    let balancer = running.balancer("c");
    balancer.override_member(url.as_str(), |it| it.with_weight(seven));
    let weight = || {
        let spec: MemberSpec = running.balancer("c").spec(&url).unwrap();
        spec.weight().hundredths()
    };
    for (words, more) in [
        ("", ""),
        ("route=r", ""),
        ("route=r timeout=5", ""),
        ("route=r timeout=5", "SSLProxyVerify none\n"),
        ("loadfactor=2", ""),
    ] {
        running.reload(&text(&[(&one, words)], more));
        assert_eq!(weight(), 700, "{words} {more}");
    }
    balancer.clear_overrides(&url);
    assert_eq!(weight(), 200, "as the file says");
}

/// A member in error stays in error, whatever else the file changes.
#[tokio::test]
async fn an_error_is_not_forgiven_by_a_file_that_changes_something_else() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&text(&[(&one, ""), (&two, "")], "")).await;
    let url = one.url();
    running.balancer("c").set_flag(&url, Flag::InError).unwrap();
    for words in ["loadfactor=2", "loadfactor=2 timeout=9"] {
        running.reload(&text(&[(&one, words), (&two, "")], ""));
        let status = running.balancer("c").member(&url).unwrap().status();
        assert!(status.contains(Flag::InError), "{words}");
    }
}

/// `C` and `E` are health: the file sets them where it begins to name them, and clears them
/// where it ends to.
#[tokio::test]
async fn a_check_that_the_file_calls_failed_ends_with_its_word() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&text(&[(&one, "status=C"), (&two, "")], "")).await;
    let status = |url: String| {
        let member = running.balancer("c").member(&url).unwrap();
        member.status().to_string()
    };
    assert_eq!(status(one.url()), "failed check");
    // Also with something that makes new connections, and with something that does not.
    for more in ["timeout=9", "timeout=9 route=r"] {
        running.reload(&text(&[(&one, more), (&two, "status=C+E")], ""));
        assert_eq!(status(one.url()), "ok", "{more}");
        assert_eq!(status(two.url()), "failed check, in error", "{more}");
        running.reload(&text(
            &[(&one, &format!("{more} status=C")), (&two, "")],
            "",
        ));
        assert_eq!(status(one.url()), "failed check", "{more}");
        assert_eq!(status(two.url()), "ok", "{more}");
    }
}

#[tokio::test]
async fn another_timeout_makes_new_connections_and_keeps_counters() {
    let one = Member::start("one").await;
    let running = run(&text(&[(&one, "")], "")).await;
    let here = running.at();
    assert_eq!(get(here, "/slow/300").await.status, 200);
    running.reload(&text(&[(&one, "")], "ProxyTimeout 100ms\n"));
    assert_eq!(get(here, "/slow/1000").await.status, 502);
    assert_eq!(counters(&running), [(2, 0)]);
    running.reload(&text(&[(&one, "")], "ProxyTimeout 100s\n"));
    assert_eq!(get(here, "/slow/300").await.status, 200);
    assert_eq!(counters(&running), [(3, 0)]);
}

#[tokio::test]
async fn another_host_for_members_keeps_counters_and_flags() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let members = [(&one, ""), (&two, "")];
    let running = run(&text(&members, "")).await;
    let here = running.at();
    assert_eq!(get(here, "/").await.member(), "one");
    let balancer = running.balancer("c");
    balancer.set_flag(&two.url(), Flag::Disabled).unwrap();
    running.reload(&text(&members, "ProxyPreserveHost On\n"));
    let answer = get(here, "/").await;
    assert_eq!(answer.member(), "one");
    assert_eq!(answer.seen("host"), ["front.example"]);
    assert_eq!(get(here, "/").await.member(), "one");
    assert_eq!(counters(&running), [(3, 0), (0, 0)]);
}

#[tokio::test]
async fn whom_an_operator_added_or_removed_stays_so() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&text(&[(&one, ""), (&two, "")], "")).await;
    drop(running.balancer("c").remove(&one.url()));
    running.reload(&text(
        &[(&one, ""), (&two, "")],
        "Header always set X-New 1\nProxyTimeout 9\n",
    ));
    for _ in 0..3 {
        let answer = get(running.at(), "/").await;
        assert_eq!(
            (answer.member(), answer.header("x-new")),
            ("two", Some("1"))
        );
    }
    running.reload(&text(&[(&two, "")], ""));
    running.reload(&text(&[(&one, ""), (&two, "")], ""));
    assert_eq!(counters(&running).len(), 2);
}

#[tokio::test]
async fn who_is_in_error_stays_so() {
    let mut one = Member::start("one").await;
    let two = Member::start("two").await;
    one.kill().await;
    let running = run(&text(&[(&one, ""), (&two, "")], "")).await;
    assert_eq!(get(running.at(), "/").await.member(), "two");
    one.restart().await;
    running.reload(&text(&[(&one, "loadfactor=5"), (&two, "")], ""));
    for _ in 0..5 {
        assert_eq!(get(running.at(), "/").await.member(), "two");
    }
    assert_eq!(one.connections(), 0);
}
