//! All parameters of members, with their ranges: [`MEMBER`], [`CHECK`].
//!
//! Not here: how each type of value is parsed (`parameter`).

use std::time::Duration;

use super::parameter::{
    Parameter, ParameterEffect, ParameterKind, ReadOutcome, Remark, Unit, duration, nearest,
    print_switch, switch,
};
use crate::config::model::{CheckConfig, CheckMethod, FlushPolicy, MemberConfig};
use crate::config::text::FLAGS;
use crate::member::{Flag, Weight};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The note for settings of TCP and of buffers.
const SYSTEM: ParameterEffect =
    ParameterEffect::Note("has no effect: the operating system decides");
const POOL: ParameterEffect =
    ParameterEffect::Note("has no effect: connections are opened on demand");
const FLUSH: ParameterEffect =
    ParameterEffect::Note("has no effect: each part of a response is forwarded at once");
const AJP: ParameterEffect = ParameterEffect::Note("has no effect without AJP");

/// The parameters of `BalancerMember`, and of a `ProxyPass` to a single member.
pub(in crate::config) static MEMBER: [Parameter<MemberConfig>; 34] = [
    special("loadfactor", read_weight, |m| Some(m.weight?.to_string())),
    Parameter::new(
        "lbset",
        ParameterKind::Short {
            field: |m| &mut m.tier,
            range: 0..=99,
        },
    ),
    text("route", |m| &mut m.route, 63),
    text("redirect", |m| &mut m.redirect_route, 63),
    special("status", read_status, print_status),
    time(
        "retry",
        |m| &mut m.recovery_delay,
        Unit::WholeSeconds,
        Duration::ZERO,
    ),
    time("timeout", |m| &mut m.timeout, Unit::WholeSeconds, MS),
    time(
        "connectiontimeout",
        |m| &mut m.connect_timeout,
        Unit::Seconds,
        MS,
    ),
    time("ping", |m| &mut m.continue_timeout, Unit::Seconds, MS).effect(ParameterEffect::Warning(
        "has no effect: the body is sent without waiting",
    )),
    time(
        "acquire",
        |m| &mut m.acquire_timeout,
        Unit::Milliseconds,
        MS,
    )
    .effect(ParameterEffect::Note(
        "has no effect: a member at its limit is skipped at once",
    )),
    count("min", |m| &mut m.min_connections).effect(POOL),
    count("max", |m| &mut m.max_in_flight),
    count("smax", |m| &mut m.max_idle),
    time("ttl", |m| &mut m.idle_lifetime, Unit::WholeSeconds, MS),
    on_off("keepalive", |m| &mut m.tcp_keepalive).effect(SYSTEM),
    on_off("enablereuse", |m| &mut m.reuse),
    special("disablereuse", read_disable_reuse, |_| None),
    special("addressttl", read_address_lifetime, |m| {
        Some(m.address_lifetime?.to_string())
    })
    .effect(ParameterEffect::Warning(
        "has no effect: host names are resolved for each connection",
    )),
    special("flushpackets", read_flush, print_flush).effect(FLUSH),
    Parameter::new(
        "flushwait",
        ParameterKind::Duration {
            field: |m: &mut MemberConfig| &mut m.flush_wait,
            unit: Unit::WholeMilliseconds,
            range: Duration::ZERO..=SECOND,
        },
    )
    .effect(FLUSH),
    size("iobuffersize", |m| &mut m.io_buffer, 512).effect(SYSTEM),
    size("receivebuffersize", |m| &mut m.receive_buffer, 512).effect(SYSTEM),
    size("responsefieldsize", |m| &mut m.response_field_size, 1),
    text("secret", |m| &mut m.secret, 63).effect(AJP),
    special("upgrade", read_upgrade, |m| m.upgrade.clone()),
    text("flusher", |m| &mut m.flusher, 15).effect(FLUSH),
    special(
        "hcmethod",
        |m, v| read_method(&mut m.check, v),
        |m| print_method(&m.check),
    ),
    time(
        "hcinterval",
        |m| &mut m.check.interval,
        Unit::Seconds,
        Duration::from_millis(100),
    ),
    count("hcpasses", |m| &mut m.check.passes),
    count("hcfails", |m| &mut m.check.fails),
    text("hcuri", |m| &mut m.check.uri, 63),
    text("hcexpr", |m| &mut m.check.condition, 15),
    text("hctemplate", |m| &mut m.check.template, 63),
    special(
        "multipathtcp",
        |_, _| Err(Remark::new("`multipathtcp` is not supported")),
        |_| None,
    ),
];

/// The parameters of `ProxyHCTemplate`.
pub(in crate::config) static CHECK: [Parameter<CheckConfig>; 7] = [
    Parameter::new(
        "hcmethod",
        ParameterKind::Special {
            read: read_method,
            print: print_method,
        },
    ),
    Parameter::new(
        "hcinterval",
        ParameterKind::Duration {
            field: |c| &mut c.interval,
            unit: Unit::Seconds,
            range: Duration::from_millis(100)..=Duration::MAX,
        },
    ),
    Parameter::new(
        "hcpasses",
        ParameterKind::Count {
            field: |c| &mut c.passes,
            range: 0..=u32::MAX,
        },
    ),
    Parameter::new(
        "hcfails",
        ParameterKind::Count {
            field: |c| &mut c.fails,
            range: 0..=u32::MAX,
        },
    ),
    Parameter::new(
        "hcuri",
        ParameterKind::Text {
            field: |c| &mut c.uri,
            longest: 63,
        },
    ),
    Parameter::new(
        "hcexpr",
        ParameterKind::Text {
            field: |c| &mut c.condition,
            longest: 15,
        },
    ),
    Parameter::new(
        "hctemplate",
        ParameterKind::Text {
            field: |c| &mut c.template,
            longest: 63,
        },
    ),
];

type MemberField<T> = fn(&mut MemberConfig) -> &mut Option<T>;

const fn special(
    key: &'static str,
    read: fn(&mut MemberConfig, &str) -> ReadOutcome,
    print: fn(&MemberConfig) -> Option<String>,
) -> Parameter<MemberConfig> {
    Parameter::new(key, ParameterKind::Special { read, print })
}

const fn text(
    key: &'static str,
    field: MemberField<String>,
    longest: usize,
) -> Parameter<MemberConfig> {
    Parameter::new(key, ParameterKind::Text { field, longest })
}

const fn time(
    key: &'static str,
    field: MemberField<Duration>,
    unit: Unit,
    least: Duration,
) -> Parameter<MemberConfig> {
    let range = least..=Duration::MAX;
    Parameter::new(key, ParameterKind::Duration { field, unit, range })
}

const fn count(key: &'static str, field: MemberField<u32>) -> Parameter<MemberConfig> {
    let range = 0..=u32::MAX;
    Parameter::new(key, ParameterKind::Count { field, range })
}

const fn size(key: &'static str, field: MemberField<u32>, least: u32) -> Parameter<MemberConfig> {
    Parameter::new(key, ParameterKind::Size { field, least })
}

const fn on_off(key: &'static str, field: MemberField<bool>) -> Parameter<MemberConfig> {
    Parameter::new(key, ParameterKind::Switch { field })
}

fn read_weight(member: &mut MemberConfig, value: &str) -> ReadOutcome {
    let range = || {
        Remark::new(format!(
            "`loadfactor` must be a number from 1 to 100, not {value}"
        ))
    };
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && decimals.is_empty()) || !digits(whole) || !digits(decimals) {
        return Err(range());
    }
    let decimals = decimals.trim_end_matches('0');
    if whole.parse().unwrap_or(0) == 0 {
        return Err(range());
    }
    if decimals.len() > 2 {
        let remark = Remark::new(format!("`{value}` has more than two decimals"));
        return Err(remark.with_hint("weights have two decimals; httpd would truncate the rest"));
    }
    let exact = format!("{whole}{decimals:0<2}")
        .parse()
        .map_err(|_| range())?;
    if !(100..=10_000).contains(&exact) {
        return Err(range());
    }
    member.weight = Weight::from_hundredths(exact).ok();
    // httpd multiplies by 100 in floating point and truncates, which can lose a hundredth.
    let in_httpd = value
        .parse::<f64>()
        .map_or(0.0, |number| (number * 100.0).trunc());
    let differs = in_httpd < f64::from(exact);
    Ok(differs.then(|| {
        Remark::new(format!(
            "`loadfactor={value}` is used exactly; httpd would use {}",
            in_httpd / 100.0
        ))
    }))
}

fn read_status(member: &mut MemberConfig, value: &str) -> ReadOutcome {
    let mut add = true;
    let mut signed = false;
    let mut flags = member.flags.clone();
    for letter in value.chars() {
        signed = matches!(letter, '+' | '-');
        if signed {
            add = letter == '+';
            continue;
        }
        let row = FLAGS.iter().find(|row| row.0.eq_ignore_ascii_case(&letter));
        let Some((_, _, flag)) = row else {
            let remark = Remark::new(format!("unknown status `{letter}`"));
            return Err(remark.with_hint(match letter.to_ascii_uppercase() {
                'F' | 'G' | 'O' | 'U' => "httpd uses it only internally: remove the letter",
                _ => "use D, S, N, I, R, H, E or C, with + or - before it",
            }));
        };
        flags.retain(|had| had != flag);
        if add {
            flags.push(*flag);
        }
    }
    if signed {
        return Err(Remark::new(format!(
            "`{value}` has a sign without a letter"
        )));
    }
    flags.sort_by_key(|flag| Flag::ALL.iter().position(|known| known == flag));
    member.flags = flags;
    Ok(None)
}

fn print_status(member: &MemberConfig) -> Option<String> {
    let letter = |flag: &Flag| FLAGS.iter().find(|row| row.2 == *flag).map(|row| row.0);
    let letters: String = member.flags.iter().filter_map(letter).collect();
    (!letters.is_empty()).then_some(letters)
}

fn read_disable_reuse(member: &mut MemberConfig, value: &str) -> ReadOutcome {
    member.reuse = Some(!switch("disablereuse", value)?);
    Ok(None)
}

fn read_address_lifetime(member: &mut MemberConfig, value: &str) -> ReadOutcome {
    let mut lifetime = -1;
    if value != "-1" {
        let range = Duration::ZERO..=SECOND * 0x7fff_ffff;
        let (read, _) = duration("addressttl", value, Unit::Seconds, &range)?;
        lifetime = i64::try_from(read.as_secs()).unwrap_or(-1);
        if read.subsec_millis() != 0 {
            return Err(Remark::new(
                "`addressttl` must be whole seconds, or -1 for no limit",
            ));
        }
    }
    member.address_lifetime = Some(lifetime);
    Ok(None)
}

fn read_flush(member: &mut MemberConfig, value: &str) -> ReadOutcome {
    member.flush = Some(match value.to_ascii_lowercase().as_str() {
        "auto" => FlushPolicy::Auto,
        "off" => FlushPolicy::Off,
        "on" => FlushPolicy::On,
        _ => {
            let message = format!("`flushpackets` must be `on`, `off` or `auto`, not `{value}`");
            return Err(Remark::new(message));
        }
    });
    Ok(None)
}

fn print_flush(member: &MemberConfig) -> Option<String> {
    Some(match member.flush? {
        FlushPolicy::Auto => "auto".to_owned(),
        FlushPolicy::Off => print_switch(false).to_owned(),
        FlushPolicy::On => print_switch(true).to_owned(),
    })
}

fn read_upgrade(member: &mut MemberConfig, value: &str) -> ReadOutcome {
    let value = if value.eq_ignore_ascii_case("any") {
        "*"
    } else {
        value
    };
    member.upgrade = Some(super::parameter::text("upgrade", value, 15)?);
    Ok(None)
}

/// The word includes the method and whether HTTP/1.1 is used.
const METHODS: [(&str, CheckMethod); 8] = [
    ("NONE", CheckMethod::None),
    ("TCP", CheckMethod::Tcp),
    ("OPTIONS", CheckMethod::Options),
    ("HEAD", CheckMethod::Head),
    ("GET", CheckMethod::Get),
    ("OPTIONS11", CheckMethod::Options11),
    ("HEAD11", CheckMethod::Head11),
    ("GET11", CheckMethod::Get11),
];

fn read_method(check: &mut CheckConfig, value: &str) -> ReadOutcome {
    let row = METHODS.iter().find(|row| row.0.eq_ignore_ascii_case(value));
    let Some((_, method)) = row else {
        if value.eq_ignore_ascii_case("cping") {
            let remark = Remark::new("`CPING` is not supported: it belongs to AJP");
            return Err(remark.with_hint("use TCP or GET11"));
        }
        let remark = Remark::new(format!("unknown health check method `{value}`"));
        let near = nearest(value, METHODS.map(|row| row.0));
        return Err(match near {
            Some(near) => remark.with_hint(format!("did you mean `{near}`?")),
            None => {
                remark.with_hint("use NONE, TCP, OPTIONS, HEAD, GET, OPTIONS11, HEAD11 or GET11")
            }
        });
    };
    check.method = Some(*method);
    Ok(None)
}

fn print_method(check: &CheckConfig) -> Option<String> {
    let method = check.method?;
    let row = METHODS.iter().find(|row| row.1 == method);
    row.map(|row| row.0.to_owned())
}
