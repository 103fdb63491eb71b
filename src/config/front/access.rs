//! Access control: [`AccessCheck`].

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::config::AccessRule;
use crate::proxy::ClientAddr;

/// Grants access if at least one of its rules matches.
#[derive(Clone, Debug)]
pub(in crate::config) struct AccessCheck {
    rules: Vec<AccessRule>,
}

impl AccessCheck {
    pub(in crate::config) fn new(rules: &[AccessRule]) -> Option<Self> {
        let rules = rules.to_vec();
        (!rules.is_empty()).then_some(Self { rules })
    }

    /// Returns whether the client of a request has access, by the client address that its
    /// server has recorded and the local address `here`. A client without a known address
    /// has access only if all clients have.
    pub(super) fn allows(&self, client: Option<ClientAddr>, here: SocketAddr) -> bool {
        let client = client.map(|client| client.0.ip().to_canonical());
        let here = here.ip().to_canonical();
        self.rules.iter().any(|rule| match (rule, client) {
            (AccessRule::Granted, _) => true,
            (AccessRule::Local, Some(client)) => is_local(client, here),
            (AccessRule::Networks(networks), Some(client)) => {
                networks.iter().any(|network| contains(network, client))
            }
            _ => false,
        })
    }
}

/// Returns whether the client is on this machine, or uses the same address as the listener.
fn is_local(client: IpAddr, here: IpAddr) -> bool {
    client.is_loopback() || here == client
}

fn contains(network: &IpNet, client: IpAddr) -> bool {
    match (network, client) {
        // `::ffff:10.0.0.0/104` is another way to write 10.0.0.0/8.
        (IpNet::V6(network), IpAddr::V4(client)) => network.contains(&client.to_ipv6_mapped()),
        (network, client) => network.contains(&client),
    }
}

#[cfg(test)]
mod tests {
    use super::AccessCheck;
    use crate::config::AccessRule;
    use crate::proxy::ClientAddr;

    fn allows(rules: &[AccessRule], client: &str) -> bool {
        let client = Some(ClientAddr(client.parse().unwrap()));
        let here = "192.0.2.7:80".parse().unwrap();
        AccessCheck::new(rules).unwrap().allows(client, here)
    }

    #[test]
    fn one_matching_rule_grants_access() {
        let rules = [
            AccessRule::Denied,
            AccessRule::Networks(vec!["10.0.0.0/8".parse().unwrap()]),
            AccessRule::Local,
        ];
        assert!(allows(&rules, "10.1.2.3:1"));
        assert!(allows(&rules, "[::ffff:10.1.2.3]:1"));
        assert!(allows(&rules, "127.0.0.9:1"));
        assert!(allows(&rules, "[::1]:1"));
        assert!(allows(&rules, "192.0.2.7:1"));
        assert!(!allows(&rules, "192.0.2.1:1"));
        assert!(!allows(&rules[..1], "127.0.0.1:1"));
    }

    #[test]
    fn an_unknown_client_has_access_only_if_all_clients_have() {
        let nobody = None;
        let here = "127.0.0.1:80".parse().unwrap();
        assert!(
            !AccessCheck::new(&[AccessRule::Local])
                .unwrap()
                .allows(nobody, here)
        );
        assert!(
            AccessCheck::new(&[AccessRule::Granted])
                .unwrap()
                .allows(nobody, here)
        );
        assert!(AccessCheck::new(&[]).is_none());
    }
}
