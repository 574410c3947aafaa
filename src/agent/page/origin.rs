//! Whose code a frame is, read from its name and file; and the short form of a long name.

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Of the service itself.
    Own,
    /// A library it uses.
    Library,
    /// The standard library of its language.
    Standard,
    /// libc, the kernel, an address without a name.
    System,
}

/// Parts of paths that only a package manager's directories have.
const LIBRARY_PATHS: [&str; 8] = [
    "/registry/src/",
    "/git/checkouts/",
    "/site-packages/",
    "/dist-packages/",
    "/node_modules/",
    "/pkg/mod/",
    "/gems/",
    "/vendor/",
];

/// Likewise for standard libraries.
const STANDARD_PATHS: [&str; 8] = [
    "/rustc/",
    "/library/std/",
    "/library/core/",
    "/library/alloc/",
    "/lib/python3",
    "/go/src/",
    "<frozen ",
    "node:",
];

const SYSTEM_PATHS: [&str; 6] = [
    "libc.so",
    "ld-linux",
    "/glibc",
    "/sysdeps/",
    "[vdso]",
    "[kernel",
];

const STANDARD_CRATES: [&str; 5] = ["std", "core", "alloc", "hashbrown", "backtrace"];

impl Origin {
    /// In the order of the legend.
    pub(super) const ALL: [Origin; 4] = [
        Origin::Own,
        Origin::Library,
        Origin::Standard,
        Origin::System,
    ];

    /// Told by the file where there is one, else by the crate that the name begins with.
    pub(super) fn of(name: &str, file: &str, service: &str) -> Origin {
        let file = file.replace('\\', "/");
        let has = |parts: &[&str]| parts.iter().any(|part| file.contains(part));
        if has(&SYSTEM_PATHS) {
            return Origin::System;
        }
        if has(&LIBRARY_PATHS) {
            return Origin::Library;
        }
        if has(&STANDARD_PATHS) {
            return Origin::Standard;
        }
        let first = first_crate(name);
        match first {
            Some(first) if STANDARD_CRATES.contains(&first) => Origin::Standard,
            _ if !file.is_empty() => Origin::Own,
            Some(first) if first == service.replace('-', "_") => Origin::Own,
            Some(_) => Origin::Library,
            None => Origin::System,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Origin::Own => "own code",
            Origin::Library => "libraries",
            Origin::Standard => "standard library",
            Origin::System => "libc, kernel, no name",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Origin::Own => "own",
            Origin::Library => "lib",
            Origin::Standard => "std",
            Origin::System => "sys",
        }
    }
}

/// `testapi` of `<testapi::server::Pool as core::ops::Drop>::drop`; none of `epoll_wait`.
fn first_crate(name: &str) -> Option<&str> {
    let name = name.trim_start_matches(['<', '&', '*', '(', '[']);
    let name = ["mut ", "dyn ", "const "]
        .iter()
        .fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
    let (first, _) = name.split_once("::")?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    (!first.is_empty() && first.chars().all(word)).then_some(first)
}

/// The last two parts of a path without what stands in angle brackets: `Pool::drop` of
/// `<testapi::server::Pool<T> as core::ops::Drop>::drop`. The whole name where it has no parts.
pub(super) fn short(name: &str) -> String {
    let parts = parts(name);
    match parts.as_slice() {
        [.., owner, last] => format!("{owner}::{last}"),
        [last] if !last.is_empty() => last.clone(),
        _ => name.to_string(),
    }
}

/// Parts of a path, from `::` to `::`, generic arguments left out; a leading `<T as Trait>` is the
/// last part of `T`.
fn parts(name: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let name = match name.strip_prefix('<').and_then(closing) {
        Some((inner, rest)) => {
            let owner = inner.split(" as ").next().unwrap_or(inner);
            part = short_owner(owner);
            rest
        }
        None => name,
    };
    let (mut depth, mut before) = (0_u32, ' ');
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            // The arrow of a function's type closes nothing.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && before == ':' => {
                part.pop();
                if !part.is_empty() {
                    parts.push(std::mem::take(&mut part));
                }
            }
            _ if depth == 0 => part.push(c),
            _ => {}
        }
        before = c;
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

fn short_owner(path: &str) -> String {
    let plain = path.split('<').next().unwrap_or(path);
    plain.rsplit("::").next().unwrap_or(plain).to_string()
}

/// What stands before the `>` that closes a bracket opened before the text, and what after it.
fn closing(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut before) = (1_u32, ' ');
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
        before = c;
    }
    None
}

/// The first `chars_max` characters, the last of them `…` where there are more.
pub(super) fn clipped(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_string(),
        Some(_) => {
            let kept = text.chars().take(chars_max.saturating_sub(1));
            kept.chain(['…']).collect()
        }
    }
}

/// A file without the directories that say nothing here: `src/server/pool.rs`,
/// `tiny_http-0.12.0/src/lib.rs`, `std/src/thread/mod.rs`.
pub(super) fn short_file(file: &str) -> &str {
    let after = |mark: &str| file.rfind(mark).map(|at| &file[at + mark.len()..]);
    let library = LIBRARY_PATHS.iter().find_map(|mark| after(mark));
    if let Some(rest) = library {
        // Cargo's registry has one directory more, with the index's name.
        let cargo = file.contains("/registry/src/") || file.contains("/git/checkouts/");
        return match rest.split_once('/') {
            Some((_, rest)) if cargo => rest,
            _ => rest,
        };
    }
    if let Some(rest) = after("/library/") {
        return rest;
    }
    match file.rfind("/src/") {
        Some(at) if file.starts_with('/') => &file[at + 1..],
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, name: &str, file: &str, expected: Origin) {
        assert_eq!(Origin::of(name, file, "test-api"), expected, "{rule}");
    }

    #[test]
    fn whose_code_it_is() {
        use Origin::{Library, Own, Standard, System};
        check("nothing known", "", "", System);
        check("an address", "0x7f21", "", System);
        check("a C function", "epoll_wait", "", System);
        check(
            "a C function with its object",
            "read",
            "/lib/libc.so.6",
            System,
        );
        check(
            "a file of the workspace",
            "testapi::api::run",
            "src/api.rs",
            Own,
        );
        check(
            "an absolute file",
            "x::y",
            "/home/a/testapi/src/api.rs",
            Own,
        );
        check("the service's crate, no file", "test_api::x", "", Own);
        check(
            "another crate, no file",
            "serde_json::to_string",
            "",
            Library,
        );
        check(
            "a crate of the registry",
            "tiny_http::Server::recv",
            "/root/.cargo/registry/src/index.crates.io-6f17/tiny_http-0.12.0/src/lib.rs",
            Library,
        );
        check("std", "std::thread::park", "", Standard);
        check(
            "std's file beats a crate's name",
            "<testapi::X as core::ops::FnOnce>::call_once",
            "/rustc/abc/library/core/src/ops/function.rs",
            Standard,
        );
        check(
            "a trait's method by its type",
            "<test_api::X as Drop>::drop",
            "",
            Own,
        );
        check("a reference", "<&mut core::fmt::F as X>::f", "", Standard);
        check("Python, own", "view", "/srv/app/views.py", Own);
        check(
            "Python, a package",
            "get",
            "/v/lib/python3.11/site-packages/flask/app.py",
            Library,
        );
        check(
            "Python, standard",
            "run",
            "/usr/lib/python3.11/threading.py",
            Standard,
        );
        check(
            "Python, frozen",
            "_call",
            "<frozen importlib._bootstrap>",
            Standard,
        );
        check("hostile", "<<<<::::", "\\\\", Own);
    }

    #[track_caller]
    fn check_short(rule: &str, name: &str, expected: &str) {
        assert_eq!(short(name), expected, "{rule}");
    }

    #[test]
    fn a_long_name_becomes_short() {
        check_short("nothing", "", "");
        check_short("one part", "epoll_wait", "epoll_wait");
        check_short("two parts", "a::b", "a::b");
        check_short("many", "testapi::api::visits::count", "visits::count");
        check_short("a closure", "a::b::run::{{closure}}", "run::{{closure}}");
        check_short("arguments", "a::Map<K, Vec<V>>::get::<Q>", "Map::get");
        check_short(
            "a trait's method",
            "<a::b::Pool<T> as c::Drop>::drop",
            "Pool::drop",
        );
        check_short("an arrow", "a::f::<fn(u8) -> u8>::g", "f::g");
        check_short("Python", "Flask.wsgi_app", "Flask.wsgi_app");
        check_short("unclosed", "<a::b", "<a::b");
        check_short("only marks", "::::", "::::");
        check_short("only brackets", "<>", "<>");
        check_short("closed twice", "a>>::b::c", "b::c");
    }

    #[test]
    fn a_text_is_clipped_by_characters() {
        let seen = ["", "ab", "abc", "äöüß"].map(|text| clipped(text, 3));
        assert_eq!(seen, ["", "ab", "abc", "äö…"]);
    }

    #[test]
    fn a_file_without_its_directories() {
        for (file, expected) in [
            ("", ""),
            ("src/api.rs", "src/api.rs"),
            ("/home/a/testapi/src/api.rs", "src/api.rs"),
            (
                "/r/.cargo/registry/src/index-6f/tiny-0.1/src/l.rs",
                "tiny-0.1/src/l.rs",
            ),
            ("/rustc/abc/library/std/src/thread.rs", "std/src/thread.rs"),
            (
                "/v/lib/python3.11/site-packages/flask/app.py",
                "flask/app.py",
            ),
            ("/srv/app/views.py", "/srv/app/views.py"),
        ] {
            assert_eq!(short_file(file), expected);
        }
    }
}
