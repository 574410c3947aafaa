//! Other names for services.

use std::fmt;

/// Other names for services, read from and printed as `from:to,...`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceMapping {
    /// No `from` twice. Few, so that looking through them all is quicker than a hash.
    pairs: Vec<(String, String)>,
}

impl ServiceMapping {
    /// Reads `from:to` pairs, and says what is wrong with those it leaves out. Blanks part them
    /// where there is no comma; the first colon parts a pair, the last of two for one service
    /// stands (dd-trace-go, `internal/env.go`). A pair without a name on both sides is left out: a
    /// span needs a service.
    pub fn parse(text: &str) -> (ServiceMapping, Vec<String>) {
        let separator = if text.contains(',') { ',' } else { ' ' };
        let items = text
            .split(separator)
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let (mut mapping, mut problems) = (ServiceMapping::default(), Vec::new());
        for item in items {
            match item
                .split_once(':')
                .map(|(from, to)| (from.trim(), to.trim()))
            {
                Some((from, to)) if !from.is_empty() && !to.is_empty() => mapping.set(from, to),
                _ => problems.push(format!("{item:?}: takes from:to, both names of services")),
            }
        }
        (mapping, problems)
    }

    /// The other name of this service, if it has one.
    pub fn get(&self, service: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(from, _)| from == service);
        found.map(|(_, to)| to.as_str())
    }

    fn set(&mut self, from: &str, to: &str) {
        self.pairs.retain(|(known, _)| known != from);
        self.pairs.push((from.to_string(), to.to_string()));
    }
}

impl fmt::Display for ServiceMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (from, to)) in self.pairs.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{from}:{to}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, text: &str, shown: &str, wrong: &[&str]) {
        let (mapping, problems) = ServiceMapping::parse(text);
        assert_eq!(mapping.to_string(), shown, "{rule}");
        let expected = wrong
            .iter()
            .map(|i| format!("{i:?}: takes from:to, both names of services"));
        assert_eq!(problems, expected.collect::<Vec<_>>(), "{rule}");
        if !shown.contains(' ') {
            assert_eq!(
                ServiceMapping::parse(shown),
                (mapping, vec![]),
                "{rule}: read back"
            );
        }
    }

    #[test]
    fn every_rule_of_the_list() {
        check("nothing", "", "", &[]);
        check("one", "db:orders", "db:orders", &[]);
        check(
            "many",
            "db:orders,http.client:web",
            "db:orders,http.client:web",
            &[],
        );
        check(
            "blanks around",
            " db : orders ,\tweb:shop ",
            "db:orders,web:shop",
            &[],
        );
        check(
            "blanks between",
            "db:orders  web:shop",
            "db:orders,web:shop",
            &[],
        );
        check(
            "blanks in names",
            "my db:my orders,",
            "my db:my orders",
            &[],
        );
        check("the first colon parts", "db:a:b", "db:a:b", &[]);
        check(
            "the last of two stands",
            "db:a,web:b,db:c",
            "web:b,db:c",
            &[],
        );
        check("a name to itself", "db:db", "db:db", &[]);
        check("commas alone", ",, ,", "", &[]);
        check("no name behind", "db:,web:shop", "web:shop", &["db:"]);
        check("no name before", ":orders", "", &[":orders"]);
        check("a colon alone", ":", "", &[":"]);
        check("no colon", "db,web:shop,x", "web:shop", &["db", "x"]);
        check(
            "one that is wrong leaves the other",
            "db:a,db:",
            "db:a",
            &["db:"],
        );
        check("unicode", "caf\u{e9}:\u{1f980}", "caf\u{e9}:\u{1f980}", &[]);
    }

    #[test]
    fn a_service_is_known_by_its_whole_name() {
        let (mapping, _) = ServiceMapping::parse("db:orders,web:shop");
        for (service, expected) in [
            ("db", Some("orders")),
            ("web", Some("shop")),
            ("orders", None),
            ("DB", None),
            ("d", None),
            ("db2", None),
            ("", None),
        ] {
            assert_eq!(mapping.get(service), expected, "{service}");
        }
        assert_eq!(ServiceMapping::default().get("db"), None);
    }
}
