//! A port on which connections go to members by what their clients ask for, without TLS being
//! terminated; and the members.

use std::net::SocketAddr;
use std::sync::Arc;

use equipoise::forward::{Greeting, GreetingLimits, NameRoutes};
use equipoise::net::{
    Accepted, Acceptor, Connector, Identity, Listener, MemberTls, ProxyVersion, ServerTls, Stream,
};
use tokio::io::{AsyncWriteExt, copy_bidirectional};

/// A certificate that vouches for itself.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    key: String,
}

impl Certificate {
    pub(crate) fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self {
            pem: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    pub(crate) fn server(&self) -> ServerTls {
        let identity = Identity::from_pem(self.pem.as_bytes(), self.key.as_bytes());
        ServerTls::new([identity.unwrap()]).unwrap()
    }

    /// A client that accepts it, and nothing else, and asks for a name.
    pub(crate) fn client(&self, name: &str, to: SocketAddr) -> Connector {
        let tls = MemberTls::with_roots(self.pem.as_bytes()).unwrap();
        let tls = tls.with_server_name(name).unwrap();
        Connector::tcp(to).tls(&tls).unwrap()
    }
}

/// Runs a task for each connection to a free port, as long as the runtime is there.
pub(crate) fn start<F, T>(acceptor: Acceptor, task: F) -> SocketAddr
where
    F: Fn(Accepted) -> T + Clone + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(acceptor.serve(listener, task, std::future::pending()));
    address
}

/// A member that ends TLS itself, and tells its own name, and what the PROXY header tells.
pub(crate) fn member(own: &'static str, certificate: &Certificate) -> SocketAddr {
    let acceptor = Acceptor::new()
        .proxy_protocol(["127.0.0.0/8".parse().unwrap()])
        .tls(&certificate.server());
    start(acceptor, move |accepted| async move {
        let header = accepted.proxy_header().unwrap();
        let (client, here) = (header.source().unwrap(), header.destination().unwrap());
        let name = header.authority().unwrap_or("none");
        let told = format!("{own} {client} {here} {name}");
        let mut stream = accepted.into_stream();
        stream.write_all(told.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    })
}

/// The port.
pub(crate) fn front(routes: NameRoutes<Connector>) -> SocketAddr {
    let routes = Arc::new(routes);
    start(Acceptor::new(), move |accepted| {
        let routes = routes.clone();
        async move {
            pass(accepted, &routes).await;
        }
    })
}

async fn pass(accepted: Accepted, routes: &NameRoutes<Connector>) -> Option<()> {
    let mut header = accepted.next_proxy_header();
    let stream = accepted.into_stream();
    let here = stream.local_addr();
    let read = Greeting::read(stream, &GreetingLimits::new()).await;
    let (greeting, replayed) = read.ok()?;
    if let Greeting::ClientHello(hello) = &greeting {
        header = hello.add_to(header);
    }
    let member = routes.find(&greeting)?.clone();
    let member = member.proxy_header(&header, ProxyVersion::V2);
    let mut member = member.connect().await.ok()?;
    let mut client = Stream::from(replayed);
    assert_eq!(client.local_addr(), here);
    let _ = copy_bidirectional(&mut client, &mut member).await;
    Some(())
}
