//! How our value follows from Apache's, where a rule says so: a rule excuses one exact
//! difference, and not any.

use std::collections::BTreeSet;

use equipoise::scheduler::HeartbeatReading;
use serde_json::Value;

use super::case::{Named, Object};
use super::chance::{self, Counts};
use super::heartbeat::unescape;
use super::scene::Scene;

/// Tells whether our value follows from Apache's.
pub(crate) type Relation = fn(&Value, &Value, Scene<'_>) -> bool;

/// All relations, by the names that rules use.
const ALL: [(&str, Relation); 24] = [
    ("absent", absent),
    ("bad_gateway", bad_gateway),
    ("cut", cut),
    ("boundary", boundary),
    ("by_reports", by_reports),
    ("elected_by_reports", elected_by_reports),
    ("fewer", fewer),
    ("joined", joined),
    ("later", later),
    ("load", load),
    ("more", more),
    ("name_alone", name_alone),
    ("no_path", no_path),
    ("not_twice", not_twice),
    ("one_slash", one_slash),
    ("one_more", one_more),
    ("path_alone", path_alone),
    ("path_alone_one_slash", path_alone_one_slash),
    ("own_scheme", own_scheme),
    ("present", present),
    ("same_cookies", same_cookies),
    ("takes_trailers", takes_trailers),
    ("unescaped", unescaped),
    ("without_empty", without_empty),
];

pub(crate) fn named(name: &str) -> Option<Relation> {
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, relation)| *relation)
}

/// We have no value where Apache has one.
fn absent(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    !apache.is_null() && ours.is_null()
}

/// We answer 502 to what Apache passes on, or has another status for.
fn bad_gateway(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    *ours == 502 && [200, 500].iter().any(|status| apache == status)
}

/// We have a smaller number.
fn fewer(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let number = Value::as_u64;
    number(ours).is_some_and(|ours| number(apache).is_some_and(|apache| ours < apache))
}

/// We have a larger number.
fn more(apache: &Value, ours: &Value, scene: Scene<'_>) -> bool {
    fewer(ours, apache, scene)
}

/// The connection to the client is cut, and in Apache it is not.
fn cut(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    apache.is_null() && ours == "truncated"
}

/// We have a value where Apache has none.
fn present(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    apache.is_null() && !ours.is_null()
}

/// Apache joins fields of one name with commas, and we leave them apart.
fn joined(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let all = |value: &Value| {
        let values = value.as_array().into_iter().flatten();
        values
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(",")
            .replace(", ", ",")
    };
    all(apache) == all(ours)
}

/// Apache adds to a field that was empty, and we begin it.
fn without_empty(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let added = apache[0].as_str().and_then(|text| text.strip_prefix(", "));
    added.is_some() && added == ours[0].as_str()
}

/// We tell the scheme that a request came by, whatever its client says.
fn own_scheme(_: &Value, ours: &Value, _: Scene<'_>) -> bool {
    *ours == serde_json::json!(["http"])
}

/// Apache adds its port, its version, or 1.1 to `Via`, and we our name.
fn name_alone(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let names = |value: &Value| {
        let fields = value.as_array().into_iter().flatten();
        let text: Vec<_> = fields.filter_map(Value::as_str).collect();
        let name = |entry: &str| {
            let mut words = entry.split_whitespace().skip(1);
            let name = words.next().unwrap_or_default();
            name.split(':').next().unwrap_or_default().to_owned()
        };
        text.join(",").split(',').map(name).collect::<Vec<_>>()
    };
    names(apache) == names(ours)
}

/// The same cookies, but for what follows their values.
fn same_cookies(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let cookies = |value: &Value| {
        let cookies = value.as_array().into_iter().flatten();
        let cookies = cookies.filter_map(|cookie| cookie.as_str()?.split(';').next());
        cookies.map(str::to_owned).collect::<Vec<_>>()
    };
    cookies(apache) == cookies(ours)
}

/// Apache maps a URL back that begins with a member's by chance, or has no scheme, and we
/// leave it as it came.
fn boundary(_: &Value, ours: &Value, scene: Scene<'_>) -> bool {
    let asked = scene.event().and_then(|event| event.asked().ok());
    let asked = asked.unwrap_or_default();
    let headers = asked.backend.values().flat_map(|told| &told.headers);
    let mut sent = headers.filter(|(name, _)| name.to_ascii_lowercase().ends_with("location"));
    let path = |url: &str| {
        url.split_once("//")
            .and_then(|(_, rest)| path_of_rest(rest))
    };
    let ours = ours.as_str().unwrap_or_default();
    sent.any(|(_, url)| {
        path(url).is_some_and(|path| ours.ends_with(&path)) && path(ours) == path(url)
    })
}

fn path_of_rest(rest: &str) -> Option<String> {
    rest.find('/').map(|at| rest[at..].to_owned())
}

/// Apache leaves a URL that has no path, and we map it back as if its path were `/`.
fn no_path(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let apache = apache.as_str().and_then(|url| url.split_once("://"));
    let rest = apache.map(|(_, rest)| rest.trim_start_matches(|c| !"/?#".contains(c)));
    match (rest, ours.as_str()) {
        (Some(rest), Some(ours)) => !rest.starts_with('/') && ours.ends_with(&format!("/{rest}")),
        _ => false,
    }
}

/// Who is elected follows from the reports of those who are eligible, and from nothing
/// else.
fn by_reports(_: &Value, ours: &Value, scene: Scene<'_>) -> bool {
    let counts = ours.as_object().into_iter().flatten();
    let counts: Counts = counts
        .map(|(name, count)| (name.clone(), count.as_u64().unwrap_or_default()))
        .collect();
    shares(scene).is_some_and(|shares| chance::fits(&counts, &shares))
}

/// The same for how often one member was elected in the bursts so far.
fn elected_by_reports(apache: &Value, ours: &Value, scene: Scene<'_>) -> bool {
    let Some(mut shares) = shares(scene) else {
        return false;
    };
    let name = scene.field.split('.').nth(1).unwrap_or_default();
    let bursts = scene.case.events.iter().take(scene.at);
    let bursts = bursts.filter(|event| event.kind == "burst");
    let all: u64 = bursts
        .filter_map(|burst| burst.get::<u64>("count").ok())
        .sum();
    if apache.as_u64().is_none_or(|apache| apache > all) {
        return false;
    }
    let own = ours.as_u64().unwrap_or_default();
    let share = shares[name].as_f64().unwrap_or_default();
    shares = serde_json::json!({ name: share, "others": 1.0 - share });
    let others = all.checked_sub(own);
    others.is_some_and(|others| {
        let counts = [(name.to_owned(), own), ("others".to_owned(), others)];
        chance::fits(&counts.into_iter().collect(), &shares)
    })
}

/// The chances of all who are eligible, if anybody reports.
fn shares(scene: Scene<'_>) -> Option<Value> {
    let reports = scene.reports();
    let mut shares = Object::new();
    let mut all = 0;
    for member in eligible(scene) {
        let host = member.ip.as_deref().unwrap_or("127.0.0.1");
        let own = |(reporter, _): &&(String, HeartbeatReading)| reporter == host;
        let report = reports.iter().rev().find(own);
        let slots = report.map_or(0, |(_, reading)| reading.idle());
        all += slots;
        shares.insert(member.name.clone(), slots.into());
    }
    for share in shares.values_mut() {
        *share = (share.as_f64().unwrap_or_default() / f64::from(all)).into();
    }
    (all > 0).then_some(Value::Object(shares))
}

/// Who is eligible as long as all backends are up: of the first set that has anybody,
/// those without a flag and as many spares as there are members who cannot be elected,
/// or else the standbys.
fn eligible(scene: Scene<'_>) -> Vec<&Named> {
    let flagged = |member: &Named, flags: &str| {
        let status = member.params.get("status").map_or("", String::as_str);
        status
            .to_ascii_uppercase()
            .contains(|letter| flags.contains(letter))
    };
    let set = |member: &Named| {
        let set = member.params.get("lbset");
        set.and_then(|set| set.parse::<u32>().ok()).unwrap_or(0)
    };
    let sets: BTreeSet<u32> = scene.members().map(set).collect();
    for number in sets {
        let members: Vec<_> = scene.members().filter(|m| set(m) == number).collect();
        let of = |wanted: &dyn Fn(&Named) -> bool| {
            let members = members.iter().copied();
            members.filter(|member| wanted(member)).collect::<Vec<_>>()
        };
        let out = of(&|m| flagged(m, "DSECN") && !flagged(m, "HR"));
        let spares = of(&|m| flagged(m, "R") && !flagged(m, "DSECNH"));
        let mut found = of(&|m| !flagged(m, "DSECNHR"));
        found.extend(spares.into_iter().take(out.len()));
        if found.is_empty() {
            found = of(&|m| flagged(m, "H") && !flagged(m, "DSECN"));
        }
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// We took longer.
fn later(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let longest = apache["max"].as_f64();
    longest.is_some_and(|longest| ours.as_f64().is_some_and(|ours| ours > longest))
}

/// Apache has counted a field down by one.
fn one_more(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let number = |value: &Value| value[0].as_str()?.parse::<u32>().ok();
    number(apache).is_some_and(|less| number(ours) == Some(less + 1))
}

/// We say that trailers are welcome, and Apache does not.
fn takes_trailers(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let said = |word: &str| {
        ours[0]
            .as_str()
            .is_some_and(|said| said.eq_ignore_ascii_case(word))
    };
    match apache.is_null() {
        true => said("trailers"),
        false => said("te"),
    }
}

/// The same path, but for escapes and doubled slashes, which mean nothing.
fn unescaped(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    match (apache.as_str(), ours.as_str()) {
        (Some(apache), Some(ours)) => plain(apache) == plain(ours),
        _ => false,
    }
}

/// A target without escapes, and with one slash where its path has a run of them.
fn plain(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut plain = unescape(path);
    while plain.contains("//") {
        plain = plain.replace("//", "/");
    }
    plain + query
}

/// Apache shows numbers that the method does not elect by, and we show loads, which are
/// never below zero.
fn load(_: &Value, ours: &Value, _: Scene<'_>) -> bool {
    is_load(ours)
}

fn is_load(ours: &Value) -> bool {
    match ours {
        Value::Array(rows) => rows.iter().all(is_load),
        Value::Object(members) => members.values().all(is_load),
        ours => ours.as_u64().is_some(),
    }
}

/// The same in the same order, but nobody twice.
fn not_twice(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let mut once: Vec<Value> = Vec::new();
    for value in apache.as_array().into_iter().flatten() {
        if !once.contains(value) {
            once.push(value.clone());
        }
    }
    Value::from(once) == *ours
}

/// Where Apache has two slashes or none at a join, we have one.
fn one_slash(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    match (apache.as_str(), ours.as_str()) {
        (Some(apache), Some(ours)) => {
            let (one, other) = (plain(apache), plain(ours));
            has_one_slash(apache, ours) || one == other || has_one_slash(&one, &other)
        }
        _ => false,
    }
}

fn has_one_slash(apache: &str, ours: &str) -> bool {
    let without = |text: &str, at: usize| format!("{}{}", &text[..at], &text[at + 1..]);
    let slashes = |text: &str| {
        text.match_indices('/')
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    let two = |at: &usize| apache[..*at].ends_with('/') && without(apache, *at) == ours;
    let none = |at: &usize| without(ours, *at) == apache;
    slashes(apache).iter().any(two) || slashes(ours).iter().any(none)
}

/// A URL of Apache's, and its path alone.
fn path_alone(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    let path = apache.as_str().and_then(path_of);
    path.is_some() && path == ours.as_str()
}

fn path_alone_one_slash(apache: &Value, ours: &Value, _: Scene<'_>) -> bool {
    match (apache.as_str().and_then(path_of), ours.as_str()) {
        (Some(apache), Some(ours)) => has_one_slash(apache, ours),
        _ => false,
    }
}

fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.find('/').map(|at| &rest[at..])
}
