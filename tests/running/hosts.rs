//! Whose host a request is for.

use crate::client::{get, get_at, send};
use crate::member::Member;
use crate::running::run;

/// Hosts that lead to paths of one member, by which they are told apart.
async fn answered_by(text: &str, cases: &[(&str, &str)]) {
    let member = Member::start("m").await;
    let running = run(&text.replace("MEMBER", &member.url())).await;
    for (host, expected) in cases {
        let answer = get_at(running.at(), host, "/x").await;
        assert_eq!(answer.asked(), format!("GET /{expected}/x"), "{host}");
    }
}

#[tokio::test]
async fn a_host_is_known_by_its_name_and_the_first_serves_whoever_is_not_known() {
    answered_by(
        "<VirtualHost *:*>\nServerName a.example\nProxyPass / MEMBER/a/\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName b.example:80\nServerAlias c.example *.d.example\n\
         ProxyPass / MEMBER/b/\n</VirtualHost>\n\
         ProxyPass / MEMBER/main/\n",
        &[
            ("a.example", "a"),
            ("b.example", "b"),
            ("B.Example:8080", "b"),
            ("b.example.", "b"),
            ("c.example", "b"),
            ("x.d.example", "b"),
            ("x.y.d.example", "b"),
            ("d.example", "a"),
            ("unknown.example", "a"),
        ],
    )
    .await;
}

/// "The first matching ServerName or ServerAlias is used, with no different precedence for
/// wildcards (nor for ServerName vs. ServerAlias)."
#[tokio::test]
async fn of_two_hosts_that_fit_the_first_counts_be_it_by_a_pattern() {
    answered_by(
        "<VirtualHost *:*>\nServerName a.example\nServerAlias *.example\n\
         ProxyPass / MEMBER/a/\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName b.example\nProxyPass / MEMBER/b/\n</VirtualHost>\n",
        &[("a.example", "a"), ("b.example", "a")],
    )
    .await;
}

#[tokio::test]
async fn the_main_server_serves_where_no_virtual_host_is() {
    answered_by(
        "<VirtualHost 192.0.2.1:80 *:1>\nServerName a.example\nProxyPass / MEMBER/a/\n\
         </VirtualHost>\nProxyPass / MEMBER/main/\n",
        &[("a.example", "main"), ("b.example", "main")],
    )
    .await;
}

#[tokio::test]
async fn an_address_counts_before_any_address() {
    answered_by(
        "<VirtualHost *:*>\nServerName a.example\nProxyPass / MEMBER/a/\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:*>\nServerName b.example\nProxyPass / MEMBER/b/\n\
         </VirtualHost>\n",
        // Only where the address leads, names are looked at.
        &[("a.example", "b"), ("b.example", "b")],
    )
    .await;
}

#[tokio::test]
async fn ports_distinguish_hosts() {
    let member = Member::start("m").await;
    let port = crate::doors::free().port();
    let url = member.url();
    let running = run(&format!(
        "Listen 127.0.0.1:0\nListen 127.0.0.1:{port}\n\
         <VirtualHost *:{port}>\nProxyPass / {url}/there/\n</VirtualHost>\n\
         ProxyPass / {url}/main/\n"
    ))
    .await;
    let [here, there] = running.system.local_addrs()[..] else {
        panic!("two were asked for");
    };
    assert_eq!(get(here, "/x").await.asked(), "GET /main/x");
    assert_eq!(get(there, "/x").await.asked(), "GET /there/x");
    // What the client says of the port does not count.
    let answer = get_at(here, &format!("h:{port}"), "/x").await;
    assert_eq!(answer.asked(), "GET /main/x");
}

#[tokio::test]
async fn a_door_to_all_addresses_tells_them_apart() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "Listen 0.0.0.0:0\n<VirtualHost 127.0.0.2:*>\nProxyPass / {url}/two/\n</VirtualHost>\n\
         ProxyPass / {url}/main/\n"
    ))
    .await;
    let port = running.at().port();
    let two = get(([127, 0, 0, 2], port).into(), "/x").await;
    assert_eq!(two.asked(), "GET /two/x");
    let one = get(([127, 0, 0, 1], port).into(), "/x").await;
    assert_eq!(one.asked(), "GET /main/x");
}

#[tokio::test]
async fn what_a_reload_says_of_addresses_holds_at_doors_that_stay() {
    let member = Member::start("m").await;
    let main = format!("Listen 0.0.0.0:0\nProxyPass / {}/main/\n", member.url());
    let running = run(&main).await;
    running.reload(&format!(
        "{main}<VirtualHost 127.0.0.2:*>\nProxyPass / {}/two/\n</VirtualHost>\n",
        member.url()
    ));
    let port = running.at().port();
    let two = get(([127, 0, 0, 2], port).into(), "/x").await;
    assert_eq!(two.asked(), "GET /two/x");
}

#[tokio::test]
async fn a_host_inherits_mappings_and_settings_after_its_own() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "ProxyPass /app {url}/main\nProxyPass /main {url}/main\n\
         Header set X-From main\nHeader set X-Main yes\n\
         <VirtualHost *:*>\nServerName own.example\nProxyPass /app {url}/own\n\
         Header set X-From own\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName off.example\nProxyPassInherit Off\n\
         ProxyPass /own {url}/own\n</VirtualHost>\n"
    ))
    .await;
    let own = get_at(running.at(), "own.example", "/app/x").await;
    assert_eq!(own.asked(), "GET /own/x");
    assert_eq!(own.header("x-from"), Some("own"));
    assert_eq!(own.header("x-main"), Some("yes"));
    let main = get_at(running.at(), "own.example", "/main/x").await;
    assert_eq!(main.asked(), "GET /main/x");
    for (path, status) in [("/app/x", 404), ("/main/x", 404), ("/own/x", 200)] {
        let off = get_at(running.at(), "off.example", path).await;
        assert_eq!(off.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_balancer_of_the_main_server_is_one_for_all_hosts_with_sessions_of_their_own() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {} route=1\nBalancerMember {} route=2\n\
         ProxySet stickysession=MAIN\n</Proxy>\n\
         ProxyPass / balancer://c/\n\
         <VirtualHost *:*>\nServerName main.example\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName own.example\n\
         ProxyPass / balancer://c/ stickysession=OWN\n</VirtualHost>\n",
        one.url(),
        two.url()
    ))
    .await;
    for (host, cookie, member) in [
        ("own.example", "OWN=x.2; MAIN=x.1", "two"),
        ("own.example", "OWN=x.1; MAIN=x.2", "one"),
        ("main.example", "OWN=x.1; MAIN=x.2", "two"),
        ("main.example", "OWN=x.2; MAIN=x.1", "one"),
    ] {
        let lines = format!("Host: {host}\nCookie: {cookie}\n");
        let answer = crate::client::ask(running.at(), "GET", "/", &lines).await;
        assert_eq!(answer.member(), member, "{lines}");
    }
    let members = running.balancer("c").members();
    let elected: Vec<u64> = members.iter().map(|it| it.picked()).collect();
    assert_eq!(elected, [2, 2]);
}

#[tokio::test]
async fn a_balancer_that_is_not_inherited_has_nobody() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {}\n</Proxy>\n\
         <VirtualHost *:*>\nServerName off.example\nBalancerInherit Off\nProxyPassInherit Off\n\
         ProxyPass / balancer://c/\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName on.example\nProxyPass / balancer://c/\n</VirtualHost>\n",
        member.url()
    ))
    .await;
    let off = get_at(running.at(), "off.example", "/").await;
    assert!([500, 503].contains(&off.status), "{off:?}");
    assert_eq!(get_at(running.at(), "on.example", "/").await.status, 200);
}

#[tokio::test]
async fn the_target_of_a_request_counts_before_its_host_header() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "<VirtualHost *:*>\nServerName a.example\nProxyPass / {url}/a/\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName b.example\nProxyPass / {url}/b/\n</VirtualHost>\n"
    ))
    .await;
    let text = "GET http://b.example/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    assert_eq!(send(running.at(), text).await.asked(), "GET /b/x");
}

#[tokio::test]
async fn a_name_that_is_an_address_of_ipv6_is_one() {
    answered_by(
        "<VirtualHost *:*>\nServerName a.example\nProxyPass / MEMBER/a/\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName [::1]:80\nProxyPass / MEMBER/b/\n</VirtualHost>\n",
        &[("[::1]", "b"), ("[::1]:8080", "b"), ("[::2]", "a")],
    )
    .await;
}

#[tokio::test]
async fn a_request_for_another_scheme_is_told_so() {
    let member = Member::start("m").await;
    let running = run(&format!("ProxyPass / {}/\n", member.url())).await;
    for (scheme, status) in [("ftp", 400), ("HTTP", 200), ("https", 200)] {
        let request = format!("GET {scheme}://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = send(running.at(), &request).await;
        assert_eq!(answer.status, status, "{scheme}");
        let told = answer
            .body
            .contains("the scheme of the request is not http");
        assert_eq!(told, status == 400, "{answer:?}");
    }
}
