//! DNS over UDP and TCP, by two forwarders at one port: dig asks BIND.

use equipoise::Balancer;
use equipoise::forward::{Address, TcpForwarder, UdpForwarder};

use super::{received_from, within};
use crate::named::{Named, dig};
use crate::program::free_address;
use crate::tcp::front::{Front, is_quiet};
use crate::udp;

#[tokio::test]
#[ignore = "needs dig and named"]
async fn dig_asks_over_tcp_and_repeats_over_tcp_what_udp_has_cut_short() {
    within(async {
        let (a, b) = (Named::start("a").await, Named::start("b").await);
        let members = [("a", a.address), ("b", b.address)];
        let over_tcp = Balancer::new(members.map(|(name, at)| (name, Address::from(at))));
        let over_tcp = over_tcp.unwrap();
        let over_udp = Balancer::new(members.map(|(name, at)| (name, Address::from(at))));
        let over_udp = over_udp.unwrap();
        let address = free_address();
        let _tcp = Front::start_at(address, TcpForwarder::new(over_tcp.clone()));
        let udp = UdpForwarder::new(over_udp).responses(1);
        let udp = udp::Front::start_at(&address.to_string(), udp).await;

        for _ in 0..3 {
            for name in ["\"a\"\n", "\"b\"\n"] {
                assert_eq!(dig(address, "who.example.test", &["+tcp"]).await, name);
            }
        }
        assert_eq!(udp.statistics.opened(), 0);

        let before = ["a", "b"].map(|name| received_from(&over_tcp, name));
        for asked in 1..=4 {
            // Without EDNS, an answer over UDP has 512 bytes at most.
            let answer = dig(address, "long.example.test", &["+noedns"]).await;
            assert_eq!(answer.matches('x').count(), 1_000, "{answer}");
            assert!(udp.statistics.opened() >= asked);
        }
        is_quiet(&over_tcp).await;
        for (name, before) in ["a", "b"].into_iter().zip(before) {
            assert!(received_from(&over_tcp, name) > before + 2_000);
        }
        udp::until(|| udp.statistics.flows() == 0).await;
    })
    .await;
}
