//! The last page of each scraped address, as it came.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::decode::Format;
use crate::agent::view::FailingScrape;

/// Of one page; the rest is not kept.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Of the `Content-Type`, and of a reason.
const WORDS_BYTES_MAX: usize = 300;

/// What a scrape answered.
#[derive(Debug)]
pub(crate) struct Scraped {
    pub(crate) bytes: Vec<u8>,
    /// Empty where the answer had none.
    pub(crate) content_type: String,
    /// From the request to the last byte.
    pub(crate) duration_ns: u64,
}

/// What was made of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) time_unix_us: u64,
    pub(crate) format: Format,
    pub(crate) samples: u64,
    /// Samples over the decoder's bound.
    pub(crate) over: u64,
    /// Why it could not be read, or empty.
    pub(crate) error: String,
}

impl Told {
    /// What the list of payloads says of it, or nothing.
    pub(crate) fn finding(&self) -> String {
        match self.over {
            0 => self.error.clone(),
            over => format!("{over} samples over the bound of 100,000 were not kept"),
        }
    }
}

/// A page that is held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// Whole lines, at most 1 MiB of them.
    pub(crate) text: Arc<str>,
    pub(crate) bytes: u64,
    pub(crate) cut: bool,
    pub(crate) content_type: String,
    pub(crate) duration_ns: u64,
    pub(crate) told: Told,
    /// When the newest scrape brought no page, and why.
    pub(crate) failed: Option<(u64, String)>,
}

/// By address; there are as many as the agent was told to scrape.
#[derive(Debug, Default)]
pub(crate) struct Pages(BTreeMap<Arc<str>, Held>);

impl Pages {
    /// A page that came; `text` is what its bytes say.
    pub(crate) fn take(&mut self, url: &Arc<str>, page: &Scraped, (text, told): (&str, Told)) {
        let kept = whole_lines(text);
        let held = Held {
            text: kept.into(),
            bytes: page.bytes.len() as u64,
            cut: kept.len() < text.len(),
            content_type: short(&page.content_type),
            duration_ns: page.duration_ns,
            told,
            failed: None,
        };
        self.0.insert(url.clone(), held);
    }

    /// A scrape without a page; the one before stays.
    pub(crate) fn failed(&mut self, url: &Arc<str>, time_unix_us: u64, why: &str) {
        let held = self.0.entry(url.clone()).or_default();
        held.failed = Some((time_unix_us, short(why)));
    }

    /// Addresses whose last scrape brought no page, or one that could not be read.
    pub(crate) fn failing(&self) -> Vec<FailingScrape> {
        let failing = self.0.iter().filter_map(|(url, held)| {
            let told = &held.told;
            let (time_unix_us, why) = match &held.failed {
                Some((time_unix_us, why)) => (*time_unix_us, why.clone()),
                None if told.error.is_empty() => return None,
                None => (
                    told.time_unix_us,
                    short(&format!("the page was not read: {}", told.error)),
                ),
            };
            Some(FailingScrape {
                url: url.to_string(),
                time_unix_us,
                why,
            })
        });
        failing.collect()
    }

    /// One address, or the first where none is named.
    pub(crate) fn get(&self, url: &str) -> Option<(Arc<str>, Held)> {
        let found = match url {
            "" => self.0.first_key_value(),
            url => self.0.get_key_value(url),
        };
        found.map(|(url, held)| (url.clone(), held.clone()))
    }
}

fn whole_lines(text: &str) -> &str {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let kept = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    match kept.rfind('\n') {
        Some(at) => &kept[..=at],
        None => kept,
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(WORDS_BYTES_MAX)].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str) -> Held {
        let mut pages = Pages::default();
        let page = Scraped {
            bytes: text.as_bytes().to_vec(),
            content_type: "t".repeat(1_000),
            duration_ns: 7,
        };
        pages.take(&"u".into(), &page, (text, Told::default()));
        pages.failed(&"v".into(), 9, "refused");
        assert_eq!(
            pages.get("v").unwrap().1.failed,
            Some((9, "refused".into()))
        );
        assert!(pages.get("w").is_none());
        let (url, held) = pages.get("").unwrap();
        assert_eq!((&*url, held.content_type.len()), ("u", WORDS_BYTES_MAX));
        held
    }

    #[track_caller]
    fn check(rule: &str, text: &str, kept_bytes: usize, cut: bool) {
        let held = held(text);
        assert_eq!((held.text.len(), held.cut), (kept_bytes, cut), "{rule}");
        assert_eq!(held.bytes, text.len() as u64, "{rule}");
        assert!(text.starts_with(&*held.text), "{rule}");
    }

    #[test]
    fn a_page_is_kept_up_to_its_last_whole_line() {
        check("nothing", "", 0, false);
        check("at the limit", &"a 1\n".repeat(1 << 18), 1 << 20, false);
        let over = format!("{}\u{e9}\n", "a 12\n".repeat(209_715));
        check("one over", &over, 209_715 * 5, true);
        let no_line = "\u{e9}".repeat(1 << 20);
        check("no line at all", &no_line, 1 << 20, true);
    }

    #[test]
    fn a_scrape_that_fails_leaves_the_page_before() {
        let mut pages = Pages::default();
        let page = Scraped {
            bytes: b"a 1\n".to_vec(),
            content_type: String::new(),
            duration_ns: 0,
        };
        let url: Arc<str> = "u".into();
        pages.take(&url, &page, ("a 1\n", Told::default()));
        pages.failed(&url, 5, "refused");
        let (_, held) = pages.get("u").unwrap();
        assert_eq!(
            (&*held.text, held.failed),
            ("a 1\n", Some((5, "refused".into())))
        );
        let failing = |pages: &Pages| {
            let failing = pages.failing().into_iter();
            failing.map(|f| (f.time_unix_us, f.why)).collect::<Vec<_>>()
        };
        assert_eq!(failing(&pages), [(5, "refused".into())]);
        pages.take(&url, &page, ("a 1\n", Told::default()));
        assert_eq!(pages.get("u").unwrap().1.failed, None);
        assert_eq!(failing(&pages), []);
        let unread = Told {
            time_unix_us: 6,
            error: "bad".to_string(),
            ..Told::default()
        };
        pages.take(&url, &page, ("a 1\n", unread));
        assert_eq!(failing(&pages), [(6, "the page was not read: bad".into())]);
    }
}
