//! What a system hands out: its balancers, by name.

use equipoise::Flag;

use crate::client::{get, get_at};
use crate::member::Member;
use crate::running::run;

/// "The main server's, or else that of the first virtual host that has one."
#[tokio::test]
async fn a_balancer_is_that_of_the_first_host_that_has_one() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let host = |name: &str, member: &Member| {
        format!(
            "<VirtualHost *:*>\nServerName {name}\n<Proxy balancer://c>\n\
             BalancerMember {}\n</Proxy>\nProxyPass / balancer://c/\n</VirtualHost>\n",
            member.url()
        )
    };
    let hosts = [host("z.example", &one), host("a.example", &two)].concat();
    let running = run(&hosts).await;
    assert_eq!(running.balancer("c").name(), Some("c"));
    let members = running.balancer("c").members();
    assert_eq!(members[0].name(), one.url());
    for (host, member) in [("z.example", "one"), ("a.example", "two")] {
        assert_eq!(get_at(running.at(), host, "/").await.member(), member);
    }
}

#[tokio::test]
async fn a_member_that_is_alone_is_a_balancer_by_its_url() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!("ProxyPass /a {url}/x\nProxyPass /b {url}/y\n")).await;
    let balancer = running.balancer(&url);
    assert_eq!(balancer.name(), Some(&*url));
    assert_eq!(get(running.at(), "/a/1").await.asked(), "GET /x/1");
    assert_eq!(get(running.at(), "/b/1").await.asked(), "GET /y/1");
    assert_eq!(balancer.members()[0].picked(), 2);
    balancer.set_flag(&url, Flag::Disabled).unwrap();
    assert_eq!(get(running.at(), "/a/1").await.status, 503);
    balancer.clear_flag(&url, Flag::Disabled).unwrap();
    assert_eq!(get(running.at(), "/a/1").await.status, 200);
}

#[tokio::test]
async fn the_case_of_a_balancers_name_does_not_count() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "<Proxy balancer://MyCluster>\nBalancerMember {}\n</Proxy>\n\
         ProxyPass / balancer://mycluster/\nProxyPassReverse / balancer://MYCLUSTER/\n",
        member.url()
    ))
    .await;
    let target = format!("/?Location={}/x", member.url());
    let answer = get(running.at(), &target).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("location").unwrap().ends_with("/x"));
    assert!(
        !answer
            .header("location")
            .unwrap()
            .starts_with(&member.url())
    );
    assert_eq!(running.balancer("mycluster").members().len(), 1);
}

#[tokio::test]
async fn a_balancer_without_members_answers_503() {
    let running = run("<Proxy balancer://c>\n</Proxy>\nProxyPass / balancer://c/\n").await;
    assert_eq!(get(running.at(), "/").await.status, 503);
    let member = Member::start("m").await;
    running.reload(&format!(
        "<Proxy balancer://c>\nBalancerMember {}\n</Proxy>\nProxyPass / balancer://c/\n",
        member.url()
    ));
    assert_eq!(get(running.at(), "/").await.status, 200);
}

#[tokio::test]
async fn a_balancer_that_is_mapped_later_is_there_already() {
    let member = Member::start("m").await;
    let balancer = format!(
        "<Proxy balancer://c>\nBalancerMember {}\n</Proxy>\n",
        member.url()
    );
    let running = run(&balancer).await;
    let handle = running.balancer("c");
    running.reload(&format!("{balancer}ProxyPass / balancer://c/\n"));
    assert_eq!(get(running.at(), "/").await.status, 200);
    assert_eq!(handle.members()[0].picked(), 1);
    assert!(running.system.balancer("d").is_none());
}

#[tokio::test]
async fn what_runs_can_be_written_and_read_again() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {} route=1 loadfactor=1.5 status=I\n\
         ProxySet stickysession=S|s lbmethod=bybusyness\n</Proxy>\n\
         <Location /a>\nRequire local\nHeader add Set-Cookie \"a=.%{{BALANCER_NAME}}e; path=/\" \
         env=BALANCER_ROUTE_CHANGED\nProxyPass balancer://c/x\n</Location>\n",
        member.url()
    ))
    .await;
    let before = get(running.at(), "/a/1").await;
    running.reload(&running.system.config().to_string());
    let after = get(running.at(), "/a/1").await;
    assert_eq!((before.status, before.asked()), (200, "GET /x/1"));
    assert_eq!((after.status, after.asked()), (200, "GET /x/1"));
    assert_eq!(after.header("set-cookie"), Some("a=.balancer://c; path=/"));
    assert_eq!(running.balancer("c").members()[0].picked(), 2);
}
