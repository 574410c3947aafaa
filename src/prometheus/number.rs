//! Numbers as both formats write them.
//!
//! Source: OpenMetrics 1.0, "Numbers" and "Considerations: Canonical Numbers"; Prometheus docs,
//! "Exposition formats", whose numbers are those of Go's `ParseFloat`.

/// Decimal digits.
pub(super) fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The fewest digits that read back as the same float; an exponent where plain digits are long.
pub(super) fn push_f64(out: &mut Vec<u8>, value: f64) {
    const EXACT_BELOW: f64 = (1_u64 << 53) as f64;
    let whole = value as i64;
    if value.abs() < EXACT_BELOW
        && whole as f64 == value
        && (whole != 0 || value.is_sign_positive())
    {
        return out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    }
    if !push_special(out, value) {
        let mut buffer = zmij::Buffer::new();
        let digits = buffer.format_finite(value);
        out.extend_from_slice(digits.strip_suffix(".0").unwrap_or(digits).as_bytes());
    }
}

/// The one form of a bucket's bound and of a quantile: `1.0`, `0.005`, `1e+06`, `1e-05`, `+Inf`.
/// OpenMetrics asks for it, and a series keeps its name whichever format was scraped.
pub(super) fn push_canonical(out: &mut Vec<u8>, value: f64) {
    if push_special(out, value) {
        return;
    }
    let size = value.abs();
    if size == 0.0 || (1e-4..1e6).contains(&size) {
        let mut buffer = zmij::Buffer::new();
        return out.extend_from_slice(buffer.format_finite(value).as_bytes());
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("written with an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
    out.extend_from_slice(format!("{digits}e{exponent:+03}").as_bytes());
}

fn push_special(out: &mut Vec<u8>, value: f64) -> bool {
    let word = match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return false,
    };
    out.extend_from_slice(word.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(rule: &str, write: impl Fn(&mut Vec<u8>), bytes: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), bytes, "{rule}");
    }

    #[test]
    fn floats_are_the_shortest_and_name_the_special_ones_as_go_does() {
        let rows = [
            ("zero has one digit", 0.0, "0"),
            ("minus zero keeps its sign", -0.0, "-0"),
            ("a whole number has no point", 1.0, "1"),
            ("a fraction is as short as it was written", 0.005, "0.005"),
            (
                "a third has all its digits",
                1.0 / 3.0,
                "0.3333333333333333",
            ),
            ("small fractions take an exponent", 9e-6, "9e-6"),
            ("the largest plain number", 9e15, "9000000000000000"),
            ("larger ones take an exponent", 1e16, "1e+16"),
            (
                "the largest float is not 309 digits",
                f64::MAX,
                "1.7976931348623157e+308",
            ),
            ("the smallest float", 5e-324, "5e-324"),
            ("negative numbers", -12.5, "-12.5"),
            ("negative whole numbers", -12.0, "-12"),
            ("not a number", f64::NAN, "NaN"),
            ("infinity has its sign", f64::INFINITY, "+Inf"),
            ("minus infinity", f64::NEG_INFINITY, "-Inf"),
        ];
        for (rule, value, bytes) in rows {
            check(rule, |out| push_f64(out, value), bytes);
        }
    }

    #[test]
    fn bounds_have_one_form() {
        let rows = [
            ("zero", 0.0, "0.0"),
            ("a whole number has a point", 1.0, "1.0"),
            ("a fraction", 0.005, "0.005"),
            ("the smallest plain one", 0.0001, "0.0001"),
            ("a smaller one", 0.000_01, "1e-05"),
            ("a smaller one with digits", 0.000_025, "2.5e-05"),
            ("the largest plain one", 999_999.5, "999999.5"),
            ("a million", 1e6, "1e+06"),
            ("more digits", 12_345_678.5, "1.23456785e+07"),
            ("two digits of exponent", 1e10, "1e+10"),
            ("three", 1e100, "1e+100"),
            ("negative", -2.5, "-2.5"),
            ("a negative million", -1e6, "-1e+06"),
            ("beyond all bounds", f64::INFINITY, "+Inf"),
        ];
        for (rule, value, bytes) in rows {
            check(rule, |out| push_canonical(out, value), bytes);
        }
    }

    #[test]
    fn integers_have_every_digit() {
        for value in [0, 9, 10, 99, 100, 9_007_199_254_740_993, u64::MAX] {
            check("as Display", |out| push_u64(out, value), &value.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_float_reads_back_as_it_was(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            for write in [push_f64, push_canonical] {
                let mut out = Vec::new();
                write(&mut out, value);
                let read: f64 = std::str::from_utf8(&out).unwrap().parse().unwrap();
                prop_assert!(read == value || read.is_nan() && value.is_nan());
                prop_assert!(out.len() <= 25, "{} bytes", out.len());
            }
        }
    }
}
