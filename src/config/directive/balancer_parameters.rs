//! All parameters of balancers, with their ranges: [`BALANCER`].
//!
//! Not here: how each type of value is parsed (`parameter`).

use std::time::Duration;

use super::parameter::{Parameter, ParameterKind, ReadOutcome, Remark, Unit, nearest, number};
use crate::config::model::{BalancerConfig, SchedulerName};

/// The parameters of `ProxySet`, `<Proxy balancer://..>` and a `ProxyPass` to a balancer.
pub(in crate::config) static BALANCER: [Parameter<BalancerConfig>; 12] = [
    special("lbmethod", read_method, print_method),
    special("stickysession", read_session, |b| b.session.names.clone()),
    special("stickysessionsep", read_separator, |b| {
        b.session.separator.clone()
    }),
    Parameter::new(
        "scolonpathdelim",
        ParameterKind::Switch {
            field: |b| &mut b.session.semicolon_path_delimiter,
        },
    ),
    Parameter::new(
        "nofailover",
        ParameterKind::Switch {
            field: |b| &mut b.session.no_failover,
        },
    ),
    Parameter::new(
        "timeout",
        ParameterKind::Duration {
            field: |b| &mut b.wait,
            unit: Unit::WholeSeconds,
            range: Duration::from_millis(10)..=Duration::MAX,
        },
    ),
    Parameter::new(
        "maxattempts",
        ParameterKind::Count {
            field: |b| &mut b.max_failovers,
            range: 0..=u32::MAX,
        },
    ),
    special("failonstatus", read_statuses, print_statuses),
    Parameter::new(
        "failontimeout",
        ParameterKind::Switch {
            field: |b| &mut b.fail_on_timeout,
        },
    ),
    Parameter::new(
        "forcerecovery",
        ParameterKind::Switch {
            field: |b| &mut b.forced_recovery,
        },
    ),
    Parameter::new(
        "growth",
        ParameterKind::Short {
            field: |b| &mut b.growth,
            range: 1..=100,
        },
    ),
    Parameter::new(
        "nonce",
        ParameterKind::Text {
            field: |b| &mut b.nonce,
            longest: 36,
        },
    ),
];

const METHODS: [(&str, SchedulerName); 4] = [
    ("byrequests", SchedulerName::ByRequests),
    ("bytraffic", SchedulerName::ByTraffic),
    ("bybusyness", SchedulerName::ByBusyness),
    ("heartbeat", SchedulerName::Heartbeat),
];

const fn special(
    key: &'static str,
    read: fn(&mut BalancerConfig, &str) -> ReadOutcome,
    print: fn(&BalancerConfig) -> Option<String>,
) -> Parameter<BalancerConfig> {
    Parameter::new(key, ParameterKind::Special { read, print })
}

fn read_method(balancer: &mut BalancerConfig, value: &str) -> ReadOutcome {
    let Some((_, method)) = METHODS.iter().find(|row| row.0 == value) else {
        let remark = Remark::new(format!("unknown method `{value}`"));
        let near = nearest(value, METHODS.map(|row| row.0));
        return Err(remark.with_hint(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "use byrequests, bytraffic, bybusyness or heartbeat".to_owned(),
        }));
    };
    balancer.scheduler = Some(*method);
    Ok(None)
}

fn print_method(balancer: &BalancerConfig) -> Option<String> {
    let method = balancer.scheduler?;
    let row = METHODS.iter().find(|row| row.1 == method);
    row.map(|row| row.0.to_owned())
}

fn read_session(balancer: &mut BalancerConfig, value: &str) -> ReadOutcome {
    if value.len() > 63 {
        let message = format!("`stickysession` has {} bytes; the limit is 63", value.len());
        return Err(Remark::new(message).with_hint("httpd would truncate it silently"));
    }
    balancer.session.names = (!value.is_empty()).then(|| value.to_owned());
    Ok(None)
}

fn read_separator(balancer: &mut BalancerConfig, value: &str) -> ReadOutcome {
    balancer.session.separator = Some(if value.eq_ignore_ascii_case("off") {
        "off".to_owned()
    } else if value.len() == 1 {
        value.to_owned()
    } else {
        let message = format!("`stickysessionsep` must be one character or `Off`, not `{value}`");
        return Err(Remark::new(message));
    });
    Ok(None)
}

fn read_statuses(balancer: &mut BalancerConfig, value: &str) -> ReadOutcome {
    let words = value.split([',', ' ']).filter(|word| !word.is_empty());
    let status = |word| number("failonstatus", word, &(100..=599));
    let statuses: Vec<u32> = words.map(status).collect::<Result<_, _>>()?;
    let short = statuses
        .into_iter()
        .filter_map(|status| u16::try_from(status).ok());
    balancer.fail_on_status = short.collect();
    Ok(None)
}

fn print_statuses(balancer: &BalancerConfig) -> Option<String> {
    let statuses = &balancer.fail_on_status;
    let words: Vec<_> = statuses.iter().map(u16::to_string).collect();
    (!words.is_empty()).then(|| words.join(","))
}
