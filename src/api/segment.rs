//! Segments of a path as values, and what a client is told of those that are not.

use super::Refusal;
use crate::server::{Params, Request};

/// Longest pause or burn, in milliseconds.
pub(super) const PAUSE_MS_MAX: u64 = 10_000;

/// A finite number.
pub(super) fn number(params: &Params, name: &'static str) -> Result<f64, Refusal> {
    let text = params.value(name);
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| Refusal::segment(name, text, "a finite number"))
}

/// A whole number within bounds.
pub(super) fn whole(
    params: &Params,
    name: &'static str,
    min: u64,
    max: u64,
) -> Result<u64, Refusal> {
    whole_text(name, params.value(name), min, max)
}

/// The same of a query's value, where there is one.
pub(super) fn whole_asked(
    request: &Request,
    name: &'static str,
    min: u64,
    max: u64,
) -> Result<Option<u64>, Refusal> {
    let text = request.query_value(name);
    text.map(|text| whole_text(name, &text, min, max))
        .transpose()
}

fn whole_text(name: &'static str, text: &str, min: u64, max: u64) -> Result<u64, Refusal> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| Refusal::segment(name, text, format!("a whole number from {min} to {max}")))
}

/// A whole number, negative ones included.
pub(super) fn signed(params: &Params, name: &'static str) -> Result<i64, Refusal> {
    let text = params.value(name);
    text.parse()
        .map_err(|_| Refusal::segment(name, text, "a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Router;

    #[track_caller]
    fn check(rule: &str, text: &str, number_of: Option<f64>, whole_of: Option<u64>) {
        let router = Router::new().route("/{v}", ());
        let found = router.find(&format!("/{text}")).unwrap();
        assert_eq!(number(&found.params, "v").ok(), number_of, "{rule}");
        assert_eq!(whole(&found.params, "v", 1, 10).ok(), whole_of, "{rule}");
    }

    #[test]
    fn a_number_may_be_missing_from_a_query_but_not_be_wrong() {
        let asked = |query: &str| {
            let request = Request::made("GET", &format!("/x?{query}"), &[], b"");
            whole_asked(&request, "n", 1, 10).ok()
        };
        assert_eq!(asked("m=3"), Some(None));
        assert_eq!(asked("n=1"), Some(Some(1)));
        assert_eq!(asked("n=10"), Some(Some(10)));
        for wrong in ["n=", "n=0", "n=11", "n=-1", "n=1.5", "n=ten"] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_kind_of_segment_is_taken_or_refused() {
        check("the least", "1", Some(1.0), Some(1));
        check("the most", "10", Some(10.0), Some(10));
        check("one below", "0", Some(0.0), None);
        check("one above", "11", Some(11.0), None);
        check("a fraction", "1.5", Some(1.5), None);
        check("an exponent", "1e3", Some(1000.0), None);
        check("negative", "-3", Some(-3.0), None);
        check("NaN", "NaN", None, None);
        check("infinite", "inf", None, None);
        check("overflow", "1e999", None, None);
        check("words", "ten", None, None);
        check("a space", "%20", None, None);
        check("unicode digits", "%D9%A1", None, None);
    }
}
