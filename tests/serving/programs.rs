//! Ordinary clients that keep their connections, and POST to what answers without reading.

use std::convert::Infallible;
use std::net::SocketAddr;

use equipoise::proxy::{ClientBody, ReverseProxy, Server};
use http::{Request, Response};
use tokio::process::Command;
use tower::service_fn;

use super::client::bytes;
use super::front::Front;
use super::member::{balancer, endpoint};
use super::within;

const PYTHON: &str = r#"
import http.client, sys
for size in (0, 250, 60000, 1000000, 5000000):
    client = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=15)
    for _ in range(20):
        client.request("POST", "/", body=b"y" * size)
        answer = client.getresponse()
        answer.read()
        assert answer.status == int(sys.argv[2]), answer.status
print("all answered")
"#;

const NODE: &str = r#"
const http = require("http");
const [port, status] = process.argv.slice(-2);
const post = (agent, size) => new Promise((resolve, reject) => {
  const options = { port, host: "127.0.0.1", method: "POST", agent,
                    headers: { "content-length": size } };
  const request = http.request(options, (answer) => {
    if (answer.statusCode != status) reject(answer.statusCode);
    answer.resume();
    answer.on("end", resolve);
  });
  request.on("error", reject);
  request.end(Buffer.alloc(size, "y"));
});
(async () => {
  for (const size of [0, 250, 60000, 1000000, 5000000]) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let at = 0; at < 20; at++) await post(agent, size);
    agent.destroy();
  }
  console.log("all answered");
})().catch((error) => { console.log(error); process.exit(1); });
"#;

/// The same over HTTP/2, one after the other on one connection.
const NODE_2: &str = r#"
const http2 = require("http2");
const [port, status] = process.argv.slice(-2);
const client = http2.connect("http://127.0.0.1:" + port);
const post = (size) => new Promise((resolve, reject) => {
  const request = client.request({ ":method": "POST", ":path": "/" });
  request.on("response", (head) => { if (head[":status"] != status) reject(head); });
  request.on("error", reject);
  request.on("close", resolve);
  request.resume();
  request.end(Buffer.alloc(size, "y"));
});
(async () => {
  for (const size of [0, 250, 60000, 1000000, 5000000]) {
    for (let at = 0; at < 20; at++) await post(size);
  }
  client.close();
  console.log("all answered");
})().catch((error) => { console.log(error); process.exit(1); });
"#;

async fn run(program: &str, flag: &str, script: &str, address: SocketAddr, status: u16) {
    let mut command = Command::new(program);
    command.args([flag, script]);
    if program == "node" {
        command.arg("--");
    }
    command.args([address.port().to_string(), status.to_string()]);
    let output = command.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let fault = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.trim(), "all answered", "{fault}");
}

async fn each_post_is_answered(program: &str, flag: &str, script: &str) {
    within(async {
        let hello = service_fn(async |_: Request<ClientBody>| {
            Ok::<_, Infallible>(Response::new("hello".to_owned()))
        });
        let front = Front::start(Server::new(), hello);
        run(program, flag, script, front.address, 200).await;
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let dead = endpoint(nowhere.local_addr().unwrap());
        drop(nowhere);
        let front = Front::start(Server::new(), ReverseProxy::new(balancer([dead])));
        // The member is in error from its first failure on, and answers differ by then.
        let first = bytes(front.address, "GET / HTTP/1.0\r\n\r\n").await;
        assert!(first.starts_with("HTTP/1.0 50"), "{first}");
        let next = bytes(front.address, "GET / HTTP/1.0\r\n\r\n").await;
        let status = next[9..12].parse().unwrap();
        run(program, flag, script, front.address, status).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs python3"]
async fn each_post_of_pythons_client_is_answered() {
    each_post_is_answered("python3", "-c", PYTHON).await;
}

#[tokio::test]
#[ignore = "needs node"]
async fn each_post_of_nodes_client_is_answered() {
    each_post_is_answered("node", "-e", NODE).await;
    each_post_is_answered("node", "-e", NODE_2).await;
}

#[tokio::test]
#[ignore = "needs curl"]
async fn an_upload_over_http2_reads_the_answer_that_came_before_it() {
    within(async {
        let refuse = service_fn(async |_: Request<ClientBody>| {
            let answer = Response::builder().status(403);
            Ok::<_, Infallible>(answer.body("no".to_owned()).unwrap())
        });
        let front = Front::start(Server::new(), refuse);
        let url = format!("http://{}/", front.address);
        let script = format!(
            "head -c 5000000 /dev/zero | \
             curl -sS --http2-prior-knowledge --data-binary @- -w ' %{{http_code}}' {url}"
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let fault = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, "no 403", "{fault}");
    })
    .await;
}
