//! Converts [`HostSettings`] to a [`HostLayer`].

use super::Faults;
use crate::config::front::{AccessCheck, HeaderEdit, HostLayer};
use crate::config::member_url::MemberUrl;
use crate::config::{CookieMapping, HeaderRule, HostSettings, ProxyTarget, ReverseMapping};
use crate::proxy::{CookieMap, MapRuleError, ReverseMap};

/// Converts several settings to one layer; later settings override earlier ones. `path` is
/// the path of the location. `members` returns the URLs of a balancer's members.
pub(super) fn layer(
    settings: &[&HostSettings],
    path: &str,
    members: impl Fn(&str) -> Vec<String>,
    faults: &mut Faults,
) -> HostLayer {
    let mut layer = HostLayer::default();
    for below in settings {
        layer.access = AccessCheck::new(&below.access).or(layer.access);
        layer.handler = below.handler.or(layer.handler);
        layer.forwarded_headers = below.forwarded_headers.or(layer.forwarded_headers);
        layer.preserve_host = below.preserve_host.or(layer.preserve_host);
        layer.error_override = below.error_override.clone().or(layer.error_override);
        let edits = edits(&below.request_headers, faults);
        layer.request_headers.extend(edits);
        let edits = self::edits(&below.response_headers, faults);
        layer.response_headers.extend(edits);
        layer.variables.extend(below.variables.iter().cloned());
    }
    // The first matching rule applies, and those of the main server come first.
    let rules: Vec<&ReverseMapping> = settings.iter().flat_map(|it| &it.reverse).collect();
    if !rules.is_empty() {
        layer.reverse = Some(reverse(&rules, path, members, faults));
    }
    let paths = settings.iter().flat_map(|it| &it.cookie_paths);
    layer.cookie_paths = cookies(paths, "path", CookieMap::with_path, faults);
    let domains = settings.iter().flat_map(|it| &it.cookie_domains);
    layer.cookie_domains = cookies(domains, "domain", CookieMap::with_domain, faults);
    layer
}

type With = fn(CookieMap, &str, &str) -> Result<CookieMap, MapRuleError>;

fn cookies<'r>(
    rules: impl Iterator<Item = &'r CookieMapping>,
    what: &str,
    with: With,
    faults: &mut Faults,
) -> Option<CookieMap> {
    let mut map = None;
    for rule in rules {
        let (from, to) = (&rule.internal, &rule.public);
        let about = format!("the {what} `{from}` of cookies cannot be rewritten to `{to}`");
        // A map with an invalid rule is unusable: try the rule on an empty map first.
        let tried = with(CookieMap::new(), from, to);
        if faults.note(tried, about, "fix the two values").is_some() {
            map = with(map.take().unwrap_or_default(), from, to).ok();
        }
    }
    map
}

fn edits(rules: &[HeaderRule], faults: &mut Faults) -> Vec<HeaderEdit> {
    let mut edits = Vec::new();
    for rule in rules {
        let about = format!("header `{}`", rule.name);
        let edit = faults.note(HeaderEdit::new(rule), about, "fix its name or value");
        edits.extend(edit);
    }
    edits
}

fn reverse(
    rules: &[&ReverseMapping],
    path: &str,
    members: impl Fn(&str) -> Vec<String>,
    faults: &mut Faults,
) -> ReverseMap {
    let mut map = ReverseMap::new();
    for rule in rules {
        let local = if rule.path.is_empty() {
            path
        } else {
            &rule.path
        };
        let urls = match rule.url.parse::<ProxyTarget>() {
            Ok(ProxyTarget::Balancer { name, path }) => members(&name)
                .into_iter()
                // An invalid URL has been reported with its member.
                .filter_map(|member| below(&member, &path))
                .collect(),
            _ => vec![rule.url.clone()],
        };
        for url in urls {
            let about = format!("`{url}` cannot be rewritten to `{local}`");
            let tried = ReverseMap::new().with_member(&url, local);
            let hint = "write a path, and a URL or another path";
            if faults.note(tried, about, hint).is_some() {
                map = map.with_member(&url, local).unwrap_or_default();
            }
        }
    }
    map
}

/// Returns the URL of a path below a member, as the member itself would write it.
fn below(member: &str, path: &str) -> Option<String> {
    let url = MemberUrl::parse(member).ok()?;
    let (scheme, _) = url.http()?;
    let (host, prefix) = (url.host_and_port(), url.path.as_str());
    let prefix = if path.is_empty() {
        prefix
    } else {
        prefix.trim_end_matches('/')
    };
    Some(format!("{scheme}://{host}{prefix}{path}"))
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_path_is_put_below_a_member_as_the_member_writes_it() {
        assert_eq!(below("http://h", "/x/").as_deref(), Some("http://h/x/"));
        assert_eq!(below("http://h/m/", "/x").as_deref(), Some("http://h/m/x"));
        assert_eq!(below("ws://h:81", "").as_deref(), Some("http://h:81"));
        assert_eq!(
            below("unix:/run/a.sock|http://app/m", "/x").as_deref(),
            Some("http://app/m/x")
        );
    }
}
