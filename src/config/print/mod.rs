//! Prints a configuration in Apache's format: `Display` of [`Config`].
//!
//! The output reads back as the same configuration, with one exception: Apache's format has
//! no access rules for a whole host, so they are printed as a location `/`.
//!
//! Secrets are printed as well; otherwise the output would not be the same configuration.
//!
//! Not here: the names and values of parameters, which the tables in `directive` define
//! for reading and printing; quoting (`line`).

mod host;
mod line;

use std::fmt;

use super::directive::{CHECK, print_all};
use super::model::{Config, HeartbeatConfig};
use line::PrintedLines;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = PrintedLines::default();
        for listener in &self.listeners {
            lines.raw(&format!("Listen {listener}"));
        }
        for condition in &self.conditions {
            lines.put("ProxyHCExpr", &[&condition.name, &condition.expression]);
        }
        for template in &self.check_templates {
            let mut words = vec![template.name.clone()];
            words.extend(print_all(&CHECK, &template.check));
            lines.put("ProxyHCTemplate", &words);
        }
        heartbeats(&self.heartbeats, &mut lines);
        host::print(&self.server, &mut lines);
        for virtual_host in &self.virtual_hosts {
            let addresses: Vec<_> = virtual_host
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect();
            lines.open("VirtualHost", &addresses);
            host::print(&virtual_host.host, &mut lines);
            lines.close("VirtualHost");
        }
        f.write_str(lines.text())
    }
}

fn heartbeats(heartbeats: &HeartbeatConfig, lines: &mut PrintedLines) {
    let listen = heartbeats.listen.map(|address| address.to_string());
    lines.maybe("HeartbeatListen", listen.as_deref());
    lines.maybe("HeartbeatStorage", heartbeats.storage.as_deref());
    let members = heartbeats.max_members.map(|members| members.to_string());
    lines.maybe("HeartbeatMaxServers", members.as_deref());
    let send_to = heartbeats.send_to.map(|address| address.to_string());
    lines.maybe("HeartbeatAddress", send_to.as_deref());
    let capacity = heartbeats.capacity.map(|requests| requests.to_string());
    lines.maybe("MaxRequestWorkers", capacity.as_deref());
}
