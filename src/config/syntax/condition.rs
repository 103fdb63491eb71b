//! Conditional sections: `<IfDefine>`, `<IfModule>`, `<IfVersion>`.
//!
//! Not here: what happens to their content (`tree`).

use std::cmp::Ordering;

use super::state::ParserState;
use super::{ConfigWord, Diagnostic};

/// The version of httpd that this crate follows.
const VERSION: [u32; 3] = [2, 4, 71];

/// The modules of httpd's distribution: `x` for `mod_x.c` and `x_module`. All of them count
/// as loaded, because this crate knows their directives, even if only to refuse them.
/// Access control must not depend on it.
const MODULES: &str = "access_compat actions alias allowmethods asis auth_basic auth_digest auth_form \
     authn_anon authn_core authn_dbd authn_dbm authn_file authn_socache authnz_fcgi \
     authnz_ldap authz_core authz_dbd authz_dbm authz_groupfile authz_host authz_owner \
     authz_user autoindex brotli bucketeer buffer cache cache_disk cache_socache \
     case_filter case_filter_in cern_meta cgi cgid charset_lite data dav dav_fs dav_lock \
     dbd deflate dialup dir dumpio echo env expires ext_filter file_cache filter headers \
     heartbeat heartmonitor http2 ident imagemap include info lbmethod_bybusyness \
     lbmethod_byrequests lbmethod_bytraffic lbmethod_heartbeat log_config log_debug \
     log_forensic logio lua macro md mime mime_magic negotiation proxy proxy_ajp \
     proxy_balancer proxy_connect proxy_express proxy_fcgi proxy_fdpass proxy_ftp \
     proxy_hcheck proxy_html proxy_http proxy_http2 proxy_scgi proxy_uwsgi proxy_wstunnel \
     ratelimit reflector remoteip reqtimeout request rewrite sed session session_cookie \
     session_crypto session_dbd setenvif slotmem_plain slotmem_shm so socache_dbm \
     socache_memcache socache_redis socache_shmcb speling ssl status substitute suexec \
     unique_id unixd userdir usertrack version vhost_alias watchdog xml2enc";

/// Modules whose file or identifier has another form.
const OTHERS: [(&str, &str); 4] = [
    ("core.c", "core_module"),
    ("event.c", "mpm_event_module"),
    ("http_core.c", "http_module"),
    ("util_ldap.c", "ldap_module"),
];

/// Modules that another module replaces.
const ABSENT: [(&str, &str); 2] = [
    ("prefork.c", "mpm_prefork_module"),
    ("worker.c", "mpm_worker_module"),
];

/// The value of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SectionCondition {
    False,
    /// The section is not a condition.
    None,
    True,
}

/// Returns whether the content of a section is read. If the condition cannot be evaluated,
/// adds a diagnostic and returns false.
pub(super) fn holds(
    state: &mut ParserState<'_>,
    name: &ConfigWord,
    words: &[ConfigWord],
) -> SectionCondition {
    let holds = match name.text.to_ascii_lowercase().as_str() {
        "ifdefine" => one(state, name, words, |state, name| {
            state.variables.is_defined(name)
        }),
        "ifmodule" => {
            let holds = one(state, name, words, |_, name| is_loaded(name));
            note_unknown_module(state, holds, words);
            holds
        }
        "ifversion" => version(state, name, words),
        _ => return SectionCondition::None,
    };
    if holds {
        SectionCondition::True
    } else {
        SectionCondition::False
    }
}

/// Evaluates `<IfDefine NAME>` or `<IfDefine !NAME>`.
fn one(
    state: &mut ParserState<'_>,
    name: &ConfigWord,
    words: &[ConfigWord],
    is: impl Fn(&ParserState<'_>, &str) -> bool,
) -> bool {
    let (wanted, text) = match words {
        [word] => match word.text.strip_prefix('!') {
            Some(text) => (false, text),
            None => (true, word.text.as_str()),
        },
        _ => (true, ""),
    };
    if text.is_empty() {
        state.wrong_count(name, words, "one name, or `!` and a name");
        return false;
    }
    is(state, text) == wanted
}

fn is_loaded(module: &str) -> bool {
    let file = module
        .strip_prefix("mod_")
        .and_then(|it| it.strip_suffix(".c"));
    let short = file.or_else(|| module.strip_suffix("_module"));
    let mut modules = MODULES.split_ascii_whitespace();
    short.is_some_and(|short| modules.any(|known| known == short)) || is_one_of(module, &OTHERS)
}

fn is_one_of(module: &str, known: &[(&str, &str)]) -> bool {
    let is = |&(file, identifier): &(&str, &str)| module == file || module == identifier;
    known.iter().any(is)
}

/// Returns whether a section is for an httpd before 2.4, as in configurations that support
/// both.
pub(super) fn is_for_old_httpd(words: &[ConfigWord]) -> bool {
    let [word] = words else { return false };
    let name = word.text.strip_prefix('!').unwrap_or_default();
    let new = [
        "mod_authz_core.c",
        "authz_core_module",
        "mod_authz_host.c",
        "authz_host_module",
    ];
    new.contains(&name)
}

/// Returns whether a section is for a module that is not part of httpd.
pub(super) fn is_unknown_module(words: &[ConfigWord]) -> bool {
    let [word] = words else { return false };
    let known = word.text.starts_with('!') || is_one_of(&word.text, &ABSENT);
    !known && !is_loaded(&word.text)
}

/// Adds a note that a section is not read because its module is not part of httpd.
fn note_unknown_module(state: &mut ParserState<'_>, holds: bool, words: &[ConfigWord]) {
    let [word] = words else { return };
    if !holds && is_unknown_module(words) {
        let message = format!(
            "unknown module `{}`: the section for it is not read",
            word.text
        );
        state.report(word.span, Diagnostic::note(message));
    }
}

/// Evaluates `<IfVersion >= 2.4>`, `<IfVersion !< 2.4.40>` or `<IfVersion 2.4.71>`.
fn version(state: &mut ParserState<'_>, name: &ConfigWord, words: &[ConfigWord]) -> bool {
    let (operator, version) = match words {
        [version] => (None, version),
        [operator, version] => (Some(operator), version),
        _ => {
            state.wrong_count(name, words, "an operator and a version");
            return false;
        }
    };
    let Some(wanted) = parse_version(&version.text) else {
        let diagnostic = Diagnostic::error(format!("`{}` is not a version", version.text));
        let hint = "write numbers, as in `2.4.71`; regular expressions are not supported";
        state.report(version.span, diagnostic.with_hint(hint));
        return false;
    };
    let order = VERSION.cmp(&wanted);
    let text = operator.map_or("=", |operator| operator.text.as_str());
    let (negated, positive) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let holds = match positive {
        "=" | "==" => order == Ordering::Equal,
        ">" => order == Ordering::Greater,
        ">=" | "=>" => order != Ordering::Less,
        "<" => order == Ordering::Less,
        "<=" | "=<" => order != Ordering::Greater,
        _ => {
            let diagnostic = Diagnostic::error(format!("`{text}` is not a comparison of versions"));
            let hint =
                "write `=`, `==`, `>`, `>=`, `<` or `<=`, or one of them after `!` to negate it";
            let span = operator.map_or(name.span, |operator| operator.span);
            state.report(span, diagnostic.with_hint(hint));
            return false;
        }
    };
    holds != negated
}

/// Parts that are left out are 0.
fn parse_version(text: &str) -> Option<[u32; 3]> {
    let mut version = [0; 3];
    let mut parts = text.split('.');
    for (part, text) in version.iter_mut().zip(parts.by_ref()) {
        *part = text.parse().ok()?;
    }
    parts.next().is_none().then_some(version)
}
