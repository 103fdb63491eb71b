//! Apache's configuration format: [`parse`] reads a configuration, [`build`](fn@build) runs
//! it.
//!
//! ```text
//! text ─► syntax ─► directive ─► Config ─► assemble ─► RunningConfig
//!   lines, words,   their        types     balancers, proxies,
//!   Define, If..    meaning      ▲         hosts, listeners
//!                                └── TOML, YAML, JSON (feature `serde`)
//! ```
//!
//! Only this module knows Apache's directives. `docs/deviations.md` lists the differences
//! from httpd.
//!
//! # Examples
//!
//! ```
//! use equipoise::config::parse;
//!
//! let (config, diagnostics) = parse(
//!     "Listen 8080
//!      <Proxy balancer://shop>
//!        BalancerMember http://10.0.0.1:8080 loadfactor=2.5 route=a
//!        BalancerMember http://10.0.0.2:8080 route=b status=+H retry=5
//!        ProxySet lbmethod=bytraffic stickysession=JSESSIONID|jsessionid
//!      </Proxy>
//!      ProxyPass /shop balancer://shop",
//! );
//! assert!(diagnostics.is_empty());
//! # #[cfg(feature = "serde")]
//! # {
//! // The same by our own names (feature `serde`).
//! let same = r#"
//!     listeners = [{ port = 8080 }]
//!
//!     [[server.balancers]]
//!     name = "shop"
//!     scheduler = "by_traffic"
//!     session.names = "JSESSIONID|jsessionid"
//!
//!     [[server.balancers.members]]
//!     url = "http://10.0.0.1:8080"
//!     weight = 2.5
//!     route = "a"
//!
//!     [[server.balancers.members]]
//!     url = "http://10.0.0.2:8080"
//!     route = "b"
//!     flags = ["hot_standby"]
//!     recovery_delay = "5s"
//!
//!     [[server.settings.mappings]]
//!     path = "/shop"
//!     target = "balancer://shop"
//! "#;
//! assert_eq!(toml::from_str::<equipoise::config::Config>(same)?, config);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assemble;
mod check_terms;
mod diagnostic;
mod diagnostic_list;
mod directive;
mod expression;
mod front;
mod member_url;
mod model;
mod print;
mod reader;
mod secret;
mod syntax;
mod system;
mod text;

pub use assemble::ConfigError;
pub use diagnostic::{Diagnostic, Position, Severity};
pub use expression::{Expression, ExpressionError, ExpressionLookup, ExpressionName};
pub use model::{
    AccessRule, BalancerConfig, CheckCondition, CheckConfig, CheckMethod, CheckTemplate, Config,
    CookieMapping, ErrorOverride, FlushPolicy, Handler, HeaderAction, HeaderRule, HeaderWhen,
    HeartbeatConfig, Host, HostAddress, HostSettings, ListenAddress, Location, Mapping,
    MappingKind, MemberConfig, MemberTlsConfig, ProxyTarget, ProxyTargetError, ReverseMapping,
    SchedulerName, SessionConfig, TlsConfig, ViaPolicy, VirtualHost,
};
pub use reader::{Reader, parse};
pub use system::{RunningConfig, RunningConfigBuilder, build};
