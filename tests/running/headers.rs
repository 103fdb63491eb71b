//! Headers that are changed on the way there and back.

use crate::client::{ask, get, send};
use crate::member::Member;
use crate::running::run;

#[tokio::test]
async fn headers_of_answers_are_changed_as_told() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass /app {}\n\
         SetEnv SHOWN yes\n\
         Header set X-Set new\nHeader add X-Add new\nHeader append X-Append new\n\
         Header unset X-Unset\nHeader always set X-Always \"100%% %{{SHOWN}}e\"\n\
         Header set X-If 1 env=SHOWN\nHeader set X-If-Not 1 env=!SHOWN\n\
         Header set X-Unless 1 env=!HIDDEN\nHeader set X-Null \"%{{HIDDEN}}e\"\n",
        member.url()
    ))
    .await;
    let query = "X-Set=a&X-Set=b&X-Add=a&X-Append=a&X-Append=b&X-Unset=a&X-Unset=b";
    let answer = get(running.at(), &format!("/app/status/404?{query}")).await;
    assert_eq!(answer.all("x-set"), ["new"]);
    assert_eq!(answer.all("x-add"), ["a", "new"]);
    assert_eq!(answer.all("x-append").join(", "), "a, b, new");
    assert!(answer.all("x-unset").is_empty());
    assert_eq!(answer.all("x-always"), ["100% yes"]);
    assert_eq!(answer.all("x-if"), ["1"]);
    assert!(answer.all("x-if-not").is_empty());
    assert_eq!(answer.all("x-unless"), ["1"]);
    assert_eq!(answer.all("x-null"), ["(null)"]);
    let own = get(running.at(), "/none").await;
    assert_eq!(own.status, 404);
    assert_eq!(own.all("x-always"), ["100% yes"]);
    assert!(own.all("x-set").is_empty());
    assert!(own.all("x-if").is_empty());
}

#[tokio::test]
async fn headers_of_requests_are_changed_as_told() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\n\
         RequestHeader set X-Set new\nRequestHeader add X-Add new\n\
         RequestHeader append X-Append new\nRequestHeader unset X-Unset\n\
         RequestHeader set X-Forwarded-Proto https env=HTTPS\n\
         RequestHeader set X-Plain 1 env=!HTTPS\n\
         <Location /inner>\nRequestHeader set X-Set inner\nRequestHeader unset Cookie\n\
         </Location>\n",
        member.url()
    ))
    .await;
    let lines = "X-Set: a\nX-Set: b\nX-Add: a\nX-Append: a\nX-Unset: a\nCookie: c=d\n";
    let answer = ask(running.at(), "GET", "/", lines).await;
    assert_eq!(answer.seen("x-set"), ["new"]);
    assert_eq!(answer.seen("x-add"), ["a", "new"]);
    assert_eq!(answer.seen("x-append"), ["a, new"]);
    assert!(answer.seen("x-unset").is_empty());
    assert_eq!(answer.seen("x-plain"), ["1"]);
    assert_eq!(answer.seen("x-forwarded-proto"), ["http"]);
    assert_eq!(answer.seen("cookie"), ["c=d"]);
    let inner = ask(running.at(), "GET", "/inner", lines).await;
    assert_eq!(inner.seen("x-set"), ["inner"]);
    assert!(inner.seen("cookie").is_empty());
}

#[tokio::test]
async fn the_sender_is_told_and_added_to_what_was_said() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "ServerName front.example\nProxyPass / {url}/\n\
         <VirtualHost *:*>\nServerName on.example\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName off.example\nProxyAddHeaders Off\n</VirtualHost>\n"
    ))
    .await;
    let lines = "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Host: a.example\n\
                 X-Forwarded-Server: b.example\n";
    let on = ask(
        running.at(),
        "GET",
        "/",
        &format!("Host: on.example\n{lines}"),
    )
    .await;
    assert_eq!(on.seen("x-forwarded-for"), ["192.0.2.7, 127.0.0.1"]);
    assert_eq!(on.seen("x-forwarded-host"), ["a.example, on.example"]);
    assert_eq!(on.seen("x-forwarded-server"), ["b.example, on.example"]);
    let off = ask(
        running.at(),
        "GET",
        "/",
        &format!("Host: off.example\n{lines}"),
    )
    .await;
    assert_eq!(off.seen("x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(off.seen("x-forwarded-host"), ["a.example"]);
    assert_eq!(off.seen("x-forwarded-server"), ["b.example"]);
}

#[tokio::test]
async fn proxies_on_the_way_are_told_removed_or_passed() {
    let member = Member::start("m").await;
    let url = member.url();
    for (via, request, answer) in [
        (
            "On",
            vec!["1.0 old", "1.1 front.example"],
            vec!["1.1 behind", "1.1 front.example"],
        ),
        ("Off", vec!["1.0 old"], vec!["1.1 behind"]),
        ("Block", vec![], vec!["1.1 behind"]),
    ] {
        let running = run(&format!(
            "ServerName front.example\nProxyVia {via}\nProxyPass / {url}/\n"
        ))
        .await;
        let got = ask(running.at(), "GET", "/?Via=1.1%20behind", "Via: 1.0 old\n").await;
        let flat = |all: Vec<&str>| all.join(", ");
        assert_eq!(flat(got.seen("via")), request.join(", "), "{via}");
        assert_eq!(flat(got.all("via")), answer.join(", "), "{via}");
    }
}

#[tokio::test]
async fn what_is_known_of_the_member_is_exported_when_it_fails_too() {
    let mut member = Member::start("m").await;
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {} route=r\nProxySet stickysession=S\n</Proxy>\n\
         ProxyPass / balancer://c/\n\
         Header always set X-All \"%{{BALANCER_NAME}}e %{{BALANCER_WORKER_NAME}}e \
         %{{BALANCER_WORKER_ROUTE}}e %{{BALANCER_SESSION_STICKY}}e \
         %{{BALANCER_SESSION_ROUTE}}e %{{BALANCER_ROUTE_CHANGED}}e\"\n",
        member.url()
    ))
    .await;
    member.kill().await;
    let url = member.url();
    let lines = "Cookie: S=x.q\n";
    let answer = ask(running.at(), "GET", "/", lines).await;
    assert_eq!(answer.status, 503);
    let all = format!("balancer://c {url} r S q 1");
    assert_eq!(answer.header("x-all"), Some(&*all));
}

#[tokio::test]
async fn errors_of_members_are_replaced_where_it_is_said() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "ProxyPass / {url}/\n\
         <Location /all>\nProxyErrorOverride On\n</Location>\n\
         <Location /some>\nProxyErrorOverride On 503 404\n</Location>\n\
         <Location /all/off>\nProxyErrorOverride Off\n</Location>\n"
    ))
    .await;
    for (place, status, replaced) in [
        ("", 404, false),
        ("/all", 200, false),
        ("/all", 302, false),
        ("/all", 404, true),
        ("/all", 599, true),
        ("/all/off", 404, false),
        ("/some", 404, true),
        ("/some", 500, false),
        ("/some", 503, true),
    ] {
        let answer = get(running.at(), &format!("{place}/status/{status}")).await;
        assert_eq!(answer.status, status, "{place}");
        assert_eq!(answer.member().is_empty(), replaced, "{place} {status}");
        assert_eq!(answer.body.contains("GET "), !replaced, "{place} {status}");
    }
}

/// mod_proxy_http keeps what a client needs to know to ask again.
#[tokio::test]
async fn a_replaced_401_still_says_how_to_authenticate() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\nProxyErrorOverride On\n",
        member.url()
    ))
    .await;
    let answer = get(running.at(), "/status/401?WWW-Authenticate=Basic").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.member(), "");
    assert_eq!(answer.header("www-authenticate"), Some("Basic"));
}

#[tokio::test]
async fn what_a_configuration_sets_or_removes_is_in_no_trailer() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = String::new();
        while !heard.contains("\r\n0\r\n") || !heard.ends_with("\r\n\r\n") {
            let mut piece = [0; 4_096];
            let length = stream.read(&mut piece).await.unwrap();
            assert_ne!(length, 0, "{heard}");
            heard.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        let answer = "HTTP/1.1 200 OK\r\ntrailer: x-inner, x_inner, x-other\r\n\
             transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\
             x-inner: 1\r\nx_inner: 1\r\nx-other: 1\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        heard
    });
    let running = run(&format!(
        "ProxyPass / http://{member}/\nRequestHeader set X-User nobody\n\
         RequestHeader unset X-Role\nHeader unset X-Inner\n"
    ))
    .await;
    let answer = send(
        running.at(),
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, te\r\n\
         Trailer: x-user, x-role, x_role, x-other\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nab\r\n0\r\nX-User: root\r\nX-Role: root\r\nX_Role: root\r\nX_User: root\r\n\
         X-Other: 1\r\n\r\n",
    )
    .await;
    let heard = heard.await.unwrap().to_ascii_lowercase();
    assert!(heard.contains("x-user: nobody\r\n"), "{heard}");
    assert!(heard.contains("trailer: x-other\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n0\r\nx-other: 1\r\n\r\n"), "{heard}");
    assert!(
        answer.body.ends_with("\r\n0\r\nx-other: 1\r\n\r\n"),
        "{answer:?}"
    );
}

/// Many servers read `_` in a name as `-`.
#[tokio::test]
async fn what_a_configuration_sets_or_removes_comes_in_no_spelling_with_underscores() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\n\
         RequestHeader set X-My-Role guest\nRequestHeader set X_Mine guest\n\
         RequestHeader unset X-My-User\nRequestHeader unset X_Odd\n\
         RequestHeader set X-If guest env=NONE\nRequestHeader add X-More 2\n\
         Header unset X-Inner\nHeader set X-Own 1\n",
        member.url()
    ))
    .await;
    let lines = "X_My_Role: a\nX-My_Role: a\nX-Mine: a\nX_My-User: a\nX_My_User: a\n\
                 X-Odd: a\nX_Odd: a\nX_If: a\nX_More: 1\n";
    let path = "/?X_Inner=a&X-Inner=a&X_Own=a&X_Other=a";
    let answer = ask(running.at(), "GET", path, lines).await;
    assert_eq!(answer.seen("x-my-role"), ["guest"]);
    assert_eq!(answer.seen("x_mine"), ["guest"]);
    for gone in [
        "x_my_role",
        "x-my_role",
        "x-mine",
        "x_my-user",
        "x_my_user",
        "x_odd",
    ] {
        assert!(answer.seen(gone).is_empty(), "{gone}");
    }
    assert_eq!(answer.seen("x-odd"), ["a"], "that name was not removed");
    assert_eq!(answer.seen("x_if"), ["a"], "nothing was set");
    assert_eq!(answer.seen("x_more"), ["1"], "what came stays");
    assert!(answer.all("x-inner").is_empty());
    assert!(answer.all("x_inner").is_empty());
    assert_eq!(answer.all("x-own"), ["1"]);
    assert!(answer.all("x_own").is_empty());
    assert_eq!(answer.all("x_other"), ["a"]);
}
