//! How many header lines a head may have, of requests and of answers.

use equipoise::proxy::{HttpVersions, Server};
use http::{Request, Response, Version};
use hyper::body::Incoming;

use super::client::{Client, asking};
use super::front::Front;
use super::member::{Member, empty, full, proxy};
use super::within;

/// A member that answers with as many header lines as the path says.
async fn verbose() -> Member {
    Member::start(async |request: Request<Incoming>| {
        let lines: usize = request.uri().path()[1..].parse().unwrap();
        let mut answer = Response::builder();
        for line in 0..lines {
            answer = answer.header(format!("x-{line}"), "1");
        }
        answer.body(full("all")).unwrap()
    })
    .await
}

async fn statuses(front: &Front, version: Version, lines: &[usize]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for lines in lines {
        let mut client = Client::connect(front.address, version).await;
        let request = asking("GET", &format!("/{lines}")).body(empty()).unwrap();
        statuses.push(client.ask(request).await.status);
    }
    statuses
}

#[tokio::test]
async fn an_answer_may_have_a_hundred_lines_and_more_where_that_is_said() {
    within(async {
        let member = verbose().await;
        for (versions, expected) in [
            (HttpVersions::Http1, [200, 502]),
            // There, its bytes are counted.
            (HttpVersions::Http2, [200, 200]),
        ] {
            let endpoint = member.endpoint().versions(versions);
            let front = Front::start(Server::new(), proxy([endpoint]));
            let got = statuses(&front, Version::HTTP_2, &[90, 150]).await;
            assert_eq!(got, expected, "{versions:?}");

            let endpoint = member.endpoint().versions(versions).max_headers(200);
            let front = Front::start(Server::new(), proxy([endpoint]));
            let got = statuses(&front, Version::HTTP_2, &[90, 150, 190, 250]).await;
            assert_eq!(got, [200, 200, 200, 502], "{versions:?}");

            let endpoint = member.endpoint().versions(versions).max_headers(20);
            let front = Front::start(Server::new(), proxy([endpoint]));
            let got = statuses(&front, Version::HTTP_2, &[10, 30, 10]).await;
            assert_eq!(got, [200, 502, 200], "{versions:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_may_have_a_hundred_lines_and_more_where_that_is_said() {
    within(async {
        let member = Member::telling().await;
        let status = async |server: Server, version: Version, lines: usize| {
            let endpoint = member.endpoint().versions(HttpVersions::Http2);
            let front = Front::start(server, proxy([endpoint]));
            let mut client = Client::connect(front.address, version).await;
            let mut request = asking("GET", "/");
            for line in 0..lines {
                request = request.header(format!("x-{line}"), "1");
            }
            client.ask(request.body(empty()).unwrap()).await.status
        };
        let (one, two) = (Version::HTTP_11, Version::HTTP_2);
        for (limit, version, lines, expected) in [
            (None, one, 90, 200),
            (None, one, 150, 431),
            (None, two, 150, 200),
            (Some(200), one, 150, 200),
            (Some(200), one, 250, 431),
            (Some(200), two, 150, 200),
            (Some(200), two, 250, 431),
            (Some(20), one, 30, 431),
            (Some(20), two, 30, 431),
        ] {
            let server = match limit {
                Some(limit) => Server::new().max_headers(limit),
                None => Server::new(),
            };
            let got = status(server, version, lines).await;
            assert_eq!(got, expected, "{limit:?} {version:?} {lines}");
        }
    })
    .await;
}

#[tokio::test]
async fn any_number_of_lines_can_be_allowed() {
    within(async {
        let member = verbose().await;
        let one = HttpVersions::Http1;
        let endpoint = member.endpoint().versions(one).max_headers(usize::MAX);
        let server = Server::new().max_headers(usize::MAX);
        let front = Front::start(server, proxy([endpoint]));
        assert_eq!(statuses(&front, Version::HTTP_11, &[90]).await, [200]);
    })
    .await;
}
