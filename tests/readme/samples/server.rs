use equipoise::Balancer;
use equipoise::net::{Identity, Listener, ServerTls, shutdown_signal};
use equipoise::proxy::{Endpoint, ReverseProxy, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let balancer = Balancer::new([
        ("a", Endpoint::new("http://127.0.0.1:8081".parse()?)?),
        ("b", Endpoint::new("http://127.0.0.1:8082".parse()?)?),
    ])?;
    let tls = ServerTls::new([Identity::from_pem_files("shop.crt", "shop.key")?])?;
    let listener = Listener::bind("127.0.0.1:8443".parse()?)?;
    let server = Server::new().tls(&tls); // leave this out for plain HTTP
    server
        .serve(listener, ReverseProxy::new(balancer), shutdown_signal()?)
        .await;
    Ok(())
}
