//! What an HTTP probe sends, and which answers it takes for good.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use equipoise::health::{HttpProbe, HttpProbeBuilder, HttpProbeError, Probe, ProbeTarget};
use http::{Method, Response, Version};
use http_body_util::Full;

use crate::member::{Served, Served2, failure, probed};

fn good() -> &'static [u8] {
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"
}

async fn sent(probe: HttpProbeBuilder, path: &'static str) -> String {
    let member = Served::answering(good()).await;
    let target = member.target().with_host("the.host:80").with_path(path);
    probed(&probe.build().unwrap(), target).await.unwrap();
    let mut heads = member.heads.lock().unwrap();
    heads.remove(0)
}

#[tokio::test]
async fn requests_are_those_of_apache_with_one_slash() {
    let versions = [
        (Version::HTTP_10, "HTTP/1.0"),
        (Version::HTTP_11, "HTTP/1.1"),
    ];
    for (version, written) in versions {
        let head = |line: &str| format!("{line} {written}\r\nHost: the.host:80\r\n\r\n");
        let options = HttpProbe::options().version(version);
        assert_eq!(sent(options, "/app").await, head("OPTIONS *"));
        let get = HttpProbe::get("/health?x=1").version(version);
        assert_eq!(sent(get, "/").await, head("GET /health?x=1"));
        let with = |path| HttpProbe::head(path).version(version);
        // Apache sends `///status`, `/app//status` and, for the last, no path at all.
        assert_eq!(sent(with("/status"), "/").await, head("HEAD /status"));
        assert_eq!(
            sent(with("/status"), "/app").await,
            head("HEAD /app/status")
        );
        assert_eq!(sent(with("status"), "/app").await, head("HEAD /app/status"));
        assert_eq!(sent(with(""), "").await, head("HEAD /"));
    }
}

#[tokio::test]
async fn method_host_and_further_headers_are_the_callers() {
    let probe = HttpProbe::request(Method::POST, "/ping")
        .header("Authorization", "Bearer it")
        .header("X-Check", "1")
        .host("shop.example.org");
    let wanted = "POST /ping HTTP/1.1\r\nHost: shop.example.org\r\nAuthorization: Bearer it\r\n\
        X-Check: 1\r\n\r\n";
    assert_eq!(sent(probe, "/").await, wanted);
    // `Host` as a header is the same.
    let probe = HttpProbe::get("/").header("host", "other");
    let wanted = "GET / HTTP/1.1\r\nHost: other\r\n\r\n";
    assert_eq!(sent(probe, "/").await, wanted);
}

#[tokio::test]
async fn the_statuses_of_apache_pass_and_others_fail() {
    let probes = [
        HttpProbe::options(),
        HttpProbe::head("/"),
        HttpProbe::get("/"),
    ];
    for probe in probes.map(|probe| probe.build().unwrap()) {
        for (status, passes) in [
            (199, false),
            (200, true),
            (204, true),
            (299, true),
            (301, true),
            (304, true),
            (399, true),
            (400, false),
            (404, false),
            (429, false),
            (500, false),
            (503, false),
            (599, false),
        ] {
            let answer = format!("HTTP/1.1 {status} It\r\nContent-Length: 0\r\n\r\n");
            let member = Served::answering(answer).await;
            let found = probed(&probe, member.target()).await;
            if status == 199 {
                // An interim answer, after which none comes.
                assert!(found.is_err());
                continue;
            }
            let told = found.map_err(|error| error.to_string());
            let wanted = format!("{} answered {status}", probe.name());
            assert_eq!(told, if passes { Ok(()) } else { Err(wanted) });
        }
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Served::answering(good()).await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        elsewhere.address
    );
    let member = Served::answering(answer).await;
    let probe = HttpProbe::get("/").build().unwrap();
    probed(&probe, member.target()).await.unwrap();
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn conditions_on_the_answer_are_held() {
    let answer = "HTTP/1.1 200 OK\r\nX-Role: primary\r\nContent-Length: 12\r\n\r\nready lag=3s";
    let member = Served::answering(answer).await;
    let get = || HttpProbe::get("/status");
    let good = get()
        .status(200..=200)
        .expect_header("X-Role", "primary")
        .expect_body("ready")
        .expect_body_matching("lag=[0-9]s$")
        .expect_by(|answer| match answer.body().len() {
            12 => Ok(()),
            other => Err(format!("{other} bytes").into()),
        });
    probed(&good.build().unwrap(), member.target())
        .await
        .unwrap();
    for (probe, why) in [
        (get().status(201..), "GET /status answered 200"),
        (
            get().expect_header("X-Role", "spare"),
            "GET /status: the response has no x-role: spare",
        ),
        (
            get().expect_body("asleep"),
            "GET /status: \"asleep\" is not in the body",
        ),
        (
            get().expect_by(|_| Err("I do not like it".into())),
            "GET /status: I do not like it",
        ),
    ] {
        assert_eq!(failure(&probe.build().unwrap(), member.target()).await, why);
    }
}

#[test]
fn what_cannot_be_sent_or_expected_is_refused_when_it_is_built() {
    let get = |path: &str| HttpProbe::get(path);
    let path = get("/x\r\nX-Evil: 1").build();
    assert!(matches!(path, Err(HttpProbeError::Path { .. })));
    for (name, value) in [
        ("X-Ok", "a\r\nX-Evil: 1"),
        ("X Bad", "a"),
        ("X-Bad:", "a"),
        ("Host", "a\nb"),
        ("Host", "a b"),
        ("Host", "me@a"),
        ("Host", "a/b"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
    ] {
        let built = get("/").header(name, value).build();
        assert!(
            matches!(built, Err(HttpProbeError::Header { .. })),
            "{name}"
        );
    }
    let never = get("/").expect_header("X-Role", "a\r\nb").build();
    assert!(matches!(never, Err(HttpProbeError::Header { .. })));
    let body = HttpProbe::head("/").expect_body("x").build();
    assert!(matches!(body, Err(HttpProbeError::NoBody { .. })));
    let regex = get("/").expect_body_matching("(").build();
    assert!(matches!(regex, Err(HttpProbeError::Regex { .. })));
    let version = get("/").version(Version::HTTP_3).build();
    assert!(matches!(version, Err(HttpProbeError::Version { .. })));
}

#[tokio::test]
async fn a_member_is_asked_over_http_2() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let told = seen.clone();
    let member = Served2::by(move |request| {
        let line = format!("{} {}", request.method(), request.uri());
        told.lock().unwrap().push(line);
        Response::new(Full::new(Bytes::from_static(b"ready")))
    });
    let target = || ProbeTarget::from(member.address);
    for keeps in [false, true] {
        let probe = HttpProbe::get("/status")
            .version(Version::HTTP_2)
            .expect_body("ready");
        let probe = if keeps { probe.keep_alive() } else { probe };
        let target = target().with_path("/app").with_host("it.internal");
        let probe = probe.build().unwrap();
        probed(&probe, target.clone()).await.unwrap();
        probed(&probe, target).await.unwrap();
    }
    let options = HttpProbe::options().version(Version::HTTP_2);
    probed(&options.build().unwrap(), target()).await.unwrap();
    let seen = seen.lock().unwrap();
    let address = member.address;
    assert_eq!(seen[..4], ["GET http://it.internal/app/status"; 4]);
    assert_eq!(seen[4], format!("OPTIONS http://{address}*"));
}

#[tokio::test]
async fn a_member_that_speaks_no_http_2_fails() {
    let member = Served::answering(good()).await;
    let probe = HttpProbe::get("/")
        .version(Version::HTTP_2)
        .build()
        .unwrap();
    let why = failure(&probe, member.target()).await;
    assert!(why.starts_with("GET /: "), "{why}");
}
