//! Generated heads, before a slow and plain copy of the rules for them.

use std::convert::Infallible;
use std::future::ready;

use equipoise::proxy::{ClientAddr, EdgeBody, EdgeLayer, Forwarding};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use proptest::prelude::*;
use proptest::sample::select;
use tower::{Layer, ServiceExt, service_fn};

type Lines = Vec<(String, String)>;

const HOP_BY_HOP: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

const CLAIMS: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "proxy-client-ip",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-original-url",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

/// No trailers, though they are passed on in heads.
const HEADS_ONLY: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "destination",
    "expect",
    "expires",
    "host",
    "if-match",
    "if-unheard-of",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "refresh",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "trailer",
    "uri",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];

const OTHERS: &[&str] = &[
    "-",
    "a",
    "accept",
    "accept-language",
    "checksum",
    "content",
    "dnt",
    "grpc-status",
    "hosts",
    "if",
    "my-own",
    "referer",
    "t-e",
    "user-agent",
    "x",
    "x-forward",
    "x-hop",
];

/// The names that make the most work.
const FREQUENT: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "x-forwarded-for",
];

fn name() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        3 => select(FREQUENT),
        1 => select(HOP_BY_HOP),
        1 => select(CLAIMS),
        1 => select(HEADS_ONLY),
        2 => select(OTHERS),
    ];
    (name, 0..8_u8).prop_map(|(name, spelling)| match spelling {
        0 => name.replace('-', "_"),
        1 => name.replacen('-', "_", 1),
        _ => name.to_owned(),
    })
}

fn value_of(name: &str) -> BoxedStrategy<String> {
    let values: &[&str] = match name {
        "connection" => {
            let options = prop_oneof![
                2 => select(&["close", "Keep-Alive", "upgrade", "TE", "(bad)", ""][..]).prop_map(str::to_owned),
                3 => name_in_any_case(),
            ];
            let options = prop::collection::vec(options, 0..4);
            return options.prop_map(|options| options.join(" ,")).boxed();
        }
        "content-length" => &[
            "5",
            "5",
            "5",
            "05",
            "5, 5",
            "5, 6",
            "+5",
            "",
            "1234567890123456789012",
        ],
        "expect" => &["100-continue", "100-Continue", "100-continue", "other"],
        "host" => &[
            "a",
            "a",
            "A.example.com.:80",
            "[::1]:80",
            "a..b",
            "[::1",
            "",
            "a/b",
        ],
        "te" => &["trailers", "gzip;q=0.5, Trailers;q=1", "gzip", ""],
        "trailer" => &[
            "checksum",
            "Host, checksum,, x-hop",
            "my_own",
            "content_type",
            "(bad)",
        ],
        "transfer-encoding" => &[
            "chunked",
            "Chunked",
            "identity,chunked",
            "gzip, chunked",
            "",
        ],
        _ => &["", "1", "a, b"],
    };
    select(values).prop_map(str::to_owned).boxed()
}

fn name_in_any_case() -> impl Strategy<Value = String> {
    (name(), any::<bool>()).prop_map(|(name, upper)| match upper {
        true => name.to_uppercase(),
        false => name,
    })
}

fn lines() -> impl Strategy<Value = Lines> {
    let blank = select(&["", "", "", " ", "\t "][..]);
    let line = name().prop_flat_map(move |name| {
        let value = (blank.clone(), value_of(&name), blank.clone());
        value.prop_map(move |(before, value, after)| {
            (name.clone(), format!("{before}{value}{after}"))
        })
    });
    prop::collection::vec(line, 0..10)
}

fn hyphened(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// The elements of all lines with this name.
fn listed(lines: &Lines, name: &str) -> Vec<String> {
    let values = lines.iter().filter(|(it, _)| it == name);
    let elements = values.flat_map(|(_, value)| value.split(','));
    elements.map(|it| it.trim().to_owned()).collect()
}

fn has(lines: &Lines, name: &str) -> bool {
    lines.iter().any(|(it, _)| it == name)
}

fn is_valid_host(host: &str) -> bool {
    ["a", "A.example.com.:80", "[::1]:80"].contains(&host)
}

/// Returns the only length, if there is one.
fn length(lines: &Lines) -> Option<u64> {
    let mut lengths: Vec<Option<u64>> = listed(lines, "content-length")
        .iter()
        .map(|it| {
            it.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| it.parse().ok())?
        })
        .collect();
    lengths.dedup();
    match lengths[..] {
        [length] => length,
        _ => None,
    }
}

fn codings(lines: &Lines) -> Vec<String> {
    let codings = listed(lines, "transfer-encoding").into_iter();
    let codings = codings.map(|it| it.to_lowercase());
    codings.filter(|it| it != "identity").collect()
}

/// The names in `Connection` that are removed.
fn named(lines: &Lines) -> Vec<String> {
    let kept = [
        "close",
        "keep-alive",
        "content-length",
        "host",
        "max-forwards",
        "via",
    ];
    let names = listed(lines, "connection").into_iter();
    let names = names.map(|it| it.to_lowercase());
    names.filter(|it| !kept.contains(&&**it)).collect()
}

fn may_be_trailer(name: &str, named: &[String]) -> bool {
    let name = hyphened(name);
    let is_in = |list: &[&str]| list.contains(&&*name);
    !is_in(HOP_BY_HOP)
        && !is_in(CLAIMS)
        && !is_in(HEADS_ONLY)
        && !named.iter().any(|it| hyphened(it) == name)
        && HeaderName::try_from(&name).is_ok()
}

/// The fields that go with the connection, in requests and responses.
fn stripped(mut lines: Lines) -> Result<Lines, StatusCode> {
    let has_coding = has(&lines, "transfer-encoding");
    if has(&lines, "content-length") && !has_coding {
        let length = length(&lines).ok_or(StatusCode::BAD_REQUEST)?;
        lines.retain(|(name, _)| name != "content-length");
        lines.push(("content-length".to_owned(), length.to_string()));
    }
    let codings = codings(&lines);
    if !codings.is_empty() && codings != ["chunked"] {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let named = named(&lines);
    let mut announced = listed(&lines, "trailer");
    announced.retain(|it| may_be_trailer(it, &named));
    let announces = !announced.is_empty() && !named.contains(&"trailer".to_owned());
    lines.retain(|(name, _)| {
        let is_length = hyphened(name) == "content-length";
        !named.contains(name)
            && !HOP_BY_HOP.contains(&&*hyphened(name))
            && !(is_length && (has_coding || name != "content-length"))
            && !(name.contains('_') && CLAIMS.contains(&&*hyphened(name)))
            && name != "trailer"
    });
    if announces {
        lines.push(("trailer".to_owned(), announced.join(", ")));
    }
    Ok(lines)
}

fn trimmed(lines: Lines) -> Lines {
    let lines = lines.into_iter();
    lines
        .map(|(name, value)| (name, value.trim().to_owned()))
        .collect()
}

/// What a member gets.
fn expected_request(lines: Lines) -> Result<Lines, StatusCode> {
    let mut lines = trimmed(lines);
    let hosts: Vec<_> = lines.iter().filter(|(name, _)| name == "host").collect();
    let host = match hosts[..] {
        [(_, host)] if is_valid_host(host) => host.clone(),
        _ => return Err(StatusCode::BAD_REQUEST),
    };
    let expects = |(name, value): &(String, String)| {
        name == "expect" && !value.eq_ignore_ascii_case("100-continue")
    };
    if lines.iter().any(expects) {
        return Err(StatusCode::EXPECTATION_FAILED);
    }
    lines.retain(|(name, _)| name != "expect");
    let mut trailers = listed(&lines, "te").into_iter();
    let trailers = trailers.any(|it| it.to_lowercase().split(';').next() == Some("trailers"));
    let mut lines = stripped(lines)?;
    lines.retain(|(name, _)| !CLAIMS.contains(&&*hyphened(name)));
    if trailers {
        lines.push(("te".to_owned(), "trailers".to_owned()));
    }
    for (name, value) in [("for", "203.0.113.7"), ("host", &host), ("proto", "http")] {
        lines.push((format!("x-forwarded-{name}"), value.to_owned()));
    }
    Ok(lines)
}

fn map(lines: &Lines) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::try_from(name).unwrap();
        map.append(name, HeaderValue::try_from(value).unwrap());
    }
    map
}

/// Passes one exchange through the edge, and returns the heads that the member and the
/// client get.
fn through(request: &Lines, response: &Lines) -> Result<(HeaderMap, HeaderMap), StatusCode> {
    let response = map(response);
    let member = service_fn(|request: Request<EdgeBody<Empty<&'static [u8]>>>| {
        let mut answer = Response::new(Empty::<&'static [u8]>::new());
        *answer.headers_mut() = response.clone();
        answer.extensions_mut().insert(request.headers().clone());
        ready(Ok::<_, Infallible>(answer))
    });
    let edge = EdgeLayer::new(Forwarding::new()).layer(member);
    let mut asked = Request::new(Empty::<&'static [u8]>::new());
    *asked.headers_mut() = map(request);
    let client = ClientAddr("203.0.113.7:4000".parse().unwrap());
    asked.extensions_mut().insert(client);
    let answer = edge.oneshot(asked).now_or_never().unwrap().unwrap();
    let (mut answer, _) = answer.into_parts();
    let asked = answer.extensions.remove().ok_or(answer.status)?;
    Ok((asked, answer.headers))
}

fn a_host() -> (String, String) {
    ("host".to_owned(), "a".to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_request_is_changed_as_the_rules_say(mut lines in lines(), named in 0..8_u8) {
        if named > 0 {
            lines.retain(|(name, _)| name != "host");
            lines.insert(0, a_host());
        }
        let told = through(&lines, &Vec::new()).map(|(asked, _)| asked);
        prop_assert_eq!(told, expected_request(lines).map(|lines| map(&lines)));
    }

    #[test]
    fn a_response_is_changed_as_the_rules_say(lines in lines()) {
        let answered = through(&vec![a_host()], &lines).map(|(_, answered)| answered);
        let expected = stripped(trimmed(lines)).map(|lines| map(&lines));
        prop_assert_eq!(answered, expected.map_err(|_| StatusCode::BAD_GATEWAY));
    }
}
