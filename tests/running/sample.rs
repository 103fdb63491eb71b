//! The sample configuration, from a client to its members and back.

use equipoise::config::RunningConfig;

use crate::client::{ask, get};
use crate::member::Member;
use crate::running::{Running, read, serve};

const MEMBERS: &str = "<Proxy balancer://mycluster>\n\
    BalancerMember http://server1.example.com route=server1\n\
    BalancerMember http://server2.example.com route=server2\n\
    ProxySet stickysession=JSESSIONID|jsessionid\n\
    </Proxy>\n\
    Header always set X-Sticky %{BALANCER_SESSION_STICKY}e env=BALANCER_SESSION_STICKY\n\
    Header always set X-Session-Route %{BALANCER_SESSION_ROUTE}e env=BALANCER_SESSION_STICKY\n\
    Header always set X-Worker-Route %{BALANCER_WORKER_ROUTE}e env=BALANCER_NAME\n\
    Header always set X-Changed %{BALANCER_ROUTE_CHANGED}e env=BALANCER_ROUTE_CHANGED\n";

/// As it is written, and with the session's name a second time.
const BOTH: [&str; 2] = [
    "ProxyPass /app balancer://mycluster/\n",
    "ProxyPass /app balancer://mycluster/ stickysession=JSESSIONID|jsessionid\n",
];

const COOKIE: &str = "Cookie: JSESSIONID=9F.server2\n";

async fn started(mapping: &str) -> (Running, Member, Member) {
    let one = Member::start("server1").await;
    let two = Member::start("server2").await;
    let builder = RunningConfig::builder(read(&format!("{MEMBERS}{mapping}")))
        .resolve("server1.example.com", one.address)
        .resolve("server2.example.com", two.address);
    (serve(builder).await, one, two)
}

/// What a row of the trace says: member, request line, sticky name, session's route,
/// member's route, whether it changed.
type Row<'r> = (&'r str, &'r str, Option<&'r str>, Option<&'r str>, bool);

async fn check(running: &Running, target: &str, lines: &str, row: Row<'_>) {
    let answer = ask(running.at(), "GET", target, lines).await;
    let (member, asked, sticky, route, changed) = row;
    assert_eq!(answer.status, 200, "{target}");
    assert_eq!(answer.member(), member, "{target}");
    assert_eq!(answer.asked(), asked);
    assert_eq!(answer.seen("host"), [format!("{member}.example.com")]);
    assert_eq!(answer.header("x-sticky"), sticky, "{target}");
    assert_eq!(answer.header("x-session-route"), route, "{target}");
    assert_eq!(answer.header("x-worker-route"), Some(member));
    assert_eq!(answer.header("x-changed"), changed.then_some("1"));
}

fn standings(running: &Running) -> Vec<Option<i64>> {
    let balancer = running.balancer("mycluster");
    ["http://server1.example.com", "http://server2.example.com"]
        .map(|name| balancer.standing(name))
        .to_vec()
}

#[tokio::test]
async fn requests_of_the_trace_go_where_it_says() {
    for mapping in BOTH {
        let (running, _one, _two) = started(mapping).await;
        let row = ("server1", "GET /", None, None, true);
        check(&running, "/app", "", row).await;
        assert_eq!(standings(&running), [Some(-100), Some(100)]);
        let row = ("server2", "GET /x", None, None, true);
        check(&running, "/app/x", "", row).await;
        assert_eq!(standings(&running), [Some(0), Some(0)]);
        let (name, route) = (Some("JSESSIONID"), Some("server2"));
        let row = ("server2", "GET /x", name, route, false);
        check(&running, "/app/x", COOKIE, row).await;
        assert_eq!(standings(&running), [Some(100), Some(-100)]);
        let asked = "GET /x;jsessionid=9F.server1";
        let row = ("server1", asked, Some("jsessionid"), Some("server1"), false);
        check(&running, "/app/x;jsessionid=9F.server1", COOKIE, row).await;
        assert_eq!(standings(&running), [Some(0), Some(0)]);
        let target = "/app/x;jsessionid=9F.server1;v=2";
        let asked = "GET /x;jsessionid=9F.server1;v=2";
        let (name, route) = (Some("jsessionid"), Some("server1;v=2"));
        let row = ("server1", asked, name, route, true);
        check(&running, target, COOKIE, row).await;
        assert_eq!(get(running.at(), "/application").await.status, 404);
    }
}

#[tokio::test]
async fn the_session_of_a_member_that_refuses_goes_on_at_the_other() {
    for mapping in BOTH {
        let (running, one, mut two) = started(mapping).await;
        two.kill().await;
        let (name, route) = (Some("JSESSIONID"), Some("server2"));
        for _ in 0..3 {
            let row = ("server1", "GET /x", name, route, true);
            check(&running, "/app/x", COOKIE, row).await;
            assert_eq!(standings(&running), [Some(100), Some(-100)]);
        }
        assert_eq!((one.requests(), two.connections()), (3, 0));
        // It has its time to rest, though it could be reached.
        two.restart().await;
        let row = ("server1", "GET /x", name, route, true);
        check(&running, "/app/x", COOKIE, row).await;
        assert_eq!(two.connections(), 0);
    }
}

#[tokio::test]
async fn where_both_refuse_the_answer_is_503() {
    let (running, mut one, mut two) = started(BOTH[0]).await;
    one.kill().await;
    two.kill().await;
    for factor in 1..3 {
        let answer = ask(running.at(), "GET", "/app/x", COOKIE).await;
        assert_eq!(answer.status, 503);
        let standing = 100 * factor;
        assert_eq!(standings(&running), [Some(standing), Some(-standing)]);
    }
    // All are in error, so all are forgiven, and asked again at once.
    one.restart().await;
    assert_eq!(get(running.at(), "/app/x").await.status, 200);
}
