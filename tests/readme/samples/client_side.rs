use equipoise::Balancer;
use equipoise::service::{BalanceService, BoxError, WithTarget};
use http::{Request, Uri};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // Each member is a client with connections of its own.
    let client = |uri| {
        let client = Client::builder(TokioExecutor::new()).build_http();
        WithTarget::new(Uri::from_static(uri), client)
    };
    let balancer = Balancer::new([
        ("a", client("http://127.0.0.1:8081")),
        ("b", client("http://127.0.0.1:8082")),
    ])?;
    let service = BalanceService::over(balancer); // clone it into any number of tasks
    let request = Request::get("/hello").body(String::new())?;
    let response = service.oneshot(request).await?;
    println!("{}", response.status());
    Ok(())
}
