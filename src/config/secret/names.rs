//! Names that suggest a secret.

/// Returns whether the value of a variable, header or parameter of this name is likely to
/// be secret.
pub(in crate::config) fn sounds_secret(name: &str) -> bool {
    let name = name.strip_suffix(':').unwrap_or(name);
    if name.is_empty() || !name.bytes().all(is_of_name) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let contains = [
        "apikey",
        "authorization",
        "credential",
        "nonce",
        "passphrase",
        "passw",
        "privatekey",
        "secret",
        "token",
    ];
    let name = name.strip_prefix("http_").unwrap_or(&name);
    let parts = [
        "auth",
        "jwt",
        "key",
        "pass",
        "pw",
        "pwd",
        "sig",
        "signature",
    ];
    // `stickysession` is a name, and `ServerTokens` selects how much of the version is
    // shown.
    let known = ["servertokens", "www-authenticate"];
    !known.contains(&name)
        && (name == "cookie"
            || contains.iter().any(|part| name.contains(part))
            || name.split(['-', '_']).any(|part| parts.contains(&part)))
}

/// Returns whether this is probably a misspelt name of a secret parameter.
pub(super) fn nearly_sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let known = [("secret", 2), ("password", 2), ("nonce", 1), ("token", 1)];
    // No parameter has a longer name, and comparing names is slow.
    (4..=12).contains(&name.len())
        && name != "secure"
        && known
            .into_iter()
            .any(|(known, most)| strsim::damerau_levenshtein(&name, known) <= most)
}

pub(super) fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::sounds_secret;

    #[test]
    fn names_sound_secret_by_their_parts() {
        for name in [
            "PW",
            "db-pass",
            "X-Auth-User",
            "Proxy-Authorization",
            "cookie",
            "APIKEY",
        ] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in [
            "path",
            "route",
            "Set-Cookie",
            "keepalive",
            "stickysession",
            "",
            "a b",
        ] {
            assert!(!sounds_secret(name), "{name}");
        }
    }
}
