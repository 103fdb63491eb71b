//! Local ports run out: connections go to a member to which there is a port left, and no member
//! is blamed. It needs a network of its own, in which there are few ports.

use std::process::Command;

use crate::clients::Clients;
use crate::figures::soon;
use crate::forwarder::Forwarder;
use crate::member::Member;
use crate::process::{say, told};

/// Makes a network with a loopback device and these ports, if that is permitted.
const NETWORK: &str = "ip link set lo up && \
     echo 40000 40039 > /proc/sys/net/ipv4/ip_local_port_range";

fn in_a_network_of_its_own(then: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{NETWORK} && {then}");
    command.args(["--net", "--map-root-user", "sh", "-c", &script]);
    command
}

#[test]
fn connections_go_where_there_is_a_port_left_and_no_member_is_blamed() {
    let permitted = in_a_network_of_its_own("true").output();
    if !permitted.is_ok_and(|it| it.status.success()) {
        println!("no network of its own is permitted here: nothing is tested");
        return;
    }
    let script = "exec \"$0\" --exact ports::role_network --nocapture";
    let mut network = in_a_network_of_its_own(script);
    network.arg(std::env::current_exe().unwrap());
    network.env("EQUIPOISE_TEST_ROLE", "few ports");
    let output = network.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    assert!(told.contains("all is well: yes"), "{told}\n{errors}");
}

/// All processes at once, in a network of its own; nothing unless it is told so.
#[test]
fn role_network() {
    if told().is_none_or(|told| told != "few ports") {
        return;
    }
    let members = [Member::start("echo"), Member::start("echo")];
    let addresses = members.each_ref().map(|member| member.address);
    let mut forwarder = Forwarder::start("", &addresses);
    // All ports that lead to one member are in use, but for those that this machine keeps.
    let mut direct = addresses.map(Clients::of);
    let fares = direct[0].open(60, "speaks");
    assert!(fares.of("unconnected") >= 20, "{fares:?}");
    let mut clients = Clients::of(forwarder.address);
    let fares = clients.open(10, "speaks");
    assert_eq!(fares.of("served"), 10, "{fares:?}");
    let counts = forwarder.counts();
    say(
        "the ports to one member are in use: ",
        format!("{counts:?}"),
    );
    assert_eq!(counts.of("in_flight_of_b"), 10);
    assert!(counts.of("unsent") > 0, "{counts:?}");
    // And those that lead to the other.
    direct[1].open(60, "speaks");
    let fares = clients.open(10, "speaks");
    assert_eq!(fares.of("reset"), 10, "{fares:?}");
    let counts = forwarder.counts();
    say("all ports are in use: ", format!("{counts:?}"));
    assert_eq!(counts.of("in_error"), 0, "{counts:?}");
    assert_eq!(counts.of("failure"), counts.of("unsent"), "{counts:?}");
    // And some are free again.
    direct[0].close(60);
    direct[1].end_all("reset");
    soon("there are ports again", || {
        clients.open(1, "speaks").of("served") == 1
    });
    say("all is well: ", "yes");
}
