//! Which HTTP statuses are errors.

use std::fmt;
use std::str::FromStr;

const FIRST: u16 = 100;
const LAST: u16 = 999;
const WORDS: usize = LAST as usize / 64 + 1;

/// HTTP statuses, read from and printed as `500-599,404,418`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// A bit for each status.
    bits: [u64; WORDS],
    /// As they were named.
    ranges: Vec<(u16, u16)>,
}

/// A text that does not name statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseStatusesError {
    item: String,
}

impl Statuses {
    /// Whether this status is one of them.
    pub fn contains(&self, status: u16) -> bool {
        let word = self.bits.get(usize::from(status / 64));
        word.is_some_and(|word| word >> (status % 64) & 1 == 1)
    }

    /// All from `first` to `last`, both within what a status can be.
    pub(super) fn range(first: u16, last: u16) -> Statuses {
        Statuses::of(vec![(first, last)])
    }

    fn of(ranges: Vec<(u16, u16)>) -> Statuses {
        let mut bits = [0; WORDS];
        for status in ranges.iter().flat_map(|(first, last)| *first..=*last) {
            bits[usize::from(status / 64)] |= 1 << (status % 64);
        }
        Statuses { bits, ranges }
    }
}

impl FromStr for Statuses {
    type Err = ParseStatusesError;

    /// One item that cannot be read refuses the whole, as in dd-trace-go
    /// (`instrumentation/httptrace/config.go`): half a list would hide errors.
    fn from_str(text: &str) -> Result<Statuses, ParseStatusesError> {
        let ranges = text.split(',').map(|item| {
            range(item).ok_or_else(|| ParseStatusesError {
                item: item.trim().to_string(),
            })
        });
        ranges.collect::<Result<_, _>>().map(Statuses::of)
    }
}

fn range(item: &str) -> Option<(u16, u16)> {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}

fn status(text: &str) -> Option<u16> {
    let text = text.trim();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let status = text.parse().ok().filter(|_| is_number)?;
    (FIRST..=LAST).contains(&status).then_some(status)
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for ParseStatusesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = &self.item;
        write!(
            f,
            "{item:?}: takes statuses from {FIRST} to {LAST} and ranges, like 500-599,404"
        )
    }
}

impl std::error::Error for ParseStatusesError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is the text again and how many statuses it names, or the item that is wrong.
    #[track_caller]
    fn check(rule: &str, text: &str, expected: Result<(&str, usize), &str>) {
        let read = text.parse::<Statuses>();
        match (&read, expected) {
            (Ok(statuses), Ok((shown, count))) => {
                assert_eq!(statuses.to_string(), shown, "{rule}");
                assert_eq!(shown.parse().as_ref(), Ok(statuses), "{rule}: read back");
                let found = (0..=u16::MAX).filter(|status| statuses.contains(*status));
                assert_eq!(found.count(), count, "{rule}");
            }
            (Err(error), Err(item)) => assert_eq!(
                error.to_string(),
                format!("{item:?}: takes statuses from 100 to 999 and ranges, like 500-599,404"),
                "{rule}"
            ),
            _ => panic!("{rule}: {read:?} but expected {expected:?}"),
        }
    }

    #[test]
    fn every_rule_of_the_list() {
        check("one", "404", Ok(("404", 1)));
        check("a range", "500-599", Ok(("500-599", 100)));
        check(
            "many, in their order",
            "500-599,404,418",
            Ok(("500-599,404,418", 102)),
        );
        check("blanks", " 500 - 599 , 404\t", Ok(("500-599,404", 101)));
        check("one twice", "404,404,400-410", Ok(("404,404,400-410", 11)));
        check("a range of one", "404-404", Ok(("404", 1)));
        check("the first and the last", "100,999", Ok(("100,999", 2)));
        check("all", "100-999", Ok(("100-999", 900)));
        check("nothing", "", Err(""));
        check("a blank", " ", Err(""));
        check("a comma at the end", "404,", Err(""));
        check("two commas", "404,,500", Err(""));
        check("a word", "500-599,teapot,404", Err("teapot"));
        check("too small", "99", Err("99"));
        check("too large", "1000", Err("1000"));
        check("over 16 bits", "500-65537", Err("500-65537"));
        check("a sign", "+404", Err("+404"));
        check("a fraction", "404.0", Err("404.0"));
        check("the wrong way round", "599-500", Err("599-500"));
        check("three ends", "400-450-499", Err("400-450-499"));
        check("no end", "500-", Err("500-"));
        check("no start", "-599", Err("-599"));
        check("a class", "5xx", Err("5xx"));
        check("other digits", "\u{664}04", Err("\u{664}04"));
        check("another separator", "404;405", Err("404;405"));
    }

    #[test]
    fn both_ends_of_a_range_belong_to_it() {
        let statuses: Statuses = "500-599,404".parse().unwrap();
        for (status, expected) in [
            (0, false),
            (403, false),
            (404, true),
            (405, false),
            (499, false),
            (500, true),
            (599, true),
            (600, false),
            (u16::MAX, false),
        ] {
            assert_eq!(statuses.contains(status), expected, "{status}");
        }
    }
}
