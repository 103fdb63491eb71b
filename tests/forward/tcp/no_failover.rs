//! Connections that follow another: none goes to a member that it was not meant for.

use equipoise::forward::TcpForwarder;
use equipoise::{Flag, Outcome};
use tokio::io::AsyncReadExt;

use super::front::{Front, Log, ended, name_of, named_echo, over, refusing};
use crate::within;

#[tokio::test]
async fn without_failover_a_client_whose_member_refuses_is_reset_and_the_member_goes_on() {
    within(async {
        let balancer = over([
            ("bad", refusing().await),
            ("good", named_echo("good").await),
        ]);
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()).no_failover());
        for ends in [1, 3] {
            assert!(front.connect().await.read_u8().await.is_err());
            let refused = ended("bad", Outcome::Failure, "connection refused");
            assert_eq!(log.ends(ends).await[ends - 1], refused);
            assert_eq!(name_of(&mut front.connect().await).await, "good");
            log.ends(ends + 1).await;
        }
        let status = balancer.member("bad").unwrap().status();
        assert!(!status.contains(Flag::InError));
    })
    .await;
}
