//! What types can do that a program passes around.

use std::fmt::Debug;

use equipoise::forward::{
    Aborted, Address, ClientHello, Dropped, Greeting, GreetingError, GreetingLimits, HostNameError,
    NameRoutes, OnMemberLoss, ParseAddressError, RouterStatistics, StreamRouter, StreamRule,
    StreamTarget, TcpForwarder, TcpStatistics, UdpForwarder, UdpStatistics,
};
use equipoise::net::{Accepted, Listener, Replayed, Stream};
use equipoise::session::{StickEntries, StickEntry, StickTable, StickUse};
use equipoise::{Balancer, MemberSpec};
use tokio::net::UdpSocket;

fn crosses_threads<T: Debug + Send + Sync + 'static>() {}

fn is_a_value<T: Clone + Debug + Send + Sync + 'static>() {}

fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn each_type_can_be_shown_and_shared_by_threads() {
    is_a_value::<Aborted>();
    is_a_value::<Address>();
    is_a_value::<ClientHello>();
    is_a_value::<Dropped>();
    is_a_value::<Greeting>();
    is_a_value::<GreetingLimits>();
    is_a_value::<NameRoutes<StreamTarget>>();
    is_a_value::<OnMemberLoss>();
    is_a_value::<RouterStatistics>();
    is_a_value::<StickEntry>();
    is_a_value::<StickTable>();
    is_a_value::<StreamRouter>();
    is_a_value::<StreamRule>();
    is_a_value::<StreamTarget>();
    is_a_value::<TcpForwarder>();
    is_a_value::<TcpStatistics>();
    is_a_value::<UdpForwarder>();
    is_a_value::<UdpStatistics>();
    crosses_threads::<Accepted>();
    crosses_threads::<Replayed<Stream>>();
    crosses_threads::<StickEntries>();
    crosses_threads::<StickUse>();
    is_an_error::<GreetingError>();
    is_an_error::<HostNameError>();
    is_an_error::<ParseAddressError>();
}

/// What serves can run in a task of its own.
#[tokio::test]
async fn each_way_of_serving_can_be_spawned() {
    fn is_task<T: Send + 'static>(_: T) {}
    let member = "127.0.0.1:9".parse().unwrap();
    let balancer: Balancer<Address> = Balancer::builder().build().unwrap();
    balancer.insert("a", member, MemberSpec::new()).unwrap();
    let listener = || Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let never = std::future::pending::<()>;
    is_task(TcpForwarder::new(balancer.clone()).serve(listener(), never()));
    is_task(UdpForwarder::new(balancer.clone()).serve(socket, never()));
    let router = StreamRouter::new().route(StreamRule::new(), balancer);
    is_task(router.serve(listener(), never()));
}
