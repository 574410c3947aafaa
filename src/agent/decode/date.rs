//! RFC 3339 text to microseconds since 1970.

/// `2026-11-22T10:48:22.616+00:00`, `...Z`, `2026-11-22 10:48:22,616`: a zone that is absent is UTC.
pub(super) fn unix_us(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if bytes.len() < 19 || !text.is_ascii() || separators.iter().any(|(at, c)| bytes[*at] != *c) {
        return None;
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let [year, month, day] = [
        digits(&text[..4])?,
        digits(&text[5..7])?,
        digits(&text[8..10])?,
    ];
    let [hour, minute, second] = [
        digits(&text[11..13])?,
        digits(&text[14..16])?,
        digits(&text[17..19])?,
    ];
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (micros, zone) = fraction(&text[19..]);
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = seconds - offset_seconds(zone)?;
    u64::try_from(seconds.checked_mul(1_000_000)? + micros).ok()
}

fn digits(text: &str) -> Option<i64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn fraction(rest: &str) -> (i64, &str) {
    let Some(after) = rest.strip_prefix(['.', ',']) else {
        return (0, rest);
    };
    let end = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    let (digits, zone) = after.split_at(end);
    let micros = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    (
        micros.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')),
        zone,
    )
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first() {
        None => return Some(0),
        Some(b'Z' | b'z') => return (zone.len() == 1).then_some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let (hours, minutes) = match zone.len() {
        6 if zone.as_bytes()[3] == b':' => (&zone[1..3], &zone[4..6]),
        5 => (&zone[1..3], &zone[3..5]),
        _ => return None,
    };
    Some(sign * (digits(hours)? * 3_600 + digits(minutes)? * 60))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar: years counted from March, so that
/// the leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, text: &str, expected: Option<u64>) {
        assert_eq!(unix_us(text), expected, "{rule}");
    }

    #[test]
    fn dates_are_read() {
        check("the beginning", "1970-01-01T00:00:00Z", Some(0));
        check(
            "a leap day",
            "2024-02-29T23:59:59.999Z",
            Some(1_709_251_199_999_000),
        );
        check(
            "with a zone",
            "2026-11-22T10:48:22.616+00:00",
            Some(1_795_344_502_616_000),
        );
        check(
            "east of it",
            "2026-11-22T12:48:22.616+02:00",
            Some(1_795_344_502_616_000),
        );
        check(
            "west, no colon",
            "2026-11-22T08:18:22.616-0230",
            Some(1_795_344_502_616_000),
        );
        check(
            "comma and space, no zone",
            "2026-11-22 10:48:22,616",
            Some(1_795_344_502_616_000),
        );
        check(
            "nanoseconds are cut",
            "1970-01-01T00:00:00.123456789Z",
            Some(123_456),
        );
        check("before 1970", "1969-12-31T23:59:59Z", None);
        check("month 13", "2024-13-01T00:00:00Z", None);
        check("a word", "yesterday at the same time", None);
        check("empty", "", None);
        check("cut off", "2024-02-29T23:59", None);
        check("unicode", "2024-02-29T23:59:5\u{e9}", None);
        check("a wrong zone", "2024-02-29T23:59:59+2", None);
    }
}
