//! Places: what holds for some paths only.

use std::net::SocketAddr;

use crate::client::{ask, get, send};
use crate::member::Member;
use crate::running::run;

#[tokio::test]
async fn the_mapping_of_a_place_counts_before_the_list() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "ProxyPass /app/deep {url}/list\n\
         ProxyPass / {url}/all/\n\
         <Location /app>\nProxyPass {url}/place\n</Location>\n\
         <Location /app/inner>\nProxyPass {url}/inner\n</Location>\n\
         <Location /app/none>\nProxyPass !\n</Location>\n\
         <LocationMatch \"^/match/([0-9]+)$\">\nProxyPassMatch {url}/number/$1\n</LocationMatch>\n"
    ))
    .await;
    for (path, asked) in [
        ("/x", "/all/x"),
        ("/app", "/place"),
        ("/app/x", "/place/x"),
        ("/app/deep/x", "/place/deep/x"),
        ("/application", "/all/application"),
        ("/app/inner/x?q=1", "/inner/x?q=1"),
        ("//app//inner//x", "/inner/x"),
        ("/%61pp/inner/x", "/inner/x"),
        ("/match/12", "/number/12"),
        ("/match/12a", "/all/match/12a"),
    ] {
        let answer = get(running.at(), path).await;
        assert_eq!(answer.asked(), format!("GET {asked}"), "{path}");
    }
    assert_eq!(get(running.at(), "/app/none/x").await.status, 404);
    assert_eq!(get(running.at(), "/app/none").await.status, 404);
    assert_eq!(get(running.at(), "/app/nonesuch").await.status, 200);
}

#[tokio::test]
async fn an_exclusion_counts_only_before_the_rule_that_it_excepts_from() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "ProxyPass /before/not !\nProxyPass /before {url}/b\n\
         ProxyPass /after {url}/a\nProxyPass /after/not !\n\
         ProxyPassMatch \\.gif$ !\nProxyPass /pictures {url}/p\n"
    ))
    .await;
    for (path, status) in [
        ("/before/x", 200),
        ("/before/not/x", 404),
        ("/before/%6eot/x", 404),
        ("/after/not/x", 200),
        ("/pictures/x.png", 200),
        ("/pictures/x.gif", 404),
        ("/unmapped", 404),
    ] {
        assert_eq!(get(running.at(), path).await.status, status, "{path}");
    }
}

/// Paths that some server reads as `/admin` or below.
const ADMIN: &[&str] = &[
    "/admin",
    "/admin/",
    "/admin/x",
    "/admin?x",
    "//admin",
    "/admin//x",
    "///admin/x",
    "/%61dmin",
    "/%61%64%6D%69%6e/x",
    "/./admin",
    "/x/../admin",
    "/x/%2e%2e/admin",
    "/%2e/admin",
    "/admin;x",
    "/admin;x=1/y",
    "/x/..;/admin",
    "/;x/admin",
    "/admin/..;/admin/x",
    "/admin%2fx",
    "/%2fadmin",
    "/x/..%2fadmin",
    "/\\admin",
    "/admin\\x",
    "/admin%5cx",
    "/admin%00",
    "/admin/%zz",
    "/admin/..",
    "/admin/../admin",
    "/admin/.",
];

#[tokio::test]
async fn what_is_denied_is_denied_in_every_spelling() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\n<Location /admin>\nRequire all denied\n</Location>\n\
         <Location /admin/>\nHeader set X-Place yes\n</Location>\n",
        member.url()
    ))
    .await;
    for path in ADMIN {
        let answer = get(running.at(), path).await;
        assert!([400, 403].contains(&answer.status), "{path} {answer:?}");
        let lines = format!(
            "GET http://front.example{path} HTTP/1.1\r\nHost: front.example\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = send(running.at(), &lines).await;
        assert!([400, 403].contains(&answer.status), "{path} {answer:?}");
        let answer = ask(running.at(), "POST", path, "Content-Length: 0\n").await;
        assert!([400, 403].contains(&answer.status), "{path} {answer:?}");
    }
    assert_eq!(member.requests(), 0);
    assert_eq!(get(running.at(), "/administration").await.status, 200);
}

/// Servers differ in whether that slash ends the parameters.
#[tokio::test]
async fn an_escaped_slash_in_parameters_leads_round_no_rule() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass /api/hidden !\nProxyPass / {}/\n\
         <Location /api/admin>\nRequire all denied\n</Location>\n",
        member.url()
    ))
    .await;
    for path in [
        "/api;%2fx/admin",
        "/api;x%2F/admin/y",
        "/api;%5cx/admin",
        "/api;\\x/admin",
        "/api;%2fx\\admin",
        "/api%3b%2fx/admin",
    ] {
        let answer = get(running.at(), path).await;
        assert_eq!(answer.status, 403, "{path} {answer:?}");
        let hidden = path.replace("admin", "hidden");
        let answer = get(running.at(), &hidden).await;
        assert_eq!(answer.status, 404, "{hidden} {answer:?}");
    }
    assert_eq!(member.requests(), 0);
}

#[tokio::test]
async fn what_a_pattern_denies_is_denied_in_every_spelling() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\n<LocationMatch ^/admin>\nRequire all denied\n</LocationMatch>\n",
        member.url()
    ))
    .await;
    for path in ADMIN {
        let answer = get(running.at(), path).await;
        assert!([400, 403].contains(&answer.status), "{path} {answer:?}");
    }
    assert_eq!(member.requests(), 0);
}

#[tokio::test]
async fn a_place_within_a_place_decides_for_itself() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\n\
         <Location />\nRequire all denied\n</Location>\n\
         <Location /open>\nRequire all granted\n</Location>\n\
         <Location /open/closed>\nRequire ip 192.0.2.0/24 10\n</Location>\n\
         <Location /open/here>\nRequire ip 127.0.0.0/8\n</Location>\n\
         <Location /open/local>\nRequire ip 192.0.2.1\nRequire local\n</Location>\n",
        member.url()
    ))
    .await;
    for (path, status) in [
        ("/", 403),
        ("/x", 403),
        ("/open/x", 200),
        ("/open/closed/x", 403),
        ("/open//closed", 403),
        ("/open/here", 200),
        ("/open/local/x", 200),
    ] {
        assert_eq!(get(running.at(), path).await.status, status, "{path}");
    }
}

/// "A local address: the client address matches 127.0.0.0/8, ::1, or both the client and
/// the server address of the connection are the same."
#[tokio::test]
async fn local_is_also_who_comes_from_the_address_that_was_asked() {
    let Some(own) = own_address() else {
        return; // This machine has nothing but itself.
    };
    let member = Member::start("m").await;
    let place = format!(
        "ProxyPass / {}/\n<Location />\nRequire local\n</Location>\n",
        member.url()
    );
    for ip in ["0.0.0.0", &own] {
        let running = run(&format!("Listen {ip}:0\n{place}")).await;
        let to = SocketAddr::new(own.parse().unwrap(), running.at().port());
        assert_eq!(get(to, "/").await.status, 200, "Listen {ip}");
    }
}

/// An address of this machine by which others reach it.
fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: it only finds out from where it would be.
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then(|| own.to_string())
}

#[tokio::test]
async fn pages_of_httpd_itself_are_not_there() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "<Location /balancer-manager>\nSetHandler balancer-manager\nRequire local\n</Location>\n\
         <Location /closed>\nSetHandler balancer-manager\nRequire all denied\n</Location>\n\
         ProxyPass /balancer-manager !\nProxyPass /closed !\nProxyPass / {}/\n",
        member.url()
    ))
    .await;
    assert_eq!(get(running.at(), "/balancer-manager").await.status, 501);
    assert_eq!(get(running.at(), "/balancer-manager?x=1").await.status, 501);
    assert_eq!(get(running.at(), "/closed").await.status, 403);
    assert_eq!(get(running.at(), "/x").await.status, 200);
}

#[tokio::test]
async fn a_host_closes_what_the_main_server_leaves_open() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\n<Location /a>\nRequire all denied\n</Location>\n\
         <VirtualHost *:*>\nServerName open.example\n\
         <Location /a>\nRequire all granted\n</Location>\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName closed.example\n</VirtualHost>\n",
        member.url()
    ))
    .await;
    for (host, status) in [("open.example", 200), ("closed.example", 403)] {
        let answer = crate::client::get_at(running.at(), host, "/a").await;
        assert_eq!(answer.status, status, "{host}");
    }
}
