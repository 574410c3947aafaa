//! `http.url` of a request, and what it shows of the query.

use super::redact::push_redacted;

/// What `http.url` shows of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QueryTag {
    /// Nothing.
    None,
    /// All of it.
    AsIs,
    /// All of it, secrets replaced by `<redacted>`.
    #[default]
    Redacted,
    /// The parameters of these names, as they came: naming them says that they hold no secrets.
    /// Names are compared as they came too, not decoded (dd-trace-go,
    /// `instrumentation/httptrace/httptrace.go`).
    Only(Vec<String>),
}

/// Appends `http://host/path?query`, as far as `how` shows the query. Whoever wants it shorter cuts
/// what comes out, not what goes in: half a secret is not known as one.
///
/// Names and passwords before the host are left out, and so is a scheme and host in `target`
/// itself. Returns where in `out` the path begins.
pub fn push_url(out: &mut String, host: &str, target: &str, how: &QueryTag) -> usize {
    let host = host.rsplit('@').next().unwrap_or(host);
    let target = below_host(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    out.reserve("http:///?".len() + host.len() + target.len());
    if !host.is_empty() {
        out.push_str("http://");
        out.push_str(host);
    }
    let path_at = out.len();
    if !path.starts_with('/') {
        out.push('/');
    }
    out.push_str(path);
    let url_bytes = out.len();
    out.push('?');
    match how {
        QueryTag::None => {}
        QueryTag::AsIs => out.push_str(query),
        QueryTag::Redacted => push_redacted(out, query),
        QueryTag::Only(names) => push_only(out, query, names),
    }
    if out.len() == url_bytes + 1 {
        out.truncate(url_bytes);
    }
    path_at
}

/// Path and query of an absolute target (RFC 9112, section 3.2.2).
fn below_host(target: &str) -> &str {
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match target.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => {
            rest.find(['/', '?']).map_or("", |at| &rest[at..])
        }
        _ => target,
    }
}

fn push_only(out: &mut String, query: &str, names: &[String]) {
    let name = |pair: &str| pair.find('=').unwrap_or(pair.len());
    let is_named = |pair: &&str| names.iter().any(|known| *known == pair[..name(pair)]);
    for (at, pair) in query.split('&').filter(is_named).enumerate() {
        if at > 0 {
            out.push('&');
        }
        out.push_str(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, (host, target): (&str, &str), how: &QueryTag, expected: &str) {
        let mut url = "before ".to_string();
        push_url(&mut url, host, target, how);
        assert_eq!(url.strip_prefix("before "), Some(expected), "{rule}");
    }

    #[test]
    fn a_url_is_put_together() {
        let check = |rule: &str, host: &str, target: &str, expected: &str| {
            check(rule, (host, target), &QueryTag::AsIs, expected);
        };
        check("a path", "shop", "/cart", "http://shop/cart");
        check("a port", "shop:5000", "/", "http://shop:5000/");
        check("an IPv6 host", "[::1]:5000", "/", "http://[::1]:5000/");
        check(
            "a query",
            "shop",
            "/cart?a=1&b=2",
            "http://shop/cart?a=1&b=2",
        );
        check("an empty query", "shop", "/cart?", "http://shop/cart");
        check(
            "two question marks",
            "shop",
            "/cart?a?b",
            "http://shop/cart?a?b",
        );
        check("a query alone", "shop", "?a=1", "http://shop/?a=1");
        check("no target", "shop", "", "http://shop/");
        check("a star", "shop", "*", "http://shop/*");
        check("no host", "", "/cart?a=1", "/cart?a=1");
        check(
            "a password before the host",
            "ann:pw@shop",
            "/",
            "http://shop/",
        );
        check(
            "unicode",
            "h\u{f6}st",
            "/\u{1f980}?\u{e9}",
            "http://h\u{f6}st/\u{1f980}?\u{e9}",
        );
    }

    #[test]
    fn a_target_that_names_a_host_itself() {
        let check = |rule: &str, host: &str, target: &str, expected: &str| {
            check(rule, (host, target), &QueryTag::AsIs, expected);
        };
        check(
            "an absolute target",
            "shop",
            "http://other/cart?a=1",
            "http://shop/cart?a=1",
        );
        check(
            "with a password",
            "shop",
            "https://ann:pw@other/cart",
            "http://shop/cart",
        );
        check(
            "without a path",
            "shop",
            "https://ann:pw@other",
            "http://shop/",
        );
        check(
            "with a query alone",
            "shop",
            "https://other?a=1",
            "http://shop/?a=1",
        );
        check(
            "a URL in the query",
            "shop",
            "/to?u=http://x/y",
            "http://shop/to?u=http://x/y",
        );
        check(
            "and no path",
            "shop",
            "?u=http://x/y",
            "http://shop/?u=http://x/y",
        );
    }

    #[test]
    fn the_query_is_shown_as_far_as_asked() {
        let check = |rule: &str, how: &QueryTag, query: &str, expected: &str| {
            check(
                rule,
                ("shop", &format!("/{query}")),
                how,
                &format!("http://shop/{expected}"),
            );
        };
        check("none", &QueryTag::None, "?a=1&token=x", "");
        check("as it is", &QueryTag::AsIs, "?a=1&token=x", "?a=1&token=x");
        check(
            "redacted",
            &QueryTag::Redacted,
            "?a=1&token=x&b=2",
            "?a=1&<redacted>&b=2",
        );
        check(
            "redacted whole",
            &QueryTag::Redacted,
            "?token=x",
            "?<redacted>",
        );
        check(
            "a path is not redacted",
            &QueryTag::Redacted,
            "token=x?a=1",
            "token=x?a=1",
        );
        let only = |names: &[&str]| QueryTag::Only(names.iter().map(ToString::to_string).collect());
        let (one, two) = (only(&["p1"]), only(&["p1", "p3"]));
        check("one", &one, "?p1=a&p2=b&p3=c", "?p1=a");
        check(
            "two, in the query's order",
            &two,
            "?p3=c&p2=b&p1=a",
            "?p3=c&p1=a",
        );
        check("none of these", &one, "?p2=b&p3=c", "");
        check("no name", &only(&[]), "?p1=a&=b&", "");
        check("no query", &one, "", "");
        check("an ampersand at the end", &one, "?p1=a&p2=b&", "?p1=a");
        check("no value", &two, "?p1&p2=b&p3", "?p1&p3");
        check("one twice", &one, "?p1=a&p1=b", "?p1=a&p1=b");
        check("a name is whole", &one, "?p=1&p11=2&P1=3&xp1=4", "");
        check("a name is not decoded", &one, "?%701=a&p1=%20", "?p1=%20");
        check(
            "what is named is shown",
            &only(&["token"]),
            "?token=x=y&a=1",
            "?token=x=y",
        );
    }
}
