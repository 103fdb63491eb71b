//! nginx as a member that speaks HTTP/2 and closes its connections every so often.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use equipoise::proxy::{EdgeLayer, Endpoint, Forwarding, HttpVersions, ReverseProxy};
use equipoise::service::{BufferUpTo, RequestBody};
use equipoise::{BalanceLayer, Balancer};
use http::Request;
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};

use super::within;

/// It dies when it is dropped, with its files.
struct Nginx {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    fn start(requests: u32) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = std::env::temp_dir().join(format!("equipoise-nginx-{}", address.port()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "daemon off; master_process off; error_log {0}/error crit; pid {0}/pid;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;
               fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
               server {{
                 listen {address} http2; keepalive_requests {requests};
                 # Which reads the whole of a request first.
                 location / {{ proxy_pass http://unix:{0}/socket; }}
               }}
               server {{
                 listen unix:{0}/socket;
                 location / {{ return 200 ok; }}
               }}
             }}",
            folder.display()
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let child = spawn(&file, &folder);
        Self {
            child,
            folder,
            address,
        }
    }

    async fn is_up(&self) {
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    fn endpoint(&self) -> Endpoint {
        let uri = format!("http://{}", self.address).parse().unwrap();
        let endpoint = Endpoint::builder(uri).versions(HttpVersions::Http2);
        endpoint.build().unwrap()
    }
}

fn spawn(file: &Path, folder: &Path) -> Child {
    let mut command = Command::new("nginx");
    command.arg("-c").arg(file).arg("-p").arg(folder);
    command.stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// How many of 6 000 requests fail, fifty at a time.
async fn failures<S, B>(proxy: S) -> usize
where
    S: Service<Request<Full<Bytes>>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Send,
{
    let client = |proxy: S| async move {
        let mut failed = 0;
        for _ in 0..120 {
            let request = Request::post("/").header("host", "example.org");
            let request = request.body(Full::from("so much")).unwrap();
            let answered = match proxy.clone().oneshot(request).await {
                Ok(answer) if answer.status() == 200 => answer.into_body().collect().await.ok(),
                _ => None,
            };
            failed += usize::from(answered.is_none());
        }
        failed
    };
    let clients: Vec<_> = (0..50)
        .map(|_| tokio::spawn(client(proxy.clone())))
        .collect();
    let mut failed = 0;
    for client in clients {
        failed += client.await.unwrap();
    }
    failed
}

fn proxy<P>(nginx: &Nginx, bodies: P) -> ReverseProxy<P>
where
    P: RequestBody<Full<Bytes>>,
{
    let balancer = Balancer::new([("a", nginx.endpoint())]).unwrap();
    let layer = BalanceLayer::new(balancer).request_body(bodies);
    ReverseProxy::from_parts(layer, EdgeLayer::new(Forwarding::new()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn no_post_fails_behind_one_that_ends_its_connections_all_the_time() {
    for requests in [1_000, 100] {
        let nginx = Nginx::start(requests);
        within(nginx.is_up()).await;
        let counted = proxy(&nginx, equipoise::service::Counted::default());
        assert_eq!(within(failures(counted)).await, 0, "{requests}");
        let buffered = proxy(&nginx, BufferUpTo(64 * 1024));
        assert_eq!(within(failures(buffered)).await, 0, "{requests}, buffered");
    }
}
