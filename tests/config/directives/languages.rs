//! The same configuration from TOML, YAML and JSON.

#![expect(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::fs;

use equipoise::config::{Config, parse};

use super::golden::files;

/// What is written again of each, if it can be read: of some that are full of mistakes it
/// cannot.
fn configs() -> Vec<(String, Config)> {
    let configs = files().into_iter().filter_map(|path| {
        let (config, _) = parse(&fs::read_to_string(&path).unwrap());
        let (config, complaints) = parse(&config.to_string());
        let sound = complaints.iter().all(|complaint| !complaint.is_error());
        sound.then(|| (path.display().to_string(), config))
    });
    let configs: Vec<_> = configs.collect();
    assert!(configs.len() > 20, "only {} are left", configs.len());
    configs
}

#[test]
fn every_golden_configuration_survives_toml() {
    for (name, config) in configs() {
        let text = toml::to_string(&config).unwrap();
        let again: Config = toml::from_str(&text).unwrap();
        assert_eq!(again, config, "{name}\n{text}");
    }
}

#[test]
fn every_golden_configuration_survives_json() {
    for (name, config) in configs() {
        let text = serde_json::to_string_pretty(&config).unwrap();
        let again: Config = serde_json::from_str(&text).unwrap();
        assert_eq!(again, config, "{name}\n{text}");
    }
}

#[test]
fn every_golden_configuration_survives_yaml() {
    for (name, config) in configs() {
        let text = serde_norway::to_string(&config).unwrap();
        let again: Config = serde_norway::from_str(&text).unwrap();
        assert_eq!(again, config, "{name}\n{text}");
    }
}

#[test]
fn our_own_names_say_what_apache_s_words_say() {
    let ours = r#"
        [[listeners]]
        port = 8080

        [[server.balancers]]
        name = "shop"
        scheduler = "by_traffic"
        session = { names = "JSESSIONID|jsessionid" }
        wait = "2s"

        [[server.balancers.members]]
        url = "http://10.0.0.1:8080"
        weight = 2.5
        flags = ["hot_standby"]
        route = "a"

        [[server.settings.mappings]]
        path = "/shop"
        target = "balancer://shop"
    "#;
    let apache = "Listen 8080\n\
        ProxyPass /shop balancer://shop\n\
        <Proxy balancer://shop>\n\
        BalancerMember http://10.0.0.1:8080 loadfactor=2.5 status=H route=a\n\
        ProxySet lbmethod=bytraffic stickysession=JSESSIONID|jsessionid timeout=2\n\
        </Proxy>\n";
    let (config, diagnostics) = parse(apache);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!(toml::from_str::<Config>(ours).unwrap(), config);
}

#[test]
fn a_key_that_is_not_known_is_refused_in_other_languages_too() {
    let error = toml::from_str::<Config>("[server]\nbalancer = []\n").unwrap_err();
    assert!(
        error.to_string().contains("unknown field `balancer`"),
        "{error}"
    );
}
