//! What a form of the balancer-manager changes (specification 9.3 and 9.4). Forms of health checks
//! are not modelled.

use serde_json::Value;

use super::fixes::Fix;
use super::member::{Backend, Member};
use super::params::{SECOND, float, hundredths_cut, hundredths_exact, int};
use super::site::{Method, Site};

impl Site {
    /// Applies a form; returns the status of the page.
    pub fn manage(&mut self, event: &Value) -> u16 {
        if event["nonce"] == "invalid" {
            return 200;
        }
        let field = |key: &str| event["form"][key].as_str();
        let before = self.method;
        let mut changed = false;
        if let Some(at) = event["member"].as_str().and_then(|name| self.find(name)) {
            self.manage_member(at, &field);
            changed = true;
        }
        self.manage_balancer(&field);
        if changed || self.method != before {
            self.recover_by_fixes();
        }
        let wanted = field("b_nwrkr").filter(|_| field("b_wyes").is_some_and(|yes| int(yes) != 0));
        match (wanted, event["add_member"].as_str()) {
            (Some(url), name) => self.add(url, name),
            (None, _) => 200,
        }
    }

    fn manage_member<'f>(&mut self, at: usize, field: &dyn Fn(&str) -> Option<&'f str>) {
        let exact = self.has(Fix::ExactWeights);
        let no_reset = self.has(Fix::NoReset);
        let alone = self.members.len() == 1;
        let member = &mut self.members[at];
        let before = member.place();
        if let Some(text) = field("w_lf").filter(|text| (1.0..=100.0).contains(&float(text))) {
            member.factor = if exact {
                hundredths_exact(text)
            } else {
                hundredths_cut(text)
            };
            if alone && !no_reset {
                member.factor = 100;
            }
            if !no_reset {
                for (at, member) in self.members.iter().enumerate() {
                    self.election.books(at).standing = member.factor;
                }
            }
        }
        let member = &mut self.members[at];
        if let Some(set) = field("w_ls").map(int).filter(|set| (0..=99).contains(set)) {
            member.set = set;
        }
        let fits = |text: &str| {
            if text.len() <= 63 {
                text.to_owned()
            } else {
                String::new()
            }
        };
        if let Some(route) = field("w_wr") {
            member.route = fits(route);
        }
        if let Some(redirect) = field("w_rr") {
            member.redirect = fits(redirect);
        }
        for letter in ['I', 'N', 'D', 'H', 'R', 'S', 'C'] {
            if let Some(text) = field(&format!("w_status_{letter}")) {
                member.set_flag(letter, text);
            }
        }
        // It joins the group anew.
        if member.place() != before {
            self.election.books(at).is_parked = false;
        }
    }

    fn manage_balancer<'f>(&mut self, field: &dyn Fn(&str) -> Option<&'f str>) {
        let number = |key: &str, most: i64| {
            let number = field(key).filter(|text| !text.is_empty()).map(int);
            number.filter(|number| (0..=most).contains(number))
        };
        if let Some(seconds) = number("b_tmo", 7200) {
            self.wait = seconds * SECOND;
        }
        if let Some(attempts) = number("b_max", 99) {
            if self.has(Fix::DynamicAttempts) {
                self.max_attempts = Some(attempts);
                self.max_attempts_configured = true;
            } else if self.max_attempts.is_some() {
                // Without the "set" flag the number has no effect.
                self.max_attempts = Some(attempts);
            }
        }
        if let Some(text) = field("b_sforce").filter(|text| !text.is_empty()) {
            self.no_failover = int(text) != 0;
        }
        match field("b_ss").filter(|text| !text.is_empty() && text.len() <= 62) {
            Some("-") => self.sticky.name(""),
            Some(text) => self.sticky.name(text),
            None => {}
        }
        let method = field("b_lbm").and_then(Method::of);
        if let Some(method) = method.filter(|method| *method != self.method) {
            self.change_method(method);
        }
    }

    fn add(&mut self, url: &str, name: Option<&str>) -> u16 {
        let host = url.split_once("://").map_or("", |(_, rest)| rest);
        let valid = !host.is_empty() && !host.starts_with('/') && !url.contains(' ');
        let known = name.is_none_or(|name| self.find(name).is_some());
        if !valid || known || self.slots == 0 {
            return 400;
        }
        self.slots -= 1;
        if let Some(name) = name {
            let mut member = Member::added(name);
            member.backend = self.strangers.get(name).copied().unwrap_or(Backend::Up);
            self.members.push(member);
        }
        200
    }
}
