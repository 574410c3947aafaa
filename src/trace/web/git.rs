//! Where the source of this program is kept.

/// The address of a repository without what would let others in: of `https://user:token@host/x` it
/// leaves `https://host/x`. What is no URL, like `git@host:x`, stays as it is (dd-trace-go,
/// `internal/gitmetadata.go`).
pub fn repository_url(text: &str) -> String {
    let text = text.trim();
    let Some((scheme, rest)) = text
        .split_once("://")
        .filter(|(scheme, _)| is_scheme(scheme))
    else {
        return text.to_string();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // The last of several: a password that was not escaped may hold one itself.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    [scheme, "://", host, path].concat()
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, text: &str, expected: &str) {
        assert_eq!(repository_url(text), expected, "{rule}");
        assert_eq!(repository_url(expected), expected, "{rule}: once more");
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn credentials_are_left_out_and_nothing_else() {
        check("nothing", "", "");
        check("none", "https://host/x", "https://host/x");
        check("a token", "https://token@host/x", "https://host/x");
        check(
            "a user and a password",
            "https://user:token@host/x.git",
            "https://host/x.git",
        );
        check("an empty user", "https://@host/x", "https://host/x");
        check(
            "an empty password",
            "https://user:@host/x",
            "https://host/x",
        );
        check(
            "a password with @",
            "https://user:p@ss@host/x",
            "https://host/x",
        );
        check(
            "a password with escapes",
            "https://user:p%40ss@host/x",
            "https://host/x",
        );
        check(
            "a password no URL holds",
            "https://us er:p%zz@host/x",
            "https://host/x",
        );
        check(
            "a port",
            "https://user:token@host:8443/x",
            "https://host:8443/x",
        );
        check(
            "an IPv6 host",
            "https://user:token@[::1]:8443/x",
            "https://[::1]:8443/x",
        );
        check("no path", "https://user:token@host", "https://host");
        check(
            "a query",
            "https://user:token@host?a=b@c",
            "https://host?a=b@c",
        );
        check(
            "a fragment",
            "https://user:token@host#a@b",
            "https://host#a@b",
        );
        check("@ in the path", "https://host/x@v1", "https://host/x@v1");
        check("http", "http://user:token@host/x", "http://host/x");
        check("capitals", "HTTPS://user:token@host/x", "HTTPS://host/x");
        check(
            "ssh as a URL",
            "ssh://git@host:22/x.git",
            "ssh://host:22/x.git",
        );
        check(
            "another scheme",
            "git+https://token@host/x",
            "git+https://host/x",
        );
        check(
            "ssh as git writes it",
            "git@host:team/x.git",
            "git@host:team/x.git",
        );
        check("no scheme", "host/team/x", "host/team/x");
        check(
            "no scheme before ://",
            "://user:token@host/x",
            "://user:token@host/x",
        );
        check("a path", "/srv/git/x.git", "/srv/git/x.git");
        check("blanks around", " https://token@host/x\n", "https://host/x");
        check(
            "unicode",
            "https://\u{e9}:\u{e9}@h\u{f6}st/\u{e9}",
            "https://h\u{f6}st/\u{e9}",
        );
    }
}
