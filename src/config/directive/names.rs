//! The list of directives, with the contexts in which each is allowed and how it is
//! treated: [`DIRECTIVES`].
//!
//! Not here: what a directive does (the functions named in the list).

use super::reading::{DirectiveContext, DirectiveScope, Within};
use super::{access, balancers, headers, health, host, mappings};
use crate::config::syntax::Directive;

type ReadDirective = fn(&mut DirectiveContext<'_>, &mut DirectiveScope<'_>, &Directive);

/// A known directive.
pub(super) struct KnownDirective {
    pub(super) name: &'static str,
    pub(super) meaning: Meaning,
}

/// How a directive is treated.
pub(super) enum Meaning {
    /// Applied in these contexts.
    Do(&'static [Within], ReadDirective),
    /// Ignored, with a note: it has no effect on requests.
    Note(&'static str),
    /// Refused with an error and a hint, because ignoring it would be harmful.
    Refuse(&'static str, &'static str),
    /// Ignored, with a warning: requests are treated differently than by httpd.
    Warn(&'static str),
}

use Within::{Location, Main, Proxy, VirtualHost};

const ONCE: &[Within] = &[Main];
const HOST: &[Within] = &[Main, VirtualHost];
const PATHS: &[Within] = &[Main, VirtualHost, Location];
/// Inside `<Proxy>` they apply to the whole host, with a diagnostic.
const BALANCED: &[Within] = &[Main, VirtualHost, Location, Proxy];
const BALANCERS: &[Within] = &[Main, VirtualHost, Proxy];
const ACCESS: &[Within] = &[Location, Proxy];

const HTTPD: Meaning = Meaning::Note("has no effect: it configures httpd itself");
const FILES: Meaning = Meaning::Note("has no effect: files are not served");
const LOGS: Meaning = Meaning::Note("has no effect: the embedding program is responsible for it");
const AUTHORITIES: Meaning = Meaning::Note("has no effect: client certificates are not requested");
const TLS: Meaning =
    Meaning::Note("is not needed: only TLS 1.2 and 1.3 with safe ciphers are supported");
const REWRITE: Meaning = Meaning::Refuse(
    "is not supported: URLs are not rewritten",
    "use `ProxyPassMatch` to map paths by regular expressions",
);
const OLD_ACCESS: Meaning = Meaning::Refuse(
    "is a directive of httpd 2.2; access rules must not be guessed",
    "write `Require ip ..` or `Require all granted` in `<Location>`",
);
const USERS: Meaning = Meaning::Refuse(
    "is not supported: users are not authenticated",
    "use `Require ip` or `Require local`, or authenticate users in the members",
);
const FORWARD: Meaning = Meaning::Refuse(
    "is not supported",
    "this is not a forward proxy, and connects to its members directly",
);

const fn read(
    name: &'static str,
    within: &'static [Within],
    read: ReadDirective,
) -> KnownDirective {
    KnownDirective {
        name,
        meaning: Meaning::Do(within, read),
    }
}

const fn all(name: &'static str, meaning: Meaning) -> KnownDirective {
    KnownDirective { name, meaning }
}

/// All sections.
pub(super) const SECTIONS: [&str; 20] = [
    "VirtualHost",
    "Location",
    "LocationMatch",
    "Proxy",
    "ProxyMatch",
    "Directory",
    "DirectoryMatch",
    "Files",
    "FilesMatch",
    "RequireAny",
    "RequireAll",
    "RequireNone",
    "Limit",
    "LimitExcept",
    "If",
    "ElseIf",
    "Else",
    "Macro",
    "AuthnProviderAlias",
    "AuthzProviderAlias",
];

/// All directives.
pub(super) static DIRECTIVES: &[KnownDirective] = &[
    // Balancers.
    read("BalancerMember", BALANCERS, balancers::member),
    read("ProxySet", BALANCERS, balancers::proxy_set),
    read("BalancerGrowth", HOST, host::growth),
    read("BalancerInherit", HOST, host::balancer_inherit),
    all(
        "BalancerPersist",
        Meaning::Note("has no effect: changes at run time are not stored"),
    ),
    read("ProxyHCExpr", HOST, health::condition),
    read("ProxyHCTemplate", HOST, health::template),
    all(
        "ProxyHCTPsize",
        Meaning::Note("is not needed: health checks use no threads"),
    ),
    read("HeartbeatListen", ONCE, health::heartbeat_listen),
    read("HeartbeatStorage", ONCE, health::heartbeat_storage),
    read("HeartbeatMaxServers", ONCE, health::heartbeat_max),
    read("HeartbeatAddress", ONCE, health::heartbeat_address),
    // Mappings.
    read("ProxyPass", PATHS, mappings::pass),
    read("ProxyPassMatch", PATHS, mappings::pass_match),
    read("ProxyPassReverse", PATHS, mappings::reverse),
    read(
        "ProxyPassReverseCookieDomain",
        PATHS,
        mappings::cookie_domain,
    ),
    read("ProxyPassReverseCookiePath", PATHS, mappings::cookie_path),
    read("ProxyPassInherit", HOST, host::mapping_inherit),
    read("ProxyPassInterpolateEnv", PATHS, host::interpolate),
    // The proxy.
    read("ProxyPreserveHost", BALANCED, host::preserve_host),
    read("ProxyAddHeaders", BALANCED, host::add_headers),
    read("ProxyErrorOverride", BALANCED, host::error_override),
    read("ProxyVia", HOST, host::via),
    read("ProxyTimeout", HOST, host::proxy_timeout),
    read("ProxyRequests", HOST, host::proxy_requests),
    all(
        "ProxyStatus",
        Meaning::Note("has no effect: there is no status page"),
    ),
    all("ProxyRemote", FORWARD),
    all("ProxyRemoteMatch", FORWARD),
    all("ProxyBlock", FORWARD),
    all("ProxySourceAddress", FORWARD),
    all("NoProxy", HTTPD),
    all("ProxyDomain", HTTPD),
    all(
        "ProxyBadHeader",
        Meaning::Warn("has no effect: a response with an invalid header is replaced by status 502"),
    ),
    all("ProxyMaxForwards", HTTPD),
    all("ProxyIOBufferSize", HTTPD),
    all("ProxyReceiveBufferSize", HTTPD),
    all("ProxyWebsocketAsync", HTTPD),
    all("ProxyWebsocketFallbackToProxyHttp", HTTPD),
    all("AllowCONNECT", HTTPD),
    // Hosts.
    read("Listen", ONCE, host::listen),
    read("ServerName", HOST, host::server_name),
    read("ServerAlias", HOST, host::server_alias),
    read("Timeout", HOST, host::timeout),
    read("SSLEngine", HOST, host::tls_engine),
    read("SSLCertificateFile", HOST, host::tls_certificate),
    read("SSLCertificateKeyFile", HOST, host::tls_key),
    read("SSLProxyEngine", HOST, host::member_tls_engine),
    read("SSLProxyVerify", HOST, host::member_tls_verify),
    read("SSLProxyCACertificateFile", HOST, host::member_tls_roots),
    read("SSLVerifyClient", PATHS, host::verify_client),
    all(
        "SSLCertificateChainFile",
        Meaning::Refuse(
            "is not read",
            "append the chain to the file of `SSLCertificateFile`, after the certificate",
        ),
    ),
    all(
        "SSLProxyCACertificatePath",
        Meaning::Refuse(
            "is not read",
            "name one file with `SSLProxyCACertificateFile`",
        ),
    ),
    all(
        "SSLProxyMachineCertificateFile",
        Meaning::Refuse(
            "is not supported: no client certificate is sent to members",
            "connect in another way to members that require one",
        ),
    ),
    all(
        "SSLProxyMachineCertificatePath",
        Meaning::Refuse(
            "is not supported: no client certificate is sent to members",
            "connect in another way to members that require one",
        ),
    ),
    all(
        "SSLProxyCARevocationFile",
        Meaning::Refuse(
            "is not supported: revocation lists are not read",
            "trust only suitable certificates, with `SSLProxyCACertificateFile`",
        ),
    ),
    all(
        "SSLProxyCheckPeerCN",
        Meaning::Warn("is ignored: names are checked unless `SSLProxyVerify` is `none`"),
    ),
    all(
        "SSLProxyCheckPeerName",
        Meaning::Warn("is ignored: names are checked unless `SSLProxyVerify` is `none`"),
    ),
    all(
        "SSLProxyCheckPeerExpire",
        Meaning::Warn("is ignored: dates are checked unless `SSLProxyVerify` is `none`"),
    ),
    all("SSLRequire", USERS),
    all("SSLRequireSSL", USERS),
    all("SSLCACertificateFile", AUTHORITIES),
    all("SSLCACertificatePath", AUTHORITIES),
    all("SSLCipherSuite", TLS),
    all("SSLCompression", TLS),
    all("SSLCryptoDevice", TLS),
    all("SSLHonorCipherOrder", TLS),
    all("SSLInsecureRenegotiation", TLS),
    all("SSLOptions", TLS),
    all("SSLPassPhraseDialog", TLS),
    all(
        "SSLProtocol",
        Meaning::Warn("has no effect: only TLS 1.2 and 1.3 are supported"),
    ),
    all("SSLProxyCipherSuite", TLS),
    all("SSLProxyProtocol", TLS),
    all("SSLProxyVerifyDepth", TLS),
    all("SSLRandomSeed", TLS),
    all("SSLSessionCache", TLS),
    all("SSLSessionCacheTimeout", TLS),
    all("SSLSessionTickets", TLS),
    all("SSLStaplingCache", TLS),
    all(
        "SSLStrictSNIVHostCheck",
        Meaning::Warn("has no effect: a client without SNI gets the first certificate"),
    ),
    all("SSLUseStapling", TLS),
    all("SSLVerifyDepth", AUTHORITIES),
    // Paths.
    read("Require", ACCESS, access::require),
    read("SetHandler", PATHS, access::set_handler),
    read("Header", PATHS, headers::response),
    read("RequestHeader", PATHS, headers::request),
    read("SetEnv", PATHS, headers::set_env),
    read("UnsetEnv", PATHS, headers::unset_env),
    all(
        "AllowEncodedSlashes",
        Meaning::Note("is not needed: encoded slashes are forwarded unchanged"),
    ),
    read("UseCanonicalName", PATHS, host::canonical_name),
    all("UseCanonicalPhysicalPort", Meaning::Note("has no effect")),
    all(
        "ErrorDocument",
        Meaning::Warn("has no effect: error pages cannot be configured"),
    ),
    all(
        "LimitRequestBody",
        Meaning::Warn("has no effect: bodies of any length are forwarded"),
    ),
    all("Order", OLD_ACCESS),
    all("Allow", OLD_ACCESS),
    all("Deny", OLD_ACCESS),
    all("Satisfy", OLD_ACCESS),
    all("AuthType", USERS),
    all("AuthName", USERS),
    all("AuthUserFile", USERS),
    all("AuthGroupFile", USERS),
    all("AuthBasicProvider", USERS),
    all("AuthMerging", USERS),
    all("RewriteRule", REWRITE),
    all("RewriteCond", REWRITE),
    all("RewriteMap", REWRITE),
    read("RewriteEngine", PATHS, host::rewrite_engine),
    all("Redirect", REWRITE),
    all("RedirectMatch", REWRITE),
    all("RedirectPermanent", REWRITE),
    all("RedirectTemp", REWRITE),
    all(
        "SetEnvIf",
        Meaning::Refuse(
            "is not supported: variables cannot depend on the request",
            "set the variable with `SetEnv` in a `<Location>`",
        ),
    ),
    all(
        "SetEnvIfNoCase",
        Meaning::Refuse(
            "is not supported: variables cannot depend on the request",
            "set the variable with `SetEnv` in a `<Location>`",
        ),
    ),
    all(
        "BrowserMatch",
        Meaning::Note("has no effect: current browsers do not need it"),
    ),
    all(
        "BrowserMatchNoCase",
        Meaning::Note("has no effect: current browsers do not need it"),
    ),
    all(
        "PassEnv",
        Meaning::Refuse(
            "is not supported",
            "write `SetEnv` with a value, or use `${NAME}`",
        ),
    ),
    // Files.
    all("AcceptPathInfo", FILES),
    all("AccessFileName", FILES),
    all("AddCharset", FILES),
    all("AddDefaultCharset", FILES),
    all("AddEncoding", FILES),
    all("AddHandler", FILES),
    all("AddIcon", FILES),
    all("AddIconByEncoding", FILES),
    all("AddIconByType", FILES),
    all("AddLanguage", FILES),
    all("AddOutputFilter", FILES),
    all(
        "AddOutputFilterByType",
        Meaning::Warn("has no effect: responses are forwarded unchanged"),
    ),
    all("AddType", FILES),
    all("Alias", FILES),
    all("AliasMatch", FILES),
    all("AllowOverride", FILES),
    all("DefaultIcon", FILES),
    all("DefaultType", FILES),
    all("DirectoryIndex", FILES),
    all("DirectorySlash", FILES),
    all("DocumentRoot", FILES),
    all("EnableMMAP", FILES),
    all("EnableSendfile", FILES),
    all("FileETag", FILES),
    all("ForceLanguagePriority", FILES),
    all("HeaderName", FILES),
    all("IndexIgnore", FILES),
    all("IndexOptions", FILES),
    all("LanguagePriority", FILES),
    all("MIMEMagicFile", FILES),
    all("Options", FILES),
    all("ReadmeName", FILES),
    all("RemoveCharset", FILES),
    all("RemoveEncoding", FILES),
    all("RemoveHandler", FILES),
    all("RemoveLanguage", FILES),
    all("RemoveType", FILES),
    all("ScriptAlias", FILES),
    all("ScriptAliasMatch", FILES),
    all("TypesConfig", FILES),
    all("UserDir", FILES),
    // Logs.
    all("BufferedLogs", LOGS),
    all("CustomLog", LOGS),
    all("ErrorLog", LOGS),
    all("ErrorLogFormat", LOGS),
    all("GlobalLog", LOGS),
    all("LogFormat", LOGS),
    all("LogLevel", LOGS),
    all("TransferLog", LOGS),
    // httpd itself.
    all("AcceptFilter", HTTPD),
    all("CoreDumpDirectory", HTTPD),
    all("DefaultRuntimeDir", HTTPD),
    all("ExtendedStatus", HTTPD),
    all("GracefulShutdownTimeout", HTTPD),
    all("Group", HTTPD),
    all("H2Direct", HTTPD),
    all("H2Upgrade", HTTPD),
    all("HostnameLookups", HTTPD),
    all("HttpProtocolOptions", HTTPD),
    all("KeepAlive", HTTPD),
    all("KeepAliveTimeout", HTTPD),
    all("LimitRequestFieldSize", HTTPD),
    all("LimitRequestFields", HTTPD),
    all("LimitRequestLine", HTTPD),
    all("ListenBacklog", HTTPD),
    all("LoadFile", HTTPD),
    all("LoadModule", HTTPD),
    all("MaxClients", HTTPD),
    all("MaxConnectionsPerChild", HTTPD),
    all("MaxKeepAliveRequests", HTTPD),
    all("MaxMemFree", HTTPD),
    read("MaxRequestWorkers", ONCE, health::capacity),
    all("MaxRequestsPerChild", HTTPD),
    all("MaxSpareServers", HTTPD),
    all("MaxSpareThreads", HTTPD),
    all("MinSpareServers", HTTPD),
    all("MinSpareThreads", HTTPD),
    all("Mutex", HTTPD),
    all("NameVirtualHost", HTTPD),
    all("PidFile", HTTPD),
    all("Protocols", HTTPD),
    all("ProtocolsHonorOrder", HTTPD),
    all("ReceiveBufferSize", HTTPD),
    all("RequestReadTimeout", HTTPD),
    all("ScoreBoardFile", HTTPD),
    all("SeeRequestTail", HTTPD),
    all("SendBufferSize", HTTPD),
    all("ServerAdmin", HTTPD),
    all("ServerLimit", HTTPD),
    all("ServerRoot", HTTPD),
    all("ServerSignature", HTTPD),
    all("ServerTokens", HTTPD),
    all("StartServers", HTTPD),
    all("ThreadLimit", HTTPD),
    all("ThreadStackSize", HTTPD),
    all("ThreadsPerChild", HTTPD),
    all(
        "RegexDefaultOptions",
        Meaning::Refuse(
            "is not supported",
            "write `(?i)` or `(?x)` in the expressions",
        ),
    ),
    all(
        "MergeSlashes",
        Meaning::Warn("has no effect: adjacent slashes are compared as one"),
    ),
    all(
        "StrictHostCheck",
        Meaning::Warn("has no effect: a request for an unknown name gets the first host"),
    ),
    all(
        "TraceEnable",
        Meaning::Warn("has no effect: TRACE is forwarded"),
    ),
    all("User", HTTPD),
];
