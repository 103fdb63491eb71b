//! A configuration that is being served.

use std::net::SocketAddr;

use equipoise::Balancer;
use equipoise::config::{
    Config, ConfigError, RunningConfig, RunningConfigBuilder, Severity, parse,
};
use equipoise::net::Stopped;
use equipoise::proxy::Endpoint;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Running {
    pub(crate) system: RunningConfig,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Stopped>,
}

/// Reads a configuration that has to be one.
pub(crate) fn read(text: &str) -> Config {
    let (config, complaints) = parse(text);
    let errors: Vec<_> = complaints
        .iter()
        .filter(|it| it.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\nin\n{text}");
    config
}

/// Without a `Listen` of its own it has one at any port.
pub(crate) async fn run(text: &str) -> Running {
    serve(RunningConfig::builder(read(text))).await
}

pub(crate) async fn serve(builder: RunningConfigBuilder) -> Running {
    let system = builder.listen(([127, 0, 0, 1], 0).into()).build().unwrap();
    serve_system(system).await
}

pub(crate) async fn serve_system(system: RunningConfig) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let served = system.clone();
    let serving = tokio::spawn(async move {
        served
            .serve(async {
                let _ = stopped.await;
            })
            .await
    });
    // Before that nobody stands at the doors.
    tokio::task::yield_now().await;
    Running {
        system,
        stop: Some(stop),
        serving,
    }
}

impl Running {
    pub(crate) fn at(&self) -> SocketAddr {
        self.system.local_addrs()[0]
    }

    pub(crate) fn balancer(&self, name: &str) -> Balancer<Endpoint> {
        self.system.balancer(name).unwrap()
    }

    pub(crate) fn reload(&self, text: &str) {
        self.system.reload(read(text)).unwrap();
    }

    pub(crate) fn refused(&self, text: &str) -> ConfigError {
        self.system.reload(read(text)).unwrap_err()
    }

    /// Gives serving up at once, and drops the system.
    pub(crate) fn forget(self) {
        self.serving.abort();
    }

    pub(crate) async fn stop(mut self) -> Stopped {
        drop(self.stop.take());
        self.serving.await.unwrap()
    }
}
