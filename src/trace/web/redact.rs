//! Secrets in a query, replaced by `<redacted>`.
//!
//! A secret is what the default of `DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP` matches in
//! dd-trace-py (`ddtrace/internal/settings/_config.py`), byte by byte and in any case. Like
//! dd-trace-go (`instrumentation/httptrace/obfuscator.go`) we read by hand and from tables: a query
//! can be made so that backtracking takes hours over it, this takes a time that grows with the
//! length alone.

use std::ops::Range;

use super::scan::{
    ALPHANUMERICS, GAPS, JWT_PARTS, JWT_SIGNATURES, LABELS, NAMES, PADDINGS, SPACE, SPACES,
    SSH_BODIES, Text, WORD, ends_with, is,
};

/// Appends the query, its secrets replaced.
pub(super) fn push_redacted(out: &mut String, query: &str) {
    let mut kept_from = 0;
    for secret in Secrets::of(query) {
        out.push_str(&query[kept_from..secret.start]);
        out.push_str("<redacted>");
        kept_from = secret.end;
    }
    out.push_str(&query[kept_from..]);
}

const SEPARATORS: &[&str] = &["-", "_", ""];

/// Keys whose value is a secret, each a row of parts. A part is the first of its words that fits.
const KEYS: [&[&[&str]]; 8] = [
    &[
        &["old-", "old_", "old", "new-", "new_", "new", ""],
        &["password", "passwd", "pword", "pwd"],
        &["1", "2", ""],
    ],
    &[&["pass"], &["-phrase", "_phrase", "phrase", ""]],
    &[&["secret"]],
    &[
        &[
            "api",
            "private",
            "public",
            "access",
            "secret",
            "application",
            "app",
        ],
        SEPARATORS,
        &["key"],
        &["-id", "_id", "id", ""],
    ],
    &[&["token"]],
    &[&["consumer"], SEPARATORS, &["id", "key", "secret"]],
    &[&["signature", "signed", "sign"]],
    &[&["authentication", "authorization", "auth"]],
];

/// The secrets of a query: the leftmost byte that one can start at wins, and it is as long as can
/// be.
struct Secrets<'a> {
    text: Text<'a>,
    /// Where the last one ended.
    from: usize,
    /// What is before this has been read.
    at: usize,
    /// Where the word that was read last ends; a secret may end before.
    word_end: usize,
    /// Before this starts no JSON Web Token: the run of its bytes ends here, and not as a token
    /// does.
    no_jwt_before: usize,
}

impl Iterator for Secrets<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        while let Some(word) = self.next_word() {
            self.at = word.end;
            if let Some(secret) = self.secret_in(word) {
                (self.from, self.at) = (secret.end, secret.end);
                return Some(secret);
            }
        }
        None
    }
}

impl<'a> Secrets<'a> {
    fn of(query: &'a str) -> Secrets<'a> {
        let text = Text(query.as_bytes());
        Secrets {
            text,
            from: 0,
            at: 0,
            word_end: 0,
            no_jwt_before: 0,
        }
    }

    /// The next run of letters, digits, `_` and `-`, or what is left of the last one. Every secret
    /// starts in such a word, but for a quote before it.
    fn next_word(&mut self) -> Option<Range<usize>> {
        if self.at >= self.word_end {
            self.at += self.text.bytes_to(self.at, |byte| is(byte, WORD));
            self.word_end = self.at + self.text.bytes_to(self.at, |byte| !is(byte, WORD));
        }
        (self.at < self.word_end).then_some(self.at..self.word_end)
    }

    /// The first secret that starts in this word. Each byte is asked once what starts there; an
    /// answer may read on beyond the word, but only what no later question of its kind reads again.
    fn secret_in(&mut self, word: Range<usize>) -> Option<Range<usize>> {
        let key = self.key_in(&word);
        for at in word.clone() {
            let is_key = key == Some(at);
            if let Some(end) = is_key.then(|| self.value(word.end)).flatten() {
                return Some(self.quote_before(at)..end);
            }
            if let Some(end) = self.secret_at(at) {
                return Some(at..end);
            }
        }
        None
    }

    /// Where the longest key starts that ends this word: what must follow a key is in no word.
    fn key_in(&self, word: &Range<usize>) -> Option<usize> {
        let next = *self.text.0.get(word.end)?;
        if !is(next, SPACE) && !b"=%\"".contains(&next) {
            return None;
        }
        let start = |parts: &&[&[&str]]| {
            parts.iter().rev().try_fold(word.end, |end, part| {
                let before = &self.text.0[word.start..end];
                let fits = part.iter().find(|text| ends_with(before, text));
                fits.map(|text| end - text.len())
            })
        };
        KEYS.iter().filter_map(start).min()
    }

    /// A quote that opens the key belongs to the secret.
    fn quote_before(&self, at: usize) -> usize {
        let before = &self.text.0[self.from..at];
        let quote = ["\"", "%22"]
            .into_iter()
            .find(|quote| ends_with(before, quote));
        at - quote.map_or(0, str::len)
    }

    /// The end of the value of a key that ends here: `=` and anything up to `&`, or a text in JSON.
    fn value(&self, at: usize) -> Option<usize> {
        let after_spaces = self.text.many(at, 0, &SPACES)?;
        let Some(value) = self.text.either(after_spaces, &["=", "%3d"]) else {
            return self.json_text(at);
        };
        let bytes = self.text.bytes_to(value, |byte| byte == b'&');
        (bytes > 0).then_some(value + bytes)
    }

    /// The end of `":"text"`. Where no quote ends the text, no later key in it is followed by one
    /// either: so what is read in vain is read in vain once.
    fn json_text(&self, at: usize) -> Option<usize> {
        let at = self.text.either(at, &["\"", "%22"])?;
        let at = self.text.many(at, 0, &SPACES)?;
        let at = self.text.either(at, &[":", "%3a"])?;
        let at = self.text.many(at, 0, &SPACES)?;
        let start = self.text.either(at, &["\"", "%22"])?;
        let mut at = start;
        loop {
            // `%` takes the next byte with it, `%2` two; what follows is then no quote.
            at += match self.text.0.get(at..)? {
                [b'"', ..] | [b'%', b'2', b'2', ..] => break,
                [b'%', b'2', _, ..] => 3,
                [b'%', b'2'] | [b'%'] | [] => return None,
                [b'%', ..] => 2,
                _ => 1,
            };
        }
        self.text.either(at, &["\"", "%22"]).filter(|_| at > start)
    }

    /// The end of a secret that starts here and needs no key.
    fn secret_at(&mut self, at: usize) -> Option<usize> {
        match self.text.0[at] {
            b'b' | b'B' => self.bearer(at),
            b't' | b'T' => self.short_token(at),
            b'g' | b'G' => self.github_token(at),
            b'e' | b'E' => self.jwt(at).or_else(|| self.ssh_key(at)),
            b's' | b'S' => self.ssh_key(at),
            b'-' => self.private_key(at),
            _ => None,
        }
    }

    /// `bearer x`.
    fn bearer(&self, at: usize) -> Option<usize> {
        let at = self.text.word(at, "bearer")?;
        let at = self.text.many(at, 1, &SPACES)?;
        self.text.many(at, 1, &NAMES)
    }

    /// `token:` and 13 letters and digits.
    fn short_token(&self, at: usize) -> Option<usize> {
        let at = self.text.word(at, "token")?;
        let at = self.text.either(at, &[":", "%3a"])?;
        self.text.exactly(at, 13)
    }

    /// `ghp_` and 36 letters and digits.
    fn github_token(&self, at: usize) -> Option<usize> {
        let at = self.text.either(at, &["gho_", "ghp_", "ghs_", "ghu_"])?;
        self.text.exactly(at, 36)
    }

    /// A JSON Web Token: two objects in base64 with a dot between, and perhaps a signature.
    fn jwt(&mut self, at: usize) -> Option<usize> {
        if at < self.no_jwt_before {
            return None;
        }
        let first = self.jwt_start(at)?;
        let first_end = self.text.many(first, 0, &JWT_PARTS)?;
        let second = self
            .text
            .word(first_end, ".")
            .and_then(|at| self.jwt_start(at));
        let end = second.and_then(|at| self.text.many(at, 1, &JWT_PARTS));
        let Some(end) = end.filter(|_| first_end > first) else {
            self.no_jwt_before = first_end;
            return None;
        };
        let dot = self.text.word(end, ".");
        dot.and_then(|at| self.text.many(at, 1, &JWT_SIGNATURES))
            .or(Some(end))
    }

    /// `{"`, or an object that opens nearly so, in base64.
    fn jwt_start(&self, at: usize) -> Option<usize> {
        self.text.either(at, &["eyi", "eyj", "eyk", "eyl"])
    }

    /// A private key in PEM.
    fn private_key(&self, at: usize) -> Option<usize> {
        let at = self.text.word(at, "-----begin")?;
        let at = self.private_key_label(at)?;
        let at = self.text.word(at, "-----")?;
        let bytes = self.text.bytes_to(at, |byte| byte == b'-');
        let at = self
            .text
            .word(at + bytes, "-----end")
            .filter(|_| bytes > 0)?;
        let at = self.private_key_label(at)?;
        let at = self.text.word(at, "-----").unwrap_or(at);
        self.text.either(at, &["\n", "%0a"]).or(Some(at))
    }

    /// The end of the last `PRIVATE KEY` in a run of words, when something is before it.
    fn private_key_label(&self, at: usize) -> Option<usize> {
        let run_end = self.text.many(at, 1, &LABELS)?;
        (at + 1..run_end).rev().find_map(|start| {
            let at = self.text.word(start, "private")?;
            let is_space = self.text.0.get(at).is_some_and(|byte| is(*byte, SPACE));
            let at = if is_space {
                at + 1
            } else {
                self.text.word(at, "%20")?
            };
            self.text.word(at, "key")
        })
    }

    /// A public key as OpenSSH writes it, with its comment.
    fn ssh_key(&self, at: usize) -> Option<usize> {
        let kind = self.text.either(at, &["ssh-rsa", "ssh-dss"]);
        let at = kind.or_else(|| self.ecdsa(at))?;
        let at = self.text.many(at, 1, &GAPS)?;
        let at = self.text.many(at, 100, &SSH_BODIES)?;
        let at = self.text.many(at, 0, &PADDINGS)?;
        let comment = self.text.many(at, 1, &GAPS);
        comment
            .and_then(|at| self.text.many(at, 1, &NAMES))
            .or(Some(at))
    }

    fn ecdsa(&self, at: usize) -> Option<usize> {
        let at = self.text.word(at, "ecdsa-")?;
        let at = self.text.many(at, 1, &ALPHANUMERICS)?;
        let at = self.text.word(at, "-")?;
        self.text.many(at, 1, &ALPHANUMERICS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(query: &str) -> String {
        let mut out = "?".to_string();
        push_redacted(&mut out, query);
        out[1..].to_string()
    }

    #[track_caller]
    fn check(rule: &str, query: &str, expected: &str) {
        assert_eq!(redacted(query), expected, "{rule}: {query}");
    }

    #[track_caller]
    fn check_kept(rule: &str, query: &str) {
        check(rule, query, query);
    }

    #[test]
    fn the_value_of_a_key_goes_up_to_the_ampersand() {
        check_kept("nothing", "");
        check_kept("no key", "safe=value&a=1");
        check("a key alone", "pass=03cb9f67-dbbc", "<redacted>");
        check(
            "the first",
            "pass=x&key2=val2&key3=val3",
            "<redacted>&key2=val2&key3=val3",
        );
        check(
            "the last",
            "key1=val1&key2=val2&token=x",
            "key1=val1&key2=val2&<redacted>",
        );
        check(
            "one between",
            "a=1&public_key=MDNj==&b=2",
            "a=1&<redacted>&b=2",
        );
        check("two", "password=x&token=y", "<redacted>&<redacted>");
        check_kept("no value", "password=");
        check_kept("no value, then more", "password=&foo=bar");
        check(
            "a second = is one",
            "password==&foo=bar",
            "<redacted>&foo=bar",
        );
        check_kept("no =", "password&secret");
        check("an escaped =", "password%3Dx%26y&a=1", "<redacted>&a=1");
        check("in lower case", "password%3dx", "<redacted>");
        check("a blank before =", "password =x", "<redacted>");
        check(
            "blanks of all kinds",
            "password \t\n\x0b\x0c\r%20=x",
            "<redacted>",
        );
        check("a blank is a value", "password= ", "<redacted>");
        check_kept("an escaped line feed is no blank", "password%0A=x");
        check_kept("nor is a plus", "password+=x");
        check_kept("half an escape", "password%2=x");
        check_kept("an escape twice", "password%253Dx");
        check("capitals", "PassWord=x", "<redacted>");
        check("a word before the key", "my_password=x", "my_<redacted>");
        check_kept("a word behind it", "password_hint=x");
        check_kept("a dot behind it", "password.hint=x");
        check("a key in a value", "a=token=x&b=1", "a=<redacted>&b=1");
        check(
            "a value holds anything",
            "pw=1&pwd=\u{1f980}\"%&b",
            "pw=1&<redacted>&b",
        );
        check("unicode before", "\u{e9}token=x", "\u{e9}<redacted>");
        check_kept(
            "a letter that only looks so",
            "\u{17f}ecret=x&to\u{212a}en=y",
        );
        check("a semicolon parts nothing", "token=x;a=1", "<redacted>");
    }

    #[test]
    fn every_key_in_every_form() {
        for key in [
            "password",
            "passwd",
            "pword",
            "pwd",
            "password1",
            "pwd2",
            "oldpassword",
            "old-passwd",
            "old_pwd",
            "newpword",
            "new-password2",
            "new_pwd1",
            "pass",
            "passphrase",
            "pass-phrase",
            "pass_phrase",
            "secret",
            "apikey",
            "api-key",
            "api_key",
            "api_key_id",
            "api-key-id",
            "apikeyid",
            "privatekey",
            "private_key",
            "public-key",
            "access_key",
            "access_key_id",
            "secretkey",
            "secret-key",
            "appkey",
            "app_key",
            "applicationkey",
            "application_key",
            "token",
            "consumerid",
            "consumer_id",
            "consumer-key",
            "consumer_secret",
            "sign",
            "signed",
            "signature",
            "auth",
            "authentication",
            "authorization",
        ] {
            check("plain", &format!("{key}=x"), "<redacted>");
            check("after a word", &format!("x{key}=x"), "x<redacted>");
            check("in JSON", &format!("{{\"{key}\":\"x\"}}"), "{<redacted>}");
            check(
                "in capitals",
                &format!("{}=x", key.to_uppercase()),
                "<redacted>",
            );
            check_kept("after it a letter", &format!("{key}z=x"));
            check_kept("after it a dash", &format!("{key}-=x"));
        }
    }

    #[test]
    fn words_that_are_no_keys() {
        for key in [
            "pw",
            "passw",
            "password3",
            "wd",
            "pass--phrase",
            "key",
            "api__key",
            "user_key",
            "key_id",
            "consumer",
            "consumer_name",
            "signing",
            "author",
            "authenticate",
            "toke",
            "session",
            "app-lication-key",
        ] {
            check_kept("none of them", &format!("{key}=x"));
        }
    }

    /// Backward from its end a part is read by its first word that fits: none may hide a longer
    /// one.
    #[test]
    fn of_two_words_of_a_part_the_longer_stands_first() {
        for part in KEYS.iter().flat_map(|parts| parts.iter()) {
            for (at, word) in part.iter().enumerate() {
                let hidden = part[at + 1..].iter().find(|later| later.ends_with(word));
                assert_eq!(hidden, None, "{word:?} hides it");
            }
        }
    }

    #[test]
    fn a_key_in_json_goes_with_its_text() {
        check(
            "plain",
            r#"{"a":"1","pass":"x","b":"2"}"#,
            r#"{"a":"1",<redacted>,"b":"2"}"#,
        );
        check(
            "escaped",
            "%7B%22sign%22%3A%22%7D%22%7D",
            "%7B<redacted>%7D",
        );
        check(
            "escaped, with blanks",
            "%7B%20%22sign%22%3A%20%22%7D%7D%22%7D",
            "%7B%20<redacted>%7D",
        );
        check(
            "blanks of all kinds",
            "\"pwd\"\t%20 :\n%20\"x\"",
            "<redacted>",
        );
        check("mixed quotes", "%22pwd\":%22x\"", "<redacted>");
        check("no quote before", "pwd\":\"x\"", "<redacted>");
        check(
            "the nearer of two before",
            "\"%22pwd\":\"x\"",
            "\"<redacted>",
        );
        check("a quote before a plain one", "\"pwd=x\"&a", "<redacted>&a");
        check("an escaped colon", "\"pwd\"%3a\"x\"", "<redacted>");
        check("the text holds &", "\"pwd\":\"x&y\"&a=1", "<redacted>&a=1");
        check_kept("an empty text", "\"pwd\":\"\"");
        check_kept("an open text", "\"pwd\":\"x");
        check_kept("a number", "\"pwd\":1");
        check_kept("a blank before the quote", "\"pwd \":\"x\"");
        check(
            "a percent takes a quote along",
            "\"pwd\":\"%\"x\"",
            "<redacted>",
        );
        check("%2 takes one along too", "\"pwd\":\"%2\"x\"", "<redacted>");
        check("and %% the start of one", "\"pwd\":\"%%22x\"", "<redacted>");
        check_kept("to the very end", "\"pwd\":\"x%\"");
        check_kept("half an escape at the end", "\"pwd\":\"x%2");
        check_kept("a percent at the end", "\"pwd\":\"x%");
        check(
            "two in a row",
            "\"pwd\":\"x\"\"pwd\":\"y\"",
            "<redacted><redacted>",
        );
        check(
            "a quote is not taken twice",
            "\"pwd\":\"x\"pwd=y",
            "<redacted><redacted>",
        );
        check(
            "a text with a character of four bytes",
            "\"pwd\":\"%\u{1f980}\"",
            "<redacted>",
        );
    }

    #[test]
    fn bearers_and_short_tokens() {
        check("a bearer", "a=bearer%20x.y-z_1&b=2", "a=<redacted>&b=2");
        check(
            "with a blank",
            "Authorization:Bearer abc/def",
            "Authorization:<redacted>/def",
        );
        check("with several", "bearer %20\tx", "<redacted>");
        check_kept("with a plus", "bearer+abc");
        check_kept("with nothing", "bearer &a=1");
        check("in a word", "xbearer x", "x<redacted>");
        check("the key before wins", "auth=bearer x&b", "<redacted>&b");
        check("a token", "a=token:abcdefghij123&b", "a=<redacted>&b");
        check("an escaped colon", "token%3Aabcdefghij123", "<redacted>");
        check(
            "what is over 13 stays",
            "token:abcdefghij1234",
            "<redacted>4",
        );
        check_kept("12", "token:abcdefghij12");
        check_kept("another sign", "token:abcdefghij12_");
    }

    #[test]
    fn tokens_of_github() {
        let token = "abcdefghijklmnopqrstuvwxyz0123456789";
        for kind in ["gho", "ghp", "ghs", "ghu", "GHP"] {
            check(
                "of a kind",
                &format!("a={kind}_{token}&b"),
                "a=<redacted>&b",
            );
        }
        check_kept("of another kind", &format!("ghx_{token}"));
        check_kept("35", &format!("ghp_{}", &token[1..]));
        check(
            "what is over 36 stays",
            &format!("ghp_{token}x"),
            "<redacted>x",
        );
        check("in a word", &format!("xghp_{token}"), "x<redacted>");
        check(
            "in a row",
            &format!("ghp_{token}ghp_{token}"),
            "<redacted><redacted>",
        );
        check(
            "before a key in one word",
            &format!("ghp_{token}pwd=x"),
            "<redacted><redacted>",
        );
        check(
            "a key in it ends it not",
            &format!("ghp_{}pwd=x", &token[3..]),
            "<redacted>=x",
        );
    }

    #[test]
    fn json_web_tokens() {
        check(
            "three parts",
            "t=eyJhbGci.eyJzdWIi.s-1_x&a",
            "t=<redacted>&a",
        );
        check("two parts", "eyJhbGci.eyJzdWIi&a", "<redacted>&a");
        check("an empty third", "eyJhbGci.eyJzdWIi.", "<redacted>.");
        check("padded", "eyJh==.eyJz%3D%3d.s+/%2F%2b%3D", "<redacted>");
        check("in capitals", "EYLA.EYIB.C", "<redacted>");
        check("in a word", "xeyJa.eyJb", "x<redacted>");
        check_kept("one part", "eyJhbGci");
        check_kept("an empty first", "eyJ.eyJz");
        check_kept("an empty second", "eyJh.eyJ");
        check_kept("another start", "eyMh.eyMz");
        check_kept("a second that is none", "eyJh.xyJz.eyNq");
        check(
            "the second part starts one",
            "eyJh.x.eyJh.eyJz",
            "eyJh.x.<redacted>",
        );
        check("the leftmost start", "eyJeyJa.eyJb", "<redacted>");
        check("a key before it wins", "api_keyid=a.eyJx&b", "<redacted>&b");
        check(
            "a key that is none does not",
            "keyid=a.eyJx&b",
            "k<redacted>&b",
        );
        check(
            "it ends at another escape",
            "eyJa.eyJb%2Fc",
            "<redacted>%2Fc",
        );
    }

    #[test]
    fn private_keys_in_pem() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----abc-----END RSA PRIVATE KEY-----";
        check("plain", &format!("k={pem}&a"), "k=<redacted>&a");
        check("its line feed", &format!("{pem}\nx"), "<redacted>x");
        check("an escaped one", &format!("{pem}%0a%0A"), "<redacted>%0A");
        check("escaped blanks", &pem.replace(' ', "%20"), "<redacted>");
        check("in lower case", &pem.to_lowercase(), "<redacted>");
        check("no dashes behind", &pem[..pem.len() - 1], "<redacted>----");
        check("six dashes before", &format!("-{pem}"), "-<redacted>");
        check_kept("four dashes before", &pem[1..]);
        check_kept("an empty body", &pem.replace("abc", ""));
        check_kept("a dash in it", &pem.replace("abc", "a-c"));
        check_kept("a digit in the label", &pem.replacen("RSA", "P256", 1));
        check_kept("no kind", &pem.replace(" RSA PRIVATE", "PRIVATE"));
        check("a blank for a kind", &pem.replace("RSA ", ""), "<redacted>");
        check_kept("a public key", &pem.replace("PRIVATE", "PUBLIC"));
        let twice = pem.replace("KEY-----abc-----END", "KEY PRIVATE KEY-----abc-----END");
        check("the last label counts", &twice, "<redacted>");
        check(
            "words behind the last label stay",
            &format!("{} x", &pem[..pem.len() - 5]),
            "<redacted> x",
        );
        check(
            "a second key",
            &format!("{pem}{pem}"),
            "<redacted><redacted>",
        );
        check_kept("no end", "-----BEGIN PRIVATE KEY-----abc");
    }

    #[test]
    fn public_keys_of_openssh() {
        let body = "a".repeat(100);
        check("rsa", &format!("k=ssh-rsa {body}&a"), "k=<redacted>&a");
        check("dss", &format!("ssh-dss%20%09 {body}"), "<redacted>");
        check(
            "ecdsa",
            &format!("ecdsa-sha2-nistp256 {body}"),
            "<redacted>",
        );
        check("in capitals", &format!("SSH-RSA {body}"), "<redacted>");
        check(
            "with a comment",
            &format!("ssh-rsa {body}=%3D%20ann.b-c_1@x"),
            "<redacted>@x",
        );
        check(
            "blanks without a comment stay",
            &format!("ssh-rsa {body}= %20&a"),
            "<redacted> %20&a",
        );
        check(
            "escapes count as one",
            &format!("ssh-rsa {}%2F%5C%2b", &body[3..]),
            "<redacted>",
        );
        check_kept("99", &format!("ssh-rsa {}", &body[1..]));
        check_kept(
            "99 and an escape too many",
            &format!("ssh-rsa {}%2", &body[1..]),
        );
        check_kept("no blank", &format!("ssh-rsa{body}"));
        check_kept("another kind", &format!("ssh-ed25519 {body}"));
        check_kept("ecdsa in one part", &format!("ecdsa-sha2 {body}"));
        check(
            "ecdsa twice",
            &format!("ecdsa-ecdsa-a-b {body}"),
            "ecdsa-<redacted>",
        );
        check(
            "a bearer in it",
            &format!("ecdsa-a-bearer {body}/+"),
            "<redacted>",
        );
        check(
            "a bearer instead",
            "ecdsa-a-bearer abc",
            "ecdsa-a-<redacted>",
        );
    }

    /// What a regular expression takes a time for that grows with the square of the length, or
    /// worse.
    #[test]
    fn hostile_queries_are_read_once() {
        let token = format!("ghp_{}", "a".repeat(36));
        for unit in [
            "eyJ",
            "eyJ%3D",
            "eyJa.ey",
            "password ",
            "password%20",
            "%22pwd%22:%22%2%22",
            "secret%",
            "\"pwd\":\"%\"",
            "-----BEGIN",
            "-----BEGIN PRIVATE KEY-----x",
            " PRIVATE",
            "ssh-rsa ",
            "ecdsa-",
            "ecdsa-a-b%20",
            "bearer ",
            "token:",
            "-",
            "%",
            "\"",
            "&",
            "\u{1f980}",
            &token,
        ] {
            let repeated = unit.repeat(50_000 / unit.len());
            for before in [
                "",
                "pwd\":\"",
                "-----BEGIN",
                "-----BEGIN PRIVATE KEY-----x-----END",
            ] {
                let query = [before, &repeated, "ecdsa-a", &repeated].concat();
                assert!(
                    redacted(&query).len() <= 3 * query.len(),
                    "{unit:?} after {before:?}"
                );
            }
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "pass",
            "word",
            "pwd",
            "api",
            "_",
            "-",
            "key",
            "id",
            "token",
            "bearer",
            "%22",
            "\"",
            "=",
            "%3D",
            ":",
            "%3A",
            " ",
            "%20",
            "&",
            "%",
            "%2",
            "eyJ",
            ".",
            "-----",
            "-----BEGIN",
            "-----END",
            " PRIVATE KEY",
            "ghp_",
            "ssh-rsa ",
            "ecdsa-a-b ",
            "a",
            "\u{e9}",
            "\u{1f980}",
        ]);
        let long = (1_usize..110).prop_map(|count| "a".repeat(count));
        prop_oneof![8 => known.prop_map(str::to_string), 1 => long, 1 => any::<String>()]
    }

    proptest! {
        #[test]
        fn what_is_kept_is_kept_in_order_and_holds_no_secret(
            pieces in prop::collection::vec(piece(), 0..12),
        ) {
            let query = pieces.concat();
            let shown = redacted(&query);
            let mut rest = query.as_str();
            for kept in shown.split("<redacted>") {
                let at = rest.find(kept);
                prop_assert!(at.is_some(), "{:?} in {:?}", kept, rest);
                rest = &rest[at.unwrap() + kept.len()..];
                prop_assert_eq!(redacted(kept), kept);
            }
        }
    }
}
