//! Which handler a path belongs to.

use super::request::percent_decode;

/// A table of patterns such as `/sdmetrics/gauge/{value}`, each with what it leads to.
#[derive(Clone, Debug, Default)]
pub struct Router<T> {
    routes: Vec<Route<T>>,
}

#[derive(Clone, Debug)]
struct Route<T> {
    pattern: &'static str,
    segments: Vec<Segment>,
    /// The first segment, where it is fixed.
    start: &'static str,
    target: T,
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Fixed(&'static str),
    Param(&'static str),
}

/// A match.
#[derive(Debug)]
pub struct Found<'a, T> {
    /// The pattern as registered: a bounded set of names, fit for a tag.
    pub pattern: &'static str,
    /// What was registered with it.
    pub target: &'a T,
    /// The values of its parameters.
    pub params: Params,
}

/// Values of a pattern's parameters, percent-decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(&'static str, String)>);

impl Params {
    /// The value of a parameter; empty where the pattern has none of that name.
    pub fn value(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }
}

impl<T> Router<T> {
    /// An empty table.
    pub fn new() -> Router<T> {
        Router { routes: Vec::new() }
    }

    /// Adds a pattern. The first that matches wins.
    #[must_use]
    pub fn route(mut self, pattern: &'static str, target: T) -> Router<T> {
        let part = |part: &'static str| {
            let name = part.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
            name.map_or(Segment::Fixed(part), Segment::Param)
        };
        let parts = pattern.trim_start_matches('/').split('/');
        let segments: Vec<Segment> = parts.map(part).collect();
        let start = match segments.first() {
            Some(Segment::Fixed(fixed)) => fixed,
            _ => "",
        };
        self.routes.push(Route {
            pattern,
            segments,
            start,
            target,
        });
        self
    }

    /// Finds the route of a path. A trailing slash makes no difference.
    pub fn find(&self, path: &str) -> Option<Found<'_, T>> {
        let path = path.strip_prefix('/')?;
        self.routes.iter().find_map(|route| {
            let params = route.fit(path)?;
            Some(Found {
                pattern: route.pattern,
                target: &route.target,
                params,
            })
        })
    }
}

impl<T> Route<T> {
    fn fit(&self, path: &str) -> Option<Params> {
        // Most patterns differ from most paths at once.
        if !path.starts_with(self.start) {
            return None;
        }
        let trimmed = |last: &Segment| *last == Segment::Fixed("");
        let wanted = match self.segments.split_last() {
            Some((last, rest)) if trimmed(last) => rest,
            _ => &self.segments[..],
        };
        let mut params = Vec::new();
        let mut parts = path.strip_suffix('/').unwrap_or(path).split('/');
        if wanted.is_empty() {
            return path.is_empty().then(Params::default);
        }
        for segment in wanted {
            let part = parts.next()?;
            match segment {
                Segment::Fixed(fixed) if *fixed == part => {}
                Segment::Param(name) if !part.is_empty() => {
                    params.push((*name, percent_decode(part).into_owned()));
                }
                _ => return None,
            }
        }
        parts.next().is_none().then_some(Params(params))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, path: &str, expected: Option<(&str, &str)>) {
        let router = Router::new()
            .route("/", 0)
            .route("/server_error/", 1)
            .route("/gauge/{value}", 2)
            .route("/count/{type}/{value}", 3);
        let found = router.find(path);
        let seen = found.as_ref().map(|f| (f.pattern, f.params.value("value")));
        assert_eq!(seen, expected, "{rule}");
    }

    #[test]
    fn every_rule_of_a_path_has_its_route() {
        check("the root is itself", "/", Some(("/", "")));
        check(
            "a trailing slash may be left out",
            "/server_error",
            Some(("/server_error/", "")),
        );
        check(
            "a trailing slash may be there",
            "/server_error/",
            Some(("/server_error/", "")),
        );
        check(
            "a trailing slash may be added",
            "/gauge/1/",
            Some(("/gauge/{value}", "1")),
        );
        check(
            "a parameter is decoded",
            "/gauge/a%2Fb",
            Some(("/gauge/{value}", "a/b")),
        );
        check(
            "a bad escape stays",
            "/gauge/50%",
            Some(("/gauge/{value}", "50%")),
        );
        check(
            "the last of two",
            "/count/a/7",
            Some(("/count/{type}/{value}", "7")),
        );
        check("an empty parameter does not match", "/gauge/", None);
        check("one segment too many", "/gauge/1/2", None);
        check("one segment too few", "/count/1", None);
        check("two slashes are not one", "//", None);
        check("no leading slash", "gauge/1", None);
        check("nothing", "", None);
    }
}
