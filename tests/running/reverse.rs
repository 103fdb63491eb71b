//! Headers of answers that are mapped back: `ProxyPassReverse` and its like.

use crate::client::get;
use crate::member::Member;
use crate::running::run;

#[tokio::test]
async fn locations_of_any_member_are_mapped_back() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {}\nBalancerMember {}/inner\n</Proxy>\n\
         ProxyPass /app balancer://c\nProxyPassReverse /app balancer://c\n\
         ProxyPass /old http://192.0.2.1:8080\nProxyPassReverse /old http://old.example\n\
         ProxyPassReverse /app /context\n",
        one.url(),
        two.url()
    ))
    .await;
    let (one, two) = (one.url(), two.url());
    let longer = format!("{one}1/x");
    for (location, expected) in [
        (format!("{one}/x?q"), "/app/x?q"),
        (format!("{two}/inner/x"), "/app/x"),
        (one.clone(), "/app"),
        ("http://old.example/y".to_owned(), "/old/y"),
        ("/context/z".to_owned(), "/app/z"),
        // Not these.
        (longer.clone(), &longer),
        (
            "http://other.example/x".to_owned(),
            "http://other.example/x",
        ),
        ("relative/x".to_owned(), "relative/x"),
    ] {
        let mut seen = Vec::new();
        for name in ["Location", "Content-Location", "URI"] {
            let target = format!("/app/status/302?{name}={location}");
            let answer = get(running.at(), &target).await;
            assert_eq!(answer.status, 302);
            seen.push(answer.header(&name.to_ascii_lowercase()).map(str::to_owned));
        }
        for seen in seen {
            let seen = seen.unwrap_or_default();
            let absolute = format!("http://front.example{expected}");
            assert!(seen == expected || seen == absolute, "{location}: {seen}");
        }
    }
}

#[tokio::test]
async fn in_a_place_its_path_is_the_local_one() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "<Location /here>\nProxyPass {url}/there\nProxyPassReverse {url}/there\n\
         ProxyPassReverseCookiePath /there /here\n\
         ProxyPassReverseCookieDomain int.example ext.example\n</Location>\n\
         ProxyPass / {url}/\n"
    ))
    .await;
    let query = format!(
        "Location={url}/there/x&Set-Cookie=a;%20Path=/there;%20Domain=int.example;Secure\
         &Set-Cookie=b;path=/elsewhere"
    );
    let query = query.replacen("Set-Cookie=a;", "Set-Cookie=a=b;", 1);
    let answer = get(running.at(), &format!("/here/x?{query}")).await;
    let location = answer.header("location").unwrap();
    assert!(location.ends_with("/here/x"), "{location}");
    let cookies = answer.all("set-cookie");
    let [first, second] = cookies[..] else {
        panic!("{answer:?}");
    };
    let first = first.to_ascii_lowercase();
    assert!(first.contains("path=/here"), "{first}");
    assert!(first.contains("domain=ext.example"), "{first}");
    assert!(second.contains("path=/elsewhere"), "{second}");
    let outside = get(running.at(), &format!("/x?Location={url}/there/x")).await;
    let location = format!("{url}/there/x");
    assert_eq!(outside.header("location"), Some(&*location));
}

#[tokio::test]
async fn the_path_of_a_balancer_is_mapped_back_with_it() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "<Proxy balancer://alias>\nBalancerMember {url}/foo\n</Proxy>\n\
         ProxyPass /bash balancer://alias/bar\nProxyPassReverse /bash balancer://alias/bar\n"
    ))
    .await;
    let answer = get(
        running.at(),
        &format!("/bash/x?Location={url}/foo/bar/that"),
    )
    .await;
    assert_eq!(answer.asked().split('?').next(), Some("GET /foo/bar/x"));
    let location = answer.header("location").unwrap();
    assert!(
        location == "/bash/that" || location == "http://front.example/bash/that",
        "{location}"
    );
}

#[tokio::test]
async fn what_this_server_adds_itself_is_not_mapped_back() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "ProxyPass /a {url}\nProxyPassReverse /a {url}\n\
         Header always set Location {url}/x\n"
    ))
    .await;
    let location = format!("{url}/x");
    for path in ["/a", "/unmapped"] {
        let answer = get(running.at(), path).await;
        assert_eq!(answer.header("location"), Some(&*location), "{path}");
    }
}
