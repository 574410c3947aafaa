//! What a profile counts: CPU time, bytes, or things, each in its unit; shares and changes of them.

use super::figure::{Figure, grouped, number};

/// A value of a sample type: 1.20 s, 4.50 MiB, 1,204.
pub(super) fn amount(value: i64, unit: &str) -> Figure {
    let size = value.unsigned_abs();
    let mut figure = match unit {
        "nanoseconds" => seconds(size as f64 / 1e9),
        "microseconds" => seconds(size as f64 / 1e6),
        "milliseconds" => seconds(size as f64 / 1e3),
        "seconds" => seconds(size as f64),
        "bytes" => binary(size),
        _ => Figure {
            digits: grouped(size),
            unit: "",
        },
    };
    if value < 0 {
        figure.digits.insert(0, '−');
    }
    figure
}

/// [`amount`] as text, within a sentence.
pub(super) fn worded(value: i64, unit: &str) -> String {
    let Figure { digits, unit } = amount(value, unit);
    match unit {
        "" => digits,
        _ => format!("{digits} {unit}"),
    }
}

fn seconds(size: f64) -> Figure {
    let (size, unit) = match size {
        ..0.9995 => (size * 1e3, "ms"),
        _ => (size, "s"),
    };
    Figure {
        digits: number(size),
        unit,
    }
}

/// 904 B, 1.20 KiB, 31.1 MiB; a KiB is 1,024 B.
pub(super) fn binary(bytes: u64) -> Figure {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return Figure {
            digits: grouped(bytes),
            unit: "B",
        };
    }
    let (mut size, mut at) = (bytes as f64 / 1_024.0, 0);
    while size >= 999.5 && at + 1 < UNITS.len() {
        (size, at) = (size / 1_024.0, at + 1);
    }
    Figure {
        digits: number(size),
        unit: UNITS[at],
    }
}

/// A part of a whole, from 0 to 1; none of nothing is 0.
pub(super) fn share(part: i64, whole: i64) -> f64 {
    if whole <= 0 {
        return 0.0;
    }
    (part as f64 / whole as f64).clamp(0.0, 1.0)
}

/// A share in percent, with one decimal.
pub(super) fn percent(part: i64, whole: i64) -> Figure {
    let digits = match share(part, whole) * 100.0 {
        0.0 => "0".to_string(),
        ..0.05 => "<0.1".to_string(),
        percent => format!("{percent:.1}"),
    };
    Figure { digits, unit: "%" }
}

/// How much of a CPU was taken: `0.83`.
pub(super) fn cores(cpu_ns: i64, period_us: u64) -> Option<String> {
    if period_us == 0 {
        return None;
    }
    Some(format!("{:.2}", cpu_ns as f64 / 1e3 / period_us as f64))
}

/// What became of a value: its words, and the class of its colour.
pub(super) fn change(now: i64, base: i64) -> (String, &'static str) {
    let (now, base) = (now.max(0), base.max(0));
    let class = match relative(now, base) {
        0.5.. => "grew2",
        0.05.. => "grew1",
        ..=-0.5 => "shrank2",
        ..=-0.05 => "shrank1",
        _ => "same",
    };
    let words = match (now, base) {
        (0, 0) => "none".to_string(),
        (_, 0) => "new".to_string(),
        (0, _) => "gone".to_string(),
        _ => signed_percent((now as f64 - base as f64) * 100.0 / base as f64),
    };
    (words, class)
}

/// The difference as a part of the larger one, from -1 to 1.
fn relative(now: i64, base: i64) -> f64 {
    (now as f64 - base as f64) / now.max(base).max(1) as f64
}

fn signed_percent(percent: f64) -> String {
    match percent {
        -0.05..0.05 => "0.0 %".to_string(),
        1_000.0.. => format!("+{} %", grouped(percent as u64)),
        0.0.. => format!("+{percent:.1} %"),
        _ => format!("−{:.1} %", -percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, value: i64, unit: &str, text: &str) {
        assert_eq!(worded(value, unit), text, "{rule}");
    }

    #[track_caller]
    fn check_change(rule: &str, now: i64, base: i64, expected: (&str, &str)) {
        let (words, class) = change(now, base);
        assert_eq!((&*words, class), expected, "{rule}");
    }

    #[track_caller]
    fn check_percent(rule: &str, part: i64, whole: i64, digits: &str) {
        assert_eq!(percent(part, whole).digits, digits, "{rule}");
    }

    #[test]
    fn a_value_has_the_unit_of_its_type() {
        check("no time", 0, "nanoseconds", "0 ms");
        check("a sample", 10_000_000, "nanoseconds", "10 ms");
        check("far below", 61_400, "nanoseconds", "0.061 ms");
        check("no 1,000 ms", 999_500_000, "nanoseconds", "1.00 s");
        check("many", 49_812_000_000, "nanoseconds", "49.8 s");
        check("others write other units", 1_500, "milliseconds", "1.50 s");
        check("bytes", 1_023, "bytes", "1,023 B");
        check("limit + 1", 1_024, "bytes", "1 KiB");
        check("no 1,000 KiB", 1_023_500, "bytes", "0.98 MiB");
        check("mebibytes", 4_718_592, "bytes", "4.50 MiB");
        check("things", 1_204, "count", "1,204");
        check("a unit that is not known", 7, "<b>", "7");
        check("hostile", i64::MIN, "bytes", "−8,388,608 TiB");
    }

    #[test]
    fn a_share_has_one_decimal() {
        check_percent("none", 0, 7, "0");
        check_percent("none of nothing", 0, 0, "0");
        check_percent("some of nothing", 3, 0, "0");
        check_percent("hardly any", 1, 100_000, "<0.1");
        check_percent("some", 123, 1_000, "12.3");
        check_percent("all", 7, 7, "100.0");
        check_percent("more than all", 9, 7, "100.0");
        check_percent("less than none", -9, 7, "0");
    }

    #[test]
    fn a_change_has_its_words() {
        check_change("as before", 7, 7, ("0.0 %", "same"));
        check_change("none in either", 0, 0, ("none", "same"));
        check_change("hardly", 1_010, 1_000, ("+1.0 %", "same"));
        check_change("more", 1_123, 1_000, ("+12.3 %", "grew1"));
        check_change("much more", 2_000, 1_000, ("+100.0 %", "grew2"));
        check_change("many times more", 99_000, 1, ("+9,899,900 %", "grew2"));
        check_change("less", 877, 1_000, ("−12.3 %", "shrank1"));
        check_change("new", 5, 0, ("new", "grew2"));
        check_change("gone", 0, 5, ("gone", "shrank2"));
        check_change("hostile", i64::MAX, i64::MIN, ("new", "grew2"));
    }

    #[test]
    fn cores_are_time_over_time() {
        assert_eq!(cores(49_812_000_000, 60_000_000), Some("0.83".to_string()));
        assert_eq!(cores(0, 60_000_000), Some("0.00".to_string()));
        assert_eq!(cores(7, 0), None);
    }
}
