//! Secrets in a query, replaced by `<redacted>`.
//!
//! A secret is what the default of `DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP` matches in dd-trace-py
//! (`ddtrace/internal/settings/_config.py`), byte by byte and in any case. Like dd-trace-go
//! (`instrumentation/httptrace/obfuscator.go`) we read the query by hand and from tables: an engine with
//! backtracking takes hours over a query made for that, this takes a time that grows with the query's length alone.

use std::ops::Range;

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

const NO_SEPARATOR: &[&str] = &["-", "_", ""];

/// Keys whose value is a secret, each a row of parts. A part is one of its words, a longer one before its own end.
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
        NO_SEPARATOR,
        &["key"],
        &["-id", "_id", "id", ""],
    ],
    &[&["token"]],
    &[&["consumer"], NO_SEPARATOR, &["id", "key", "secret"]],
    &[&["signature", "signed", "sign"]],
    &[&["authentication", "authorization", "auth"]],
];

/// The secrets of a query, from left to right: the first byte that one can start at wins, and it is as long as can be.
struct Secrets<'a> {
    text: &'a [u8],
    /// Where the last one ended.
    from: usize,
    /// What is before this has been read.
    at: usize,
    /// Where the word that was read last ends; a secret may end before.
    word_end: usize,
    /// Before this no JSON Web Token starts: the run of its bytes ends here, and not as a token does.
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
        Secrets {
            text: query.as_bytes(),
            from: 0,
            at: 0,
            word_end: 0,
            no_jwt_before: 0,
        }
    }

    /// The next run of letters, digits, `_` and `-`, or what is left of the last one. Every secret starts in such a
    /// word, but for a quote before it.
    fn next_word(&mut self) -> Option<Range<usize>> {
        if self.at >= self.word_end {
            self.at += self.text[self.at..]
                .iter()
                .position(|byte| is(*byte, WORD))?;
            let bytes = self.text[self.at..]
                .iter()
                .position(|byte| !is(*byte, WORD));
            self.word_end = bytes.map_or(self.text.len(), |bytes| self.at + bytes);
        }
        Some(self.at..self.word_end)
    }

    /// Each byte of a query is asked once what starts there, and what is asked reads on only through bytes that no
    /// other question from the same kind of start reads again: hence the linear time.
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

    /// Where the longest key starts that this word ends with: what must follow a key is in no word.
    fn key_in(&self, word: &Range<usize>) -> Option<usize> {
        let next = *self.text.get(word.end)?;
        if !is(next, SPACE) && !b"=%\"".contains(&next) {
            return None;
        }
        let start = |parts: &&[&[&str]]| {
            parts.iter().rev().try_fold(word.end, |end, part| {
                let before = &self.text[word.start..end];
                part.iter()
                    .find(|text| ends_with(before, text))
                    .map(|text| end - text.len())
            })
        };
        KEYS.iter().filter_map(start).min()
    }

    /// A quote that opens the key belongs to the secret.
    fn quote_before(&self, at: usize) -> usize {
        let before = &self.text[self.from..at];
        let quote = ["\"", "%22"]
            .into_iter()
            .find(|quote| ends_with(before, quote));
        at - quote.map_or(0, str::len)
    }

    /// The end of the value of a key that ends here: `=` and anything up to `&`, or a text in JSON.
    fn value(&self, at: usize) -> Option<usize> {
        let after_spaces = self.many(at, 0, &SPACES)?;
        let Some(value) = self.either(after_spaces, &["=", "%3d"]) else {
            return self.json_text(at);
        };
        let rest = &self.text[value..];
        let bytes = rest
            .iter()
            .position(|byte| *byte == b'&')
            .unwrap_or(rest.len());
        (bytes > 0).then_some(value + bytes)
    }

    /// The end of `":"text"`. Where no quote ends the text, none has gone unseen that a later key could open one
    /// with: a key's own last letter stands before that.
    fn json_text(&self, at: usize) -> Option<usize> {
        let at = self.either(at, &["\"", "%22"])?;
        let at = self.many(at, 0, &SPACES)?;
        let at = self.either(at, &[":", "%3a"])?;
        let at = self.many(at, 0, &SPACES)?;
        let text = self.either(at, &["\"", "%22"])?;
        let mut end = text;
        loop {
            // An escape other than that of a quote is read whole, even one that is none.
            match (
                self.text.get(end)?,
                self.text.get(end + 1),
                self.text.get(end + 2),
            ) {
                (b'"', ..) => break,
                (b'%', Some(b'2'), next) => match next? {
                    b'2' => break,
                    _ => end += 3,
                },
                (b'%', next, _) => {
                    next?;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        self.either(end, &["\"", "%22"]).filter(|_| end > text)
    }

    /// The end of a secret that starts here and needs no key.
    fn secret_at(&mut self, at: usize) -> Option<usize> {
        match self.text[at] {
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
        let at = self.word(at, "bearer")?;
        let at = self.many(at, 1, &SPACES)?;
        self.many(at, 1, &NAMES)
    }

    /// `token:` and 13 letters and digits.
    fn short_token(&self, at: usize) -> Option<usize> {
        let at = self.word(at, "token")?;
        let at = self.either(at, &[":", "%3a"])?;
        self.exactly(at, 13)
    }

    /// `ghp_` and 36 letters and digits.
    fn github_token(&self, at: usize) -> Option<usize> {
        let at = self.either(at, &["gho_", "ghp_", "ghs_", "ghu_"])?;
        self.exactly(at, 36)
    }

    /// A JSON Web Token: two or three parts with dots between, the first two being JSON objects in base64.
    fn jwt(&mut self, at: usize) -> Option<usize> {
        if at < self.no_jwt_before {
            return None;
        }
        let first = self.jwt_start(at)?;
        let first_end = self.many(first, 0, &JWT_PARTS)?;
        let second = self.word(first_end, ".").and_then(|at| self.jwt_start(at));
        let end = second
            .and_then(|at| self.many(at, 1, &JWT_PARTS))
            .filter(|_| first_end > first);
        let Some(end) = end else {
            self.no_jwt_before = first_end;
            return None;
        };
        let signature = self
            .word(end, ".")
            .and_then(|at| self.many(at, 1, &JWT_SIGNATURES));
        signature.or(Some(end))
    }

    /// `{"` and most first bytes of a key, in base64.
    fn jwt_start(&self, at: usize) -> Option<usize> {
        self.either(at, &["eyi", "eyj", "eyk", "eyl"])
    }

    /// A private key in PEM.
    fn private_key(&self, at: usize) -> Option<usize> {
        let at = self.word(at, "-----begin")?;
        let at = self.private_key_label(at)?;
        let at = self.word(at, "-----")?;
        let bytes = self.text[at..].iter().position(|byte| *byte == b'-')?;
        let at = self.word(at + bytes, "-----end").filter(|_| bytes > 0)?;
        let at = self.private_key_label(at)?;
        let at = self.word(at, "-----").unwrap_or(at);
        Some(self.either(at, &["\n", "%0a"]).unwrap_or(at))
    }

    /// The end of the last `PRIVATE KEY` in a run of words, when something is before it.
    fn private_key_label(&self, at: usize) -> Option<usize> {
        let run_end = self.many(at, 1, &LABELS)?;
        (at + 1..run_end).rev().find_map(|start| {
            let at = self.word(start, "private")?;
            let is_space = self.text.get(at).is_some_and(|byte| is(*byte, SPACE));
            let at = if is_space {
                at + 1
            } else {
                self.word(at, "%20")?
            };
            self.word(at, "key")
        })
    }

    /// A public key as OpenSSH writes it, with its comment.
    fn ssh_key(&self, at: usize) -> Option<usize> {
        let at = self
            .either(at, &["ssh-rsa", "ssh-dss"])
            .or_else(|| self.ecdsa(at))?;
        let at = self.many(at, 1, &GAPS)?;
        let at = self.many(at, 100, &SSH_BODIES)?;
        let at = self.many(at, 0, &PADDINGS)?;
        let comment = self
            .many(at, 1, &GAPS)
            .and_then(|at| self.many(at, 1, &NAMES));
        comment.or(Some(at))
    }

    fn ecdsa(&self, at: usize) -> Option<usize> {
        let at = self.word(at, "ecdsa-")?;
        let at = self.many(at, 1, &ALPHANUMERICS)?;
        let at = self.word(at, "-")?;
        self.many(at, 1, &ALPHANUMERICS)
    }

    /// The end of this text, in any case, if it stands here. It is given in lower case.
    fn word(&self, at: usize, text: &str) -> Option<usize> {
        let end = at + text.len();
        let here = self.text.get(at..end)?;
        here.eq_ignore_ascii_case(text.as_bytes()).then_some(end)
    }

    fn either(&self, at: usize, texts: &[&str]) -> Option<usize> {
        texts.iter().find_map(|text| self.word(at, text))
    }

    fn exactly(&self, at: usize, letters_and_digits: usize) -> Option<usize> {
        let end = at + letters_and_digits;
        let here = self.text.get(at..end)?;
        here.iter()
            .all(|byte| is(*byte, ALPHANUMERIC))
            .then_some(end)
    }

    /// The end of all units that follow one another from here, if they are no fewer than `min`.
    fn many(&self, mut at: usize, min: usize, units: &Units) -> Option<usize> {
        let mut count = 0;
        while let Some(byte) = self.text.get(at) {
            if is(*byte, units.class) {
                at += 1;
            } else if let Some(end) = self.either(at, units.escapes) {
                at = end;
            } else {
                break;
            }
            count += 1;
        }
        (count >= min).then_some(at)
    }
}

fn ends_with(text: &[u8], end: &str) -> bool {
    let at = text.len().checked_sub(end.len());
    at.is_some_and(|at| text[at..].eq_ignore_ascii_case(end.as_bytes()))
}

/// Bytes that may repeat, and escapes that stand for one more.
struct Units {
    class: u8,
    escapes: &'static [&'static str],
}

const SPACES: Units = Units {
    class: SPACE,
    escapes: &["%20"],
};
const GAPS: Units = Units {
    class: SPACE,
    escapes: &["%20", "%09"],
};
const LABELS: Units = Units {
    class: LABEL,
    escapes: &["%20"],
};
const NAMES: Units = Units {
    class: NAME,
    escapes: &[],
};
const ALPHANUMERICS: Units = Units {
    class: ALPHANUMERIC,
    escapes: &[],
};
const JWT_PARTS: Units = Units {
    class: JWT_PART,
    escapes: &["%3d"],
};
const JWT_SIGNATURES: Units = Units {
    class: JWT_SIGNATURE,
    escapes: &["%3d", "%2f", "%2b"],
};
const SSH_BODIES: Units = Units {
    class: SSH_BODY,
    escapes: &["%2f", "%5c", "%2b"],
};
const PADDINGS: Units = Units {
    class: 0,
    escapes: &["=", "%3d"],
};

/// Of a word that a secret can start in: `[a-z0-9_-]`.
const WORD: u8 = 1;
const SPACE: u8 = 1 << 1;
/// Of the label of a key in PEM: letters and spaces.
const LABEL: u8 = 1 << 2;
/// Of a name or a token: `[a-z0-9._-]`.
const NAME: u8 = 1 << 3;
const ALPHANUMERIC: u8 = 1 << 4;
/// `[a-z0-9_=-]`.
const JWT_PART: u8 = 1 << 5;
/// `[a-z0-9_.+/=-]`.
const JWT_SIGNATURE: u8 = 1 << 6;
/// `[a-z0-9/.+]`.
const SSH_BODY: u8 = 1 << 7;

static CLASSES: [u8; 256] = classes();

fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

const fn classes() -> [u8; 256] {
    const DIGIT: u8 = WORD | NAME | ALPHANUMERIC | JWT_PART | JWT_SIGNATURE | SSH_BODY;
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => DIGIT | LABEL,
            b'0'..=b'9' => DIGIT,
            b'_' | b'-' => WORD | NAME | JWT_PART | JWT_SIGNATURE,
            b'.' => NAME | JWT_SIGNATURE | SSH_BODY,
            b'/' | b'+' => JWT_SIGNATURE | SSH_BODY,
            b'=' => JWT_PART | JWT_SIGNATURE,
            b' ' | b'\t'..=b'\r' => SPACE | LABEL,
            _ => 0,
        };
        byte += 1;
    }
    classes
}
