//! What a configuration costs grows as its length, and not as the square of it: one of
//! 4 000 lines is as much work as sixteen of 250.

use std::fmt::Write;

use equipoise::config::{RunningConfig, parse};

const SMALL: usize = 250;
const TIMES: usize = 16;

/// How long this thread has been running, in nanoseconds: time in which others run does not
/// count. `None` where the system does not say so.
fn worked() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The work of one run, for so many of them; the least of two, as caches and interrupts only
/// add to it.
fn work(runs: usize, mut run: impl FnMut()) -> Option<u64> {
    let mut once = || {
        let before = worked()?;
        (0..runs).for_each(|_| run());
        Some(worked()?.saturating_sub(before))
    };
    Some(once()?.min(once()?))
}

fn grows_as_its_length(lines: impl Fn(&mut String, usize)) {
    let [small, large] = [(SMALL, TIMES), (SMALL * TIMES, 1)].map(|(size, runs)| {
        let mut text = "Listen 127.0.0.1:0\n".to_owned();
        lines(&mut text, size);
        let reading = work(runs, || {
            let (_, complaints) = parse(&text);
            let error = complaints.iter().find(|it| it.is_error());
            assert!(error.is_none(), "{error:?}");
        });
        let builder = RunningConfig::builder(parse(&text).0);
        let building = work(runs, || builder.check().expect("it can be built"));
        Some([("reading", reading?), ("building", building?)])
    });
    for ((what, small), (_, large)) in small.into_iter().flatten().zip(large.into_iter().flatten())
    {
        // Were it the square of the length, it would be 16 times as much.
        assert!(
            2 * large < 5 * small,
            "{what}: {small} ns, and as one {large} ns"
        );
    }
}

macro_rules! grow {
    ($($name:ident: $lines:expr;)*) => {
        $(
            #[test]
            fn $name() {
                grows_as_its_length($lines);
            }
        )*
    };
}

grow! {
    mappings_to_one_member_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "ProxyPass /p{at} http://10.0.0.1:8080/p{at}").unwrap();
    };
    mappings_to_members_of_their_own_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "ProxyPass /p{at} http://m{at}.example/p{at}").unwrap();
    };
    mappings_to_a_large_balancer_cost_the_same_each: |text, size| {
        for at in 0..size {
            writeln!(text, "BalancerMember balancer://b http://m{at}.example").unwrap();
        }
        for at in 0..size {
            writeln!(text, "ProxyPass /p{at} balancer://b/p{at}").unwrap();
        }
    };
    exclusions_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "ProxyPass /p{at} !").unwrap();
    };
    members_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "BalancerMember balancer://b http://m{at}.example route=r{at}").unwrap();
    };
    balancers_cost_the_same_each: |text, size| for at in 0..size / 4 {
        writeln!(text, "BalancerMember balancer://b{at} http://10.0.0.1").unwrap();
        writeln!(text, "ProxySet balancer://b{at} lbmethod=bybusyness").unwrap();
        writeln!(text, "ProxyPass /p{at} balancer://b{at}").unwrap();
    };
    locations_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "<Location /p{at}>\nProxyPass http://10.0.0.1/p{at}\n</Location>").unwrap();
    };
    definitions_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "Define V{at} v{at}\nRequestHeader set X-{at} ${{V{at}}}").unwrap();
    };
    variables_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "SetEnv V{at} v{at}").unwrap();
    };
    secrets_cost_the_same_each_beside_warnings: |text, size| for at in 0..size {
        let member = format!("http://m{at}.example");
        writeln!(text, "Define PASSWORD_{at} of-member-{at}").unwrap();
        writeln!(text, "BalancerMember balancer://b {member} retry=1 retry=2").unwrap();
    };
    virtual_hosts_cost_the_same_each: |text, size| for at in 0..size / 4 {
        let name = format!("ServerName h{at}.example");
        let mapping = "ProxyPass / http://10.0.0.1/";
        writeln!(text, "<VirtualHost *:80>\n{name}\n{mapping}\n</VirtualHost>").unwrap();
    };
    balancers_of_virtual_hosts_cost_the_same_each: |text, size| for at in 0..size / 8 {
        let name = format!("ServerName h{at}.example");
        let member = "BalancerMember balancer://b http://10.0.0.1";
        let mapping = "ProxyPass / balancer://b/";
        writeln!(text, "<VirtualHost *:80>\n{name}\n{member}\n{mapping}\n</VirtualHost>").unwrap();
    };
    conditions_of_checks_cost_the_same_each: |text, size| for at in 0..size {
        writeln!(text, "ProxyHCExpr c{at} {{%{{REQUEST_STATUS}} =~ /^2/}}").unwrap();
    };
}

#[test]
fn a_condition_is_compiled_once_for_all_members_that_name_it() {
    let building = |pattern: &str| {
        let mut text =
            format!("Listen 127.0.0.1:0\nProxyHCExpr up {{hc('body') =~ /{pattern}/}}\n");
        for at in 0..1_000 {
            let member = format!("http://m{at}.example hcmethod=GET hcexpr=up");
            writeln!(text, "BalancerMember balancer://b {member}").unwrap();
        }
        let builder = RunningConfig::builder(parse(&text).0);
        work(1, || builder.check().expect("it can be built"))
    };
    let (cheap, costly) = (building("^2"), building("(?:\\w{30}){30}"));
    let (Some(cheap), Some(costly)) = (cheap, costly) else {
        return;
    };
    assert!(costly < 3 * cheap, "{costly} ns, and not {cheap} ns");
}
