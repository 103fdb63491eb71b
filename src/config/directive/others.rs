//! Directives of httpd's other modules, so that they are not reported as unknown:
//! [`other`].
//!
//! Not here: directives that are common in configurations with a balancer (`names`).
//! Source: the directives that httpd 2.4.71 lists with all modules of its distribution
//! loaded.

use super::names::Meaning;

const FILES: Meaning = Meaning::Note("has no effect: files and programs are not served");
const HTTPD: Meaning = Meaning::Note("has no effect: it configures httpd itself");
const LOGS: Meaning = Meaning::Note("has no effect: the embedding program is responsible for it");
const CONTENT: Meaning = Meaning::Warn("has no effect: responses are forwarded unchanged");
const ACCESS: Meaning = Meaning::Refuse(
    "is not supported; access rules must not be guessed",
    "use `Require ip` or `Require local`, or restrict access in the members",
);
const REWRITTEN: Meaning = Meaning::Refuse(
    "is not supported: requests and responses are not rewritten",
    "do it in the members, or remove this line",
);
const CERTIFICATES: Meaning = Meaning::Refuse(
    "is not supported",
    "use `SSLCertificateFile`; a reload reads the certificate again",
);
const CLIENTS: Meaning = Meaning::Refuse(
    "is not supported: the client is the peer of the connection",
    "read `X-Forwarded-For` in the members",
);
const TLS: Meaning = Meaning::Note("is not needed");

/// The names, and how each of them is treated.
const OTHERS: &[(Meaning, &str)] = &[
    (
        FILES,
        "Action AddAlt AddAltByEncoding AddAltByType AddDescription AddInputFilter \
         AliasPreservePath AllowOverrideList CacheNegotiatedDocs CGIDScriptTimeout \
         CGIPassAuth CGIScriptTimeout CGIVar CharsetDefault CharsetOptions CharsetSourceEnc \
         CheckBasenameMatch CheckCaseOnly CheckSpelling ContentDigest DAV DAVBasePath \
         DAVDepthInfinity DAVGenericLockDB DAVLockDB DAVLockDiscovery DAVMinTimeout \
         DefaultLanguage DirectoryCheckHandler DirectoryIndexRedirect FallbackResource \
         FancyIndexing ForceType ImapBase ImapDefault ImapMenu IndexHeadInsert \
         IndexIgnoreReset IndexOrderDefault IndexStyleSheet MetaDir MetaFiles MetaSuffix \
         ModMimeUsePathInfo MultiviewsMatch RemoveInputFilter RemoveOutputFilter Script \
         ScriptLog ScriptLogBuffer ScriptLogLength ScriptSock SSIEndTag SSIErrorMsg SSIEtag \
         SSILastModified SSILegacyExprParser SSIStartTag SSITimeFormat SSIUndefinedEcho \
         VirtualDocumentRoot VirtualDocumentRootIP VirtualScriptAlias VirtualScriptAliasIP \
         XBitHack ProxyFCGIBackendType ProxyFCGISetEnvIf ProxyFtpDirCharset \
         ProxyFtpEscapeWildcards ProxyFtpListOnWildcard ProxySCGIInternalRedirect \
         ProxySCGISendfile",
    ),
    (
        HTTPD,
        "AddModuleInfo AsyncRequestWorkerFactor ChrootDir DBDInitSQL DBDKeep DBDMax DBDMin \
         DBDParams DBDPersist DBDPrepareSQL DBDExptime DBDriver FlushMaxPipelined \
         FlushMaxThreshold H2CopyFiles H2EarlyHint H2EarlyHints H2MaxDataFrameLen \
         H2MaxHeaderBlockLen H2MaxSessionStreams H2MaxStreamErrors H2MaxWorkerIdleSeconds \
         H2MaxWorkers H2MinWorkers H2ModernTLSOnly H2OutputBuffering H2Padding \
         H2ProxyRequests H2Push H2PushDiarySize H2PushPriority H2PushResource \
         H2SerializeHeaders H2SessionExtraFiles H2StreamMaxMemSize H2StreamTimeout \
         H2TLSCoolDownSecs H2TLSWarmUpSize H2WebSockets H2WindowSize IdentityCheck \
         IdentityCheckTimeout KeptBodySize LimitInternalRecursion LimitXMLRequestBody \
         ListenCoresBucketsRatio ListenTCPDeferAccept MaxRangeOverlaps MaxRangeReversals \
         MaxRanges MemcacheConnTTL MergeTrailers ModemStandard Protocol \
         ProtocolEcho QualifyRedirectURL ReadBufferSize RedisConnPoolTTL RedisTimeout \
         RegisterHttpMethod RLimitCPU RLimitMEM RLimitNPROC ServerPath \
         Suexec SuexecUserGroup WatchdogInterval Proxy100Continue",
    ),
    (
        LOGS,
        "DumpIOInput DumpIOOutput ForensicLog LogIOTrackTTFB LogMessage SSLLog SSLLogLevel",
    ),
    (
        CONTENT,
        "BrotliAlterETag BrotliCompressionMaxInputBlock BrotliCompressionQuality \
         BrotliCompressionWindow BrotliFilterNote BufferSize CacheDefaultExpire \
         CacheDetailHeader CacheDirLength CacheDirLevels CacheDisable CacheEnable CacheHeader \
         CacheIgnoreCacheControl CacheIgnoreHeaders CacheIgnoreNoLastMod \
         CacheIgnoreQueryString CacheIgnoreURLSessionIdentifiers CacheKeyBaseURL \
         CacheLastModifiedFactor CacheLock CacheLockMaxAge CacheLockPath CacheMaxExpire \
         CacheMaxFileSize CacheMinExpire CacheMinFileSize CacheQuickHandler CacheReadSize \
         CacheReadTime CacheRoot CacheSocache CacheSocacheMaxSize CacheSocacheMaxTime \
         CacheSocacheMinTime CacheSocacheReadSize CacheSocacheReadTime CacheStaleOnError \
         CacheStoreExpired CacheStoreNoStore CacheStorePrivate CookieDomain CookieExpires \
         CookieHttpOnly CookieName CookieSameSite CookieSecure CookieStyle CookieTracking \
         DeflateAlterEtag DeflateBufferSize DeflateCompressionLevel \
         DeflateInflateLimitRequestBody DeflateInflateRatioBurst DeflateInflateRatioLimit \
         DeflateMemLevel DeflateWindowSize ExpiresActive ExpiresByType ExpiresDefault \
         FilterChain FilterDeclare FilterProtocol FilterProvider FilterTrace SetInputFilter \
         SetOutputFilter xml2EncAlias xml2EncDefault xml2StartParse",
    ),
    (
        ACCESS,
        "AllowMethods Anonymous Anonymous_LogEmail Anonymous_MustGiveEmail Anonymous_NoUserId \
         Anonymous_VerifyEmail AuthBasicAuthoritative AuthBasicFake \
         AuthBasicUseDigestAlgorithm AuthDBDUserPWQuery AuthDBDUserRealmQuery \
         AuthDBMGroupFile AuthDBMType AuthDBMUserFile AuthDigestAlgorithm AuthDigestDomain \
         AuthDigestNcCheck AuthDigestNonceLifetime AuthDigestProvider AuthDigestQop \
         AuthDigestShmemSize AuthFormAuthoritative AuthFormBody AuthFormDisableNoStore \
         AuthFormFakeBasicAuth AuthFormLocation AuthFormLoginRequiredLocation \
         AuthFormLoginSuccessLocation AuthFormLogoutLocation AuthFormMethod AuthFormMimetype \
         AuthFormPassword AuthFormProvider AuthFormSitePassphrase AuthFormSize \
         AuthFormUsername AuthLDAPAuthorizePrefix AuthLDAPBindAuthoritative AuthLDAPBindDN \
         AuthLDAPBindPassword AuthLDAPCharsetConfig AuthLDAPCompareAsUser \
         AuthLDAPCompareDNOnServer AuthLDAPDereferenceAliases AuthLDAPGroupAttribute \
         AuthLDAPGroupAttributeIsDN AuthLDAPInitialBindAsUser AuthLDAPInitialBindPattern \
         AuthLDAPMaxSubGroupDepth AuthLDAPRemoteUserAttribute AuthLDAPRemoteUserIsDN \
         AuthLDAPSearchAsUser AuthLDAPSubGroupAttribute AuthLDAPSubGroupClass AuthLDAPURL \
         AuthnCacheContext AuthnCacheEnable AuthnCacheProvideFor AuthnCacheSOCache \
         AuthnCacheTimeout AuthnzFcgiCheckAuthnProvider AuthnzFcgiDefineProvider \
         AuthzDBDLoginToReferer AuthzDBDQuery AuthzDBDRedirectQuery AuthzDBMType \
         AuthzSendForbiddenOnFailure LDAPCacheEntries LDAPCacheTTL LDAPConnectionPoolTTL \
         LDAPConnectionTimeout LDAPLibraryDebug LDAPOpCacheEntries LDAPOpCacheTTL \
         LDAPReferralHopLimit LDAPReferrals LDAPRetries LDAPRetryDelay LDAPSharedCacheFile \
         LDAPSharedCacheSize LDAPTimeout LDAPTrustedClientCert LDAPTrustedGlobalCert \
         LDAPTrustedMode LDAPVerifyServerCert LuaAuthzProvider LuaHookAccessChecker \
         LuaHookAuthChecker LuaHookCheckUserID Session SessionCookieName SessionCookieName2 \
         SessionCookieRemove SessionCryptoCipher SessionCryptoDriver SessionCryptoPassphrase \
         SessionCryptoPassphraseFile SessionDBDCookieName SessionDBDCookieName2 \
         SessionDBDCookieRemove SessionDBDDeleteLabel SessionDBDInsertLabel SessionDBDPerUser \
         SessionDBDSelectLabel SessionDBDUpdateLabel SessionEnv SessionExclude \
         SessionExpiryUpdateInterval SessionHeader SessionInclude SessionMaxAge \
         SSLCARevocationCheck SSLCARevocationFile SSLCARevocationPath SSLOCSPEnable \
         SSLUserName",
    ),
    (
        REWRITTEN,
        "CaseFilter CaseFilterIn ExtFilterDefine ExtFilterOptions InputSed LuaCodeCache \
         LuaHookFixups LuaHookInsertFilter LuaHookLog LuaHookMapToStorage \
         LuaHookPreTranslateName LuaHookTranslateName LuaHookTypeChecker LuaInherit \
         LuaInputFilter LuaMapHandler LuaOutputFilter LuaPackageCPath LuaPackagePath \
         LuaQuickHandler LuaRoot LuaScope MacroIgnoreBadNesting MacroIgnoreEmptyArgs \
         OutputSed ProxyExpressDBMFile ProxyExpressDBMType ProxyExpressEnable \
         ProxyHTMLBufSize ProxyHTMLCharsetOut ProxyHTMLDoctype ProxyHTMLEnable \
         ProxyHTMLEvents ProxyHTMLExtended ProxyHTMLFixups ProxyHTMLInterp ProxyHTMLLinks \
         ProxyHTMLMeta ProxyHTMLStripComments ProxyHTMLURLMap RedirectRelative \
         ReflectorHeader RewriteBase RewriteOptions SetEnvIfExpr Substitute \
         SubstituteInheritBefore SubstituteMaxLineLength UndefMacro Use",
    ),
    (
        CERTIFICATES,
        "MDActivationDelay MDBaseServer MDCACertificateFile MDCAChallenges \
         MDCertificateAgreement MDCertificateAuthority MDCertificateCheck MDCertificateFile \
         MDCertificateKeyFile MDCertificateProtocol MDCertificateStatus MDChallengeDns01 \
         MDChallengeDns01Version MDCheckInterval MDContactEmail MDDriveMode \
         MDExternalAccountBinding MDHttpProxy MDHttpProxyCACertificateFile MDInitialDelay \
         MDMatchNames MDMember MDMembers MDMessageCmd MDMustStaple MDNotifyCmd MDomain \
         MDPortMap MDPrivateKeys MDProfile MDProfileMandatory MDRenewMode MDRenewViaARI \
         MDRenewWindow MDRequireHttps MDRetryDelay MDRetryFailover MDServerStatus \
         MDStapleOthers MDStapling MDStaplingKeepResponse MDStaplingRenewWindow MDStoreDir \
         MDStoreLocks MDWarnWindow SSLProxyCARevocationCheck SSLProxyCARevocationPath \
         SSLProxyMachineCertificateChainFile",
    ),
    (
        CLIENTS,
        "RemoteIPHeader RemoteIPInternalProxy RemoteIPInternalProxyList RemoteIPProxiesHeader \
         RemoteIPProxyProtocol RemoteIPProxyProtocolExceptions RemoteIPTrustedProxy \
         RemoteIPTrustedProxyList",
    ),
    (
        TLS,
        "SSLCADNRequestFile SSLCADNRequestPath SSLFIPS SSLOCSPDefaultResponder \
         SSLOCSPNoVerify SSLOCSPOverrideResponder SSLOCSPProxyURL \
         SSLOCSPResponderCertificateFile SSLOCSPResponderTimeout SSLOCSPResponseMaxAge \
         SSLOCSPResponseTimeSkew SSLOCSPUseRequestNonce SSLOpenSSLConfCmd SSLRenegBufferSize \
         SSLSessionTicketKeyFile SSLSRPUnknownUserSeed SSLSRPVerifierFile \
         SSLStaplingErrorCacheTimeout SSLStaplingFakeTryLater SSLStaplingForceURL \
         SSLStaplingResponderTimeout SSLStaplingResponseMaxAge SSLStaplingResponseTimeSkew \
         SSLStaplingReturnResponderErrors SSLStaplingStandardCacheTimeout SSLVHostSNIPolicy",
    ),
];

/// Returns a directive of another module: its name in httpd's spelling, and how it is
/// treated.
pub(super) fn other(name: &str) -> Option<(&'static str, &'static Meaning)> {
    OTHERS.iter().find_map(|(meaning, names)| {
        let mut names = names.split_ascii_whitespace();
        let known = names.find(|known| known.eq_ignore_ascii_case(name))?;
        Some((known, meaning))
    })
}

/// Returns all names, for the search for a similar name.
pub(super) fn others() -> impl Iterator<Item = &'static str> {
    let groups = OTHERS.iter().map(|(_, names)| *names);
    groups.flat_map(str::split_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::super::names::DIRECTIVES;
    use super::{other, others};

    #[test]
    fn no_name_stands_in_two_places() {
        let mut names: Vec<String> = others().map(str::to_ascii_lowercase).collect();
        names.extend(DIRECTIVES.iter().map(|row| row.name.to_ascii_lowercase()));
        names.sort();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None);
    }

    #[test]
    fn a_name_is_found_in_any_case() {
        let found = other("cacheenable").map(|(name, _)| name);
        assert_eq!(found, Some("CacheEnable"));
        assert!(other("CacheEnabl").is_none());
    }
}
