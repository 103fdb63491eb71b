//! Runs a configuration written for Apache httpd, or checks it.
//!
//! Run it with `cargo run --release --features full --example httpd_conf`. Without a file
//! it runs the sample below, with its own backends in place of `server1.example.com` and
//! `server2.example.com`. To run a file, add `-- file.conf`; `-- file.conf --check` only
//! reports its errors. SIGHUP reloads the file.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens, and a check that fails ends it"
)]

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;
use equipoise::config::{Config, ConfigError, Diagnostic, Reader, RunningConfig, Severity};
use equipoise::net::{Listener, shutdown_signal};
use equipoise::proxy::{ClientBody, Server};
use equipoise::service::BoxError;
use http::{Request, Response};

/// The sample of httpd's documentation, as in the README.
const SAMPLE: &str = "\
<Proxy balancer://mycluster>
    BalancerMember http://server1.example.com route=server1
    BalancerMember http://server2.example.com route=server2
    ProxySet stickysession=JSESSIONID|jsessionid
</Proxy>
ProxyPass /app balancer://mycluster/
";

/// Runs a configuration written for Apache httpd, or checks it.
#[derive(Debug, Parser)]
#[command(name = "httpd_conf")]
struct Options {
    /// The configuration file; without one, a sample with its own backends.
    file: Option<PathBuf>,
    /// Reports the errors of the file without running it; the exit status is 1 if it could
    /// not run.
    #[arg(long, short = 't')]
    check: bool,
    /// The address to listen on if the configuration has no `Listen`.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Defines a variable for `${NAME}` and `<IfDefine NAME>`.
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    define: Vec<String>,
    /// Checks that a session of the sample stays at its member, and ends.
    #[arg(long, conflicts_with = "file")]
    exit: bool,
    /// Also prints notes: directives for httpd itself that have no effect here.
    #[arg(long)]
    notes: bool,
}

impl Options {
    fn reader(&self) -> Reader {
        let reader = Reader::new().environment(environment());
        self.define.iter().fold(reader, |reader, define| {
            let (name, value) = define.split_once('=').unwrap_or((define, ""));
            reader.define(name, value)
        })
    }

    /// Reads the configuration and prints its diagnostics; also returns the number of
    /// errors.
    fn read(&self) -> std::io::Result<(Config, usize)> {
        let (config, diagnostics) = match &self.file {
            Some(file) => self.reader().parse_file(file)?,
            None => self.reader().name("sample.conf").parse(SAMPLE),
        };
        Ok((config, self.show(&diagnostics)))
    }

    fn show(&self, diagnostics: &[Diagnostic]) -> usize {
        let count = |severity| {
            let same = diagnostics.iter().filter(|it| it.severity == severity);
            same.count()
        };
        for diagnostic in diagnostics {
            if diagnostic.severity != Severity::Note || self.notes {
                eprintln!("{diagnostic}");
            }
        }
        let [errors, warnings, notes] =
            [Severity::Error, Severity::Warning, Severity::Note].map(count);
        if errors + warnings + notes > 0 {
            let rest = if notes > 0 && !self.notes {
                ", shown by --notes"
            } else {
                ""
            };
            eprintln!("errors: {errors}, warnings: {warnings}, notes: {notes}{rest}");
        }
        errors
    }
}

/// Returns the environment variables that are valid text.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string(), value.into_string());
        Some((name.ok()?, value.ok()?))
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<ExitCode, BoxError> {
    let file = options.file.as_deref().unwrap_or(Path::new("the sample"));
    let unreadable = |error| format!("cannot read {}: {error}", file.display());
    let (config, errors) = options.read().map_err(unreadable)?;
    if errors > 0 {
        return Ok(ExitCode::FAILURE);
    }
    let listen = if options.exit {
        (Ipv4Addr::LOCALHOST, 0).into()
    } else {
        options.listen
    };
    let mut builder = RunningConfig::builder(config).listen(listen);
    if options.check {
        if let Err(error) = builder.check() {
            complain(&error);
            return Ok(ExitCode::FAILURE);
        }
        println!("{} is fine.", file.display());
        return Ok(ExitCode::SUCCESS);
    }
    if options.file.is_none() {
        for name in ["server1", "server2"] {
            builder = builder.resolve(format!("{name}.example.com"), backend(name)?);
        }
    }
    let system = match builder.build() {
        Ok(system) => system,
        Err(error) => {
            complain(&error);
            return Ok(ExitCode::FAILURE);
        }
    };
    for address in system.local_addrs() {
        println!("Serving {} on {address} until Ctrl-C.", file.display());
    }
    if let (None, Some(here)) = (&options.file, system.local_addrs().first()) {
        println!("\n{SAMPLE}\nTry:");
        println!("  curl -i http://{here}/app/                              # one, then the other");
        println!("  curl -i -c jar -b jar http://{here}/app/                # a session stays");
        println!(
            "  curl -i 'http://{here}/app/x;jsessionid=1.server2'      # so it does in the URL"
        );
    }
    if options.exit {
        let here = system.local_addrs();
        let stopped = system.serve(async { test_session(here[0]).await });
        println!("\nStopped. Connections cut off: {}.", stopped.await.cut());
        return Ok(ExitCode::SUCCESS);
    }
    let stop = shutdown_signal()?;
    let stopped = tokio::select! {
        stopped = system.serve(stop) => stopped,
        never = reload_on_hangup(&system, options) => match never? {},
    };
    println!("Stopped. Connections cut off: {}.", stopped.cut());
    Ok(ExitCode::SUCCESS)
}

/// Sends requests as a browser would.
async fn test_session(here: SocketAddr) {
    let client = reqwest::Client::new();
    let url = format!("http://{here}/app/");
    let first = client.get(&url).send().await.expect("a response");
    let cookie = first.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let text = first.text().await.expect("a text");
    print!("\nGET /app/                          {text}");
    for _ in 0..3 {
        let again = client.get(&url).header("cookie", &cookie).send().await;
        let again = again.expect("a response").text().await.expect("a text");
        print!("GET /app/  {cookie}  {again}");
        assert_eq!(again, text, "the session has moved");
    }
}

fn complain(error: &ConfigError) {
    for diagnostic in error.diagnostics() {
        eprintln!("{diagnostic}");
    }
}

/// Reloads the file on each SIGHUP; a file with errors changes nothing.
#[cfg(unix)]
async fn reload_on_hangup(
    system: &RunningConfig,
    options: &Options,
) -> std::io::Result<Infallible> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut hangups = signal(SignalKind::hangup())?;
    loop {
        hangups.recv().await;
        match options.read() {
            Ok((config, 0)) => match system.reload(config) {
                Ok(()) => println!("Reloaded."),
                Err(error) => complain(&error),
            },
            Ok((_, _)) => eprintln!("The file has not changed."),
            Err(error) => eprintln!("error: {error}: nothing has changed"),
        }
    }
}

#[cfg(not(unix))]
async fn reload_on_hangup(_: &RunningConfig, _: &Options) -> std::io::Result<Infallible> {
    std::future::pending().await
}

/// Starts a backend that starts a session for each client without one.
fn backend(name: &'static str) -> Result<SocketAddr, BoxError> {
    let sessions = Arc::new(AtomicU32::new(1));
    let service = tower::service_fn(move |request: Request<ClientBody>| {
        let cookies = request.headers().get("cookie");
        let known = cookies.is_some_and(|it| it.as_bytes().starts_with(b"JSESSIONID="));
        let text = format!("{name} got a request for {}\n", request.uri());
        let mut answer = Response::new(text);
        if !known {
            let session = sessions.fetch_add(1, Ordering::Relaxed);
            let cookie = format!("JSESSIONID={session:04X}.{name}; Path=/app");
            if let Ok(cookie) = cookie.parse() {
                answer.headers_mut().insert("set-cookie", cookie);
            }
        }
        async { Ok::<_, Infallible>(answer) }
    });
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener
        .local_addr()
        .ok_or("the listener has no TCP address")?;
    tokio::spawn(Server::new().serve(listener, service, std::future::pending()));
    Ok(address)
}
