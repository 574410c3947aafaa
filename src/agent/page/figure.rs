//! Figures as people read them: grouped, short, with their unit.

/// A figure and its unit, shown apart so that the unit can be muted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    /// The digits.
    pub(super) digits: String,
    /// `µs`, `kB`, `/s`, `%` or empty.
    pub(super) unit: &'static str,
}

/// Thousands grouped by comma.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `+1,204`, `−12` or `0`.
pub(super) fn signed(value: i64) -> String {
    let sign = match value {
        0 => "",
        1.. => "+",
        _ => "−",
    };
    format!("{sign}{}", grouped(value.unsigned_abs()))
}

/// 640 ns, 61 µs, 4.81 ms, 1.20 s, 3.4 min.
pub(super) fn duration(ns: u64) -> Figure {
    let scaled = |by: f64| ns as f64 / by;
    let (digits, unit) = match ns {
        0 => ("0".to_string(), "ns"),
        1..1_000 => (ns.to_string(), "ns"),
        1_000..9_950 => (format!("{:.1}", scaled(1e3)), "µs"),
        9_950..999_500 => (format!("{:.0}", scaled(1e3)), "µs"),
        999_500..999_500_000 => (three_digits(scaled(1e6)), "ms"),
        999_500_000..119_500_000_000 => (three_digits(scaled(1e9)), "s"),
        _ => (number(scaled(6e10)), "min"),
    };
    Figure { digits, unit }
}

/// 904 B, 1.20 kB, 31.1 MB; a kB is 1,000 B.
pub(super) fn bytes(value: u64) -> Figure {
    let scaled = |by: f64| three_digits(value as f64 / by);
    let (digits, unit) = match value {
        0..1_000 => (value.to_string(), "B"),
        1_000..999_500 => (scaled(1e3), "kB"),
        999_500..999_500_000 => (scaled(1e6), "MB"),
        _ => (scaled(1e9), "GB"),
    };
    Figure { digits, unit }
}

/// 1,337 /s, 12.4 /s, 0.25 /s.
pub(super) fn rate(per_second: f64) -> Figure {
    Figure {
        digits: number(per_second),
        unit: "/s",
    }
}

/// A part of a whole in percent; none of nothing is 0.
pub(super) fn percent(part: u64, whole: u64) -> Figure {
    let digits = match (part, whole) {
        (0, _) | (_, 0) => "0".to_string(),
        _ => number(part as f64 * 100.0 / whole as f64),
    };
    Figure { digits, unit: "%" }
}

/// Any value in about three digits; whole numbers stay whole up to 15 digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "−" } else { "" };
    let digits = match size {
        _ if value.is_nan() => return "NaN".to_string(),
        _ if value.is_infinite() => "∞".to_string(),
        0.0 => return "0".to_string(),
        1e15.. => format!("{size:.2e}"),
        _ if size.fract() == 0.0 => grouped(size as u64),
        100.0.. => grouped(size.round() as u64),
        0.1.. => three_digits(size),
        0.01.. => format!("{size:.3}"),
        0.0001.. => format!("{size:.5}"),
        _ => format!("{size:.1e}"),
    };
    format!("{sign}{digits}")
}

/// Up to three digits: 4.81, 48.1, 481.
fn three_digits(size: f64) -> String {
    match size {
        ..9.995 => format!("{size:.2}"),
        ..99.95 => format!("{size:.1}"),
        _ => grouped(size.round() as u64),
    }
}

/// `now`, `2 s ago`, `3 m ago`, `5 h ago`, `4 d ago`; `never` for 0.
pub(super) fn ago(now_unix_us: u64, then_unix_us: u64) -> String {
    let seconds = now_unix_us.saturating_sub(then_unix_us) / 1_000_000;
    match seconds {
        _ if then_unix_us == 0 => "never".to_string(),
        0 => "now".to_string(),
        1..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} m ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", grouped(seconds / 86_400)),
    }
}

/// `2026-11-22 17:45:44.123 UTC`.
pub(super) fn date_time(unix_us: u64) -> String {
    let (year, month, day) = civil(unix_us / 86_400_000_000);
    format!("{year:04}-{month:02}-{day:02} {} UTC", day_time(unix_us))
}

/// `17:45:44.123`, of UTC.
pub(super) fn day_time(unix_us: u64) -> String {
    let ms = unix_us / 1_000;
    let (h, m) = (ms / 3_600_000 % 24, ms / 60_000 % 60);
    format!("{h:02}:{m:02}:{:02}.{:03}", ms / 1_000 % 60, ms % 1_000)
}

/// Days since 1970-01-01 to year, month, day of the proleptic Gregorian calendar: whole eras of 400
/// years, years that start in March, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let from_year_0 = days + 719_468;
    let (era, day_of_era) = (from_year_0 / 146_097, from_year_0 % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, value: Figure, text: &str) {
        assert_eq!(format!("{} {}", value.digits, value.unit), text, "{rule}");
    }

    #[track_caller]
    fn check_number(rule: &str, value: f64, text: &str) {
        assert_eq!(number(value), text, "{rule}");
    }

    #[test]
    fn a_duration_takes_the_unit_that_fits() {
        check("nothing", duration(0), "0 ns");
        check("below a microsecond", duration(999), "999 ns");
        check("few microseconds", duration(1_000), "1.0 µs");
        check("microseconds are whole", duration(61_400), "61 µs");
        check("no 1,000 µs", duration(999_500), "1.00 ms");
        check("three digits", duration(4_812_000), "4.81 ms");
        check("no 1,000 ms", duration(999_999_999), "1.00 s");
        check(
            "a minute is still seconds",
            duration(61_000_000_000),
            "61.0 s",
        );
        check("then minutes", duration(204_000_000_000), "3.40 min");
        check("the limit", duration(u64::MAX), "307,445,735 min");
    }

    #[test]
    fn bytes_and_shares() {
        check("nothing", bytes(0), "0 B");
        check("limit of B", bytes(999), "999 B");
        check("limit + 1", bytes(1_000), "1.00 kB");
        check("megabytes", bytes(31_140_000), "31.1 MB");
        check("gigabytes", bytes(31_140_000_000), "31.1 GB");
        check("none of nothing", percent(0, 0), "0 %");
        check("some of nothing", percent(3, 0), "0 %");
        check("a small share", percent(15, 10_000), "0.15 %");
        check("all", percent(7, 7), "100 %");
        check("a rate", rate(1_337.4), "1,337 /s");
    }

    #[test]
    fn a_number_is_short_and_true() {
        check_number("zero", 0.0, "0");
        check_number("minus zero", -0.0, "0");
        check_number("whole", 1_204_118.0, "1,204,118");
        check_number("negative", -12.5, "−12.5");
        check_number("rounds up a digit", 9.999, "10.0");
        check_number("small", 0.0123, "0.012");
        check_number("smaller", 0.00123, "0.00123");
        check_number("tiny", 0.000_000_12, "1.2e-7");
        check_number("huge", 1.5e300, "1.50e300");
        check_number("NaN", f64::NAN, "NaN");
        check_number("infinity", f64::NEG_INFINITY, "−∞");
        assert_eq!(
            (signed(-1_204), signed(5), signed(0)),
            ("−1,204".into(), "+5".into(), "0".into())
        );
        assert_eq!(signed(i64::MIN), "−9,223,372,036,854,775,808");
    }

    #[test]
    fn times_are_relative_and_absolute() {
        let day = 86_400_000_000;
        assert_eq!(ago(day, 0), "never");
        assert_eq!(ago(5, day), "now");
        assert_eq!(ago(day, day - 59_999_999), "59 s ago");
        assert_eq!(ago(day, day - 60_000_000), "1 m ago");
        assert_eq!(ago(2 * day, day - 1), "1 d ago");
        assert_eq!(date_time(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(
            date_time(951_782_400_000_000),
            "2000-02-29 00:00:00.000 UTC"
        );
        assert_eq!(
            date_time(1_795_369_544_123_999),
            "2026-11-22 17:45:44.123 UTC"
        );
        assert!(date_time(u64::MAX).ends_with(" UTC"));
    }
}
