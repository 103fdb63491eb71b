//! Members that cannot keep sessions: [`SessionsNotKept`].

use std::fmt;

use crate::session::CookieRouteError;

/// At least one member whose route cannot be in the balancer's cookie, so that it cannot
/// keep sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionsNotKept {
    members: Vec<(String, CookieRouteError)>,
}

impl SessionsNotKept {
    pub(in crate::service) fn of<'m>(
        members: impl Iterator<Item = (&'m str, &'m CookieRouteError)>,
    ) -> Result<(), Self> {
        let members = members.map(|(name, why)| (name.to_owned(), why.clone()));
        let members: Vec<_> = members.collect();
        match members.is_empty() {
            true => Ok(()),
            false => Err(Self { members }),
        }
    }

    /// Returns the names of the members, in configuration order, each with the reason.
    pub fn members(&self) -> impl Iterator<Item = (&str, &CookieRouteError)> {
        self.members.iter().map(|(name, why)| (name.as_str(), why))
    }
}

impl fmt::Display for SessionsNotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, why)) in self.members().enumerate() {
            let before = if at == 0 {
                "sessions cannot be kept with member "
            } else {
                "; with member "
            };
            write!(f, "{before}{name}: {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SessionsNotKept {}
