use equipoise::config::{Reader, build};
use equipoise::net::shutdown_signal;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (config, diagnostics) = Reader::new().parse_file("site.conf")?;
    if let Some(error) = diagnostics.iter().find(|it| it.is_error()) {
        return Err(error.to_string().into());
    }
    let running = build(config)?;
    println!("{:?}", running.local_addrs());
    running.serve(shutdown_signal()?).await;
    Ok(())
}
