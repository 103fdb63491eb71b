//! A real protocol with real programs: dig asks BIND by way of the forwarder.

use equipoise::forward::UdpForwarder;
use equipoise::{Balancer, Flag};

use super::named::{Named, dig};
use super::udp::{Front, until};
use super::within;

#[tokio::test]
#[ignore = "needs dig and named"]
async fn dig_is_answered_by_each_name_server_in_turn_and_by_the_other_when_one_dies() {
    within(async {
        let (a, b) = (Named::start("a").await, Named::start("b").await);
        let balancer = Balancer::new([("a", a.address.into()), ("b", b.address.into())]).unwrap();
        let front = Front::start(UdpForwarder::new(balancer.clone()).responses(1)).await;
        for _ in 0..5 {
            for name in ["\"a\"\n", "\"b\"\n"] {
                assert_eq!(
                    dig(front.address, "who.example.test", &["+notcp"]).await,
                    name
                );
            }
        }
        let long = dig(front.address, "long.example.test", &["+notcp"]).await;
        assert_eq!(long.matches('x').count(), 1_000);
        // Each flow has ended with its answer.
        until(|| front.statistics.flows() == 0).await;
        assert_eq!(front.statistics.opened(), 11);

        drop(a);
        for _ in 0..5 {
            // Of a question that was lost with the member, dig tells that it has repeated it.
            let answer = dig(front.address, "who.example.test", &["+notcp"]).await;
            assert_eq!(answer.lines().last(), Some("\"b\""));
        }
        let in_error = |name| {
            balancer
                .member(name)
                .unwrap()
                .status()
                .contains(Flag::InError)
        };
        assert!(in_error("a") || front.statistics.refused() == 0);
        assert!(!in_error("b"));
        until(|| front.statistics.flows() == 0).await;
    })
    .await;
}
