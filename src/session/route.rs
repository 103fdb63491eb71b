//! Which part of a session value is the route.
//!
//! Not here: where the value was found, and which member has the route.

/// Returns what follows the first separator, or the whole value if `separator` is `None`. A
/// route is never empty.
///
/// A value without the separator has no route, unless `whole_value` is set: then the value
/// is the route.
pub(super) fn route_of(value: &str, separator: Option<char>, whole_value: bool) -> Option<&str> {
    let route = match separator {
        Some(separator) => match value.split_once(separator) {
            Some((_, route)) => Some(route),
            None => whole_value.then_some(value),
        },
        None => Some(value),
    };
    route.filter(|route| !route.is_empty())
}

#[cfg(test)]
mod tests {
    use super::route_of;

    #[test]
    fn the_route_is_what_follows_the_first_separator() {
        // Ledger 12 (first separator) and 14 (no separator, no route): kept as in Apache.
        let dot = Some('.');
        let rows = [
            ("abc.C", dot, Some("C")),
            ("abc.x.B", dot, Some("x.B")),
            ("abc", dot, None),
            ("C", dot, None),
            ("abc.", dot, None),
            (".", dot, None),
            ("", dot, None),
            (".1", dot, Some("1")),
            ("abc..C", dot, Some(".C")),
            ("abc.C", None, Some("abc.C")),
            ("C", None, Some("C")),
            ("", None, None),
            ("x!B!12345", Some('!'), Some("B!12345")),
            ("x!B.1", Some('!'), Some("B.1")),
            ("abc→C", Some('→'), Some("C")),
        ];
        for (value, separator, route) in rows {
            assert_eq!(
                route_of(value, separator, false),
                route,
                "{value} {separator:?}"
            );
        }
    }

    #[test]
    fn a_whole_value_is_a_route_only_where_that_is_allowed_and_no_separator_is_in_it() {
        // Ledger 14, the option.
        let dot = Some('.');
        assert_eq!(route_of("C", dot, true), Some("C"));
        assert_eq!(route_of("abc.C", dot, true), Some("C"));
        assert_eq!(route_of("abc.", dot, true), None);
        assert_eq!(route_of("", dot, true), None);
    }
}
