//! Source files as a scan sees them: comments, texts and tests blanked out, the rest as words.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// One source file that is not a test.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) room: String,
    pub(super) text: String,
    /// Of what is left without comments, texts and tests.
    tokens: Vec<Token>,
}

#[derive(Debug)]
pub(super) struct Mention {
    pub(super) what: Named,
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Named {
    Room(String),
    Crate(String),
}

#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
}

pub(super) fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(read_sources)
}

fn read_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "loadgen/src"] {
        collect(&root.join(folder), &mut paths);
    }
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let tests: Vec<PathBuf> = paths.iter().flat_map(|p| test_files(p, &text(p))).collect();
    paths.retain(|path| !tests.contains(path));
    paths.sort();
    paths
        .iter()
        .map(|path| {
            Source::of(
                path.strip_prefix(root).unwrap().to_str().unwrap(),
                text(path),
            )
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|e| e == "rs") {
            paths.push(path);
        }
    }
}

/// Files that `#[cfg(test)] mod name;` names.
fn test_files(path: &Path, text: &str) -> Vec<PathBuf> {
    let code = blank_texts(text);
    let stem = path.file_stem().unwrap();
    let folder = match stem.to_str() {
        Some("mod" | "lib" | "main") => path.parent().unwrap().to_path_buf(),
        _ => path.with_extension(""),
    };
    let modules = code.split("#[cfg(test)]").skip(1);
    let names = modules.filter_map(|rest| {
        let name = rest.trim_start().strip_prefix("mod ")?;
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        name[end..]
            .starts_with(';')
            .then(|| name[..end].to_string())
    });
    names.map(|name| folder.join(name + ".rs")).collect()
}

impl Source {
    fn of(path: &str, text: String) -> Source {
        let mut parts = path.trim_end_matches(".rs").split('/');
        let (first, second) = (parts.next().unwrap(), parts.next().unwrap());
        let room = match (first, path) {
            ("loadgen", path) if path.starts_with("loadgen/src/bin/demo/") => "demo",
            ("loadgen", _) => "loadgen",
            _ => second,
        };
        let code = blank_tests(&blank_texts(&text));
        Source {
            path: path.to_string(),
            room: room.to_string(),
            tokens: tokens(&code),
            text,
        }
    }

    /// Modules from the crate's root down to this file: how often `super` stays inside.
    fn depth(&self) -> usize {
        let inside = self.path.split_once("src/").unwrap().1;
        let parts = inside.trim_end_matches(".rs").split('/');
        parts
            .filter(|part| !["mod", "lib", "main"].contains(part))
            .count()
    }

    /// Every room and every crate that a path begins with.
    pub(super) fn names(&self) -> Vec<Mention> {
        let crates = dependencies();
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            let before = at.checked_sub(1).map_or("", |at| &self.tokens[at].text);
            // `x::serde_json` is no crate, `::serde_json` is one.
            let inner = before == "::" && at > 1 && is_word(&self.tokens[at - 2].text);
            if inner || before == "." {
                continue;
            }
            let Token { text, line } = &self.tokens[at];
            let root = match &**text {
                "crate" | "testapi" => Some(at + 1),
                "super" => self.root_above(at),
                _ => None,
            };
            let external = crates.contains(text) && (self.is(at + 1, "::") || before == "use");
            if external {
                found.push(Mention {
                    what: Named::Crate(text.clone()),
                    line: *line,
                });
            } else if text == "loadgen" && self.is(at + 1, "::") {
                found.push(Mention {
                    what: Named::Room(text.clone()),
                    line: *line,
                });
            }
            // In loadgen, `crate` is loadgen; only `testapi` leads to rooms.
            let own = self.path.starts_with("loadgen/") && text != "testapi";
            if let Some(root) = root.filter(|root| !own && self.is(*root, "::")) {
                let rooms = self.firsts(root + 1).into_iter();
                found.extend(rooms.map(|name| Mention {
                    what: Named::Room(name),
                    line: *line,
                }));
            }
        }
        found
    }

    /// Where the path goes on, if so many `super` lead to the crate's root.
    fn root_above(&self, mut at: usize) -> Option<usize> {
        let mut climbed = 1;
        while self.is(at + 1, "::") && self.is(at + 2, "super") {
            (at, climbed) = (at + 2, climbed + 1);
        }
        (climbed >= self.depth()).then_some(at + 1)
    }

    /// The name at `at`, or all that open a path in the group there.
    fn firsts(&self, at: usize) -> Vec<String> {
        if !self.is(at, "{") {
            return vec![self.tokens[at].text.clone()];
        }
        let (mut depth, mut names) = (0, Vec::new());
        for (token, before) in self.tokens[at..].iter().zip(&self.tokens[at - 1..]) {
            match &*token.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                "self" => {}
                name if depth == 1 && is_word(name) && ["{", ","].contains(&&*before.text) => {
                    names.push(name.to_string());
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        names
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.text == text)
    }

    /// Lines with that word.
    pub(super) fn words(&self, word: &str) -> Vec<usize> {
        let found = self.tokens.iter().filter(|token| token.text == word);
        found.map(|token| token.line).collect()
    }

    /// Lines with `module::call`, or with `use` of it.
    pub(super) fn calls_of(&self, module: &str, calls: &[&str]) -> Vec<usize> {
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            if self.tokens[at].text == module && self.is(at + 1, "::") {
                let names = self.firsts(at + 2);
                let line = self.tokens[at].line;
                found.extend(
                    names
                        .iter()
                        .filter(|n| calls.contains(&&***n))
                        .map(|_| line),
                );
            }
        }
        found
    }

    pub(super) fn lines_before_tests(&self) -> usize {
        let all = self.text.lines().count();
        let code = blank_texts(&self.text);
        let tests = code.find("#[cfg(test)]\nmod tests {");
        tests.map_or(all, |at| code[..at].lines().count())
    }
}

/// Crates of both manifests' `[dependencies]`, as code names them.
fn dependencies() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(read_dependencies)
}

fn read_dependencies() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    for manifest in ["Cargo.toml", "loadgen/Cargo.toml"] {
        let text = fs::read_to_string(root.join(manifest)).unwrap();
        let after = text.split("\n[dependencies]\n").nth(1).unwrap();
        let section = after.split("\n[").next().unwrap();
        let lines = section.lines().filter(|line| !line.starts_with('#'));
        names.extend(
            lines
                .filter_map(|line| line.split([' ', '.', '=']).next())
                .map(|name| name.replace('-', "_"))
                .filter(|name| !name.is_empty() && name != "testapi"),
        );
    }
    names
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let end = match first {
                c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            tokens.push(Token {
                text: rest[..end].to_string(),
                line: number + 1,
            });
            rest = rest[end..].trim_start();
        }
    }
    tokens
}

/// Comments, string and character literals become blanks; line feeds stay.
fn blank_texts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = literal_end(rest, out.chars().next_back());
        match end {
            Some(end) => out.extend(rest[..end].chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => out.push(first),
        }
        rest = &rest[end.unwrap_or(first.len_utf8())..];
    }
    out
}

/// Bytes of the comment or literal that `rest` begins with.
fn literal_end(rest: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(comment_end(rest));
    }
    let prefix = ["br", "b", "r"].into_iter().find(|p| rest.starts_with(*p));
    let prefix = prefix.filter(|_| !in_word).unwrap_or("");
    let body = &rest[prefix.len()..];
    let hashes = body.bytes().take_while(|b| *b == b'#').count();
    if prefix.ends_with('r') && body[hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let end = body[hashes + 1..].find(&close)?;
        return Some(prefix.len() + hashes + 1 + end + close.len());
    }
    let quote = body.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let mut characters = body.char_indices().skip(1);
    let mut count = 0;
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            c if c == quote => return Some(prefix.len() + at + 1),
            // A lifetime: `'a` without a quote behind its first letter. `'\u{e9}'` has begun above.
            _ if quote == '\'' && count == 1 && !body[1..].starts_with('\\') => return None,
            _ => {}
        }
        count += 1;
    }
    None
}

fn comment_end(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Items under `#[cfg(test)]` become blanks: up to their `;`, or to the brace that closes them.
fn blank_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let Some(start) = code.find(MARK) else {
        return code.to_string();
    };
    let (mut depth, mut end) = (0, code.len());
    for (at, c) in code[start + MARK.len()..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && ['}', ';'].contains(&c) {
            end = start + MARK.len() + at + 1;
            break;
        }
    }
    let blank = code[start..end]
        .chars()
        .map(|c| if c == '\n' { c } else { ' ' });
    let blank: String = blank.collect();
    blank_tests(&format!("{}{blank}{}", &code[..start], &code[end..]))
}

#[test]
fn the_scan_sees_what_it_should_and_nothing_else() {
    #[track_caller]
    fn sees(rule: &str, text: &str, expected: &[&str]) {
        let path = "src/trace/span.rs";
        let file = Source::of(path, text.to_string());
        let mut names: Vec<String> = file
            .names()
            .into_iter()
            .map(|named| match named.what {
                Named::Room(name) => name,
                Named::Crate(name) => format!("{name}!"),
            })
            .collect();
        names.retain(|name| name != "trace");
        assert_eq!(names, expected, "{rule}");
    }
    sees("nothing", "", &[]);
    sees("a path", "use crate::log::Record;", &["log"]);
    sees("a path in code", "let x = crate::log::start();", &["log"]);
    sees(
        "a group",
        "use crate::{log, api::{a, b}, self};",
        &["log", "api"],
    );
    sees("a group of one room", "use crate::trace::{log, api};", &[]);
    sees("over the wall", "use super::super::log;", &["log"]);
    sees("a neighbour", "use super::log; use self::api::x;", &[]);
    sees("its own room", "pub(in crate::trace) fn f() {}", &[]);
    sees("a crate", "use serde_json::json;", &["serde_json!"]);
    sees(
        "a crate, bare",
        "use tiny_http; use chrono as c;",
        &["tiny_http!", "chrono!"],
    );
    sees(
        "a crate from the root",
        "::serde_json::from_str(x)",
        &["serde_json!"],
    );
    sees("a module named as a crate", "x::serde_json::y()", &[]);
    sees(
        "a comment",
        "// crate::log\n/* crate::api /* */ crate::log */",
        &[],
    );
    sees("a doc", "/// use crate::log;\n//! crate::api", &[]);
    sees(
        "a text",
        r###"let a = ("crate::log", r#"crate::api " "#, b"\"crate::log");"###,
        &[],
    );
    sees(
        "letters and lifetimes",
        "fn f<'a>(c: char) { c == '\"' } use crate::log;",
        &["log"],
    );
    sees("tests", "#[cfg(test)]\nmod tests { use crate::log; }", &[]);
    sees(
        "after tests",
        "#[cfg(test)] mod t { {} } use crate::api;",
        &["api"],
    );
    sees(
        "a test file",
        "#[cfg(test)] mod tests; use crate::api;",
        &["api"],
    );
}
