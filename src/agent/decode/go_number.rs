//! Numbers as the Agent's language reads them (Go, `strconv.ParseFloat`): more than Rust takes, and less.

use std::borrow::Cow;

/// Digits beyond these only say whether there was more.
const MANTISSA_MAX: u64 = 1 << 60;

/// Far beyond every exponent that means anything.
const EXPONENT_MAX: i32 = 100_000;

/// A decimal or hexadecimal number, an infinity or NaN. `None` where the syntax is wrong, and where the
/// number is beyond the greatest that there is.
pub(super) fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(finite_or_not) = special(text, unsigned) {
        return Some(finite_or_not);
    }
    let text = without_underscores(text)?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let value = match strip_hex(unsigned) {
        Some(digits) => {
            let value = hexadecimal(digits)?;
            if text.starts_with('-') { -value } else { value }
        }
        // Words are dealt with; what is left, both languages read alike.
        None if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            text.parse().ok()?
        }
        None => return None,
    };
    Some(value).filter(|value| value.is_finite())
}

fn special(text: &str, unsigned: &str) -> Option<f64> {
    let is = |word: &str| unsigned.eq_ignore_ascii_case(word);
    if is("inf") || is("infinity") {
        let negative = text.starts_with('-');
        return Some(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    text.eq_ignore_ascii_case("nan").then_some(f64::NAN)
}

fn strip_hex(unsigned: &str) -> Option<&str> {
    unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
}

/// An underscore may stand between two digits, or between `0x` and one.
fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(text.into());
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_hex = strip_hex(unsigned).is_some();
    let prefix = text.len() - unsigned.len() + if is_hex { 2 } else { 0 };
    let digit = |at: usize| {
        let byte = text.as_bytes().get(at);
        byte.is_some_and(|b| b.is_ascii_digit() || is_hex && b.is_ascii_hexdigit())
    };
    let mut all = text.match_indices('_').map(|(at, _)| at);
    let fits = all.all(|at| {
        let after_prefix = is_hex && at == prefix;
        at > 0 && digit(at + 1) && (after_prefix || digit(at - 1))
    });
    fits.then(|| text.replace('_', "").into())
}

/// What follows `0x`: digits with or without a point, then `p` and a power of two, which must be there.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, power) = text.split_once(['p', 'P'])?;
    let unsigned = power.strip_prefix(['+', '-']).unwrap_or(power);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let power = unsigned.parse().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX)
        * if power.starts_with('-') { -1 } else { 1 };
    let (mut mantissa, mut exponent, mut point, mut any) = (0_u64, 0_i32, false, false);
    for c in digits.chars() {
        if c == '.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from(c.to_digit(16)?);
        any = true;
        if mantissa < MANTISSA_MAX {
            mantissa = mantissa * 16 + digit;
            exponent -= if point { 4 } else { 0 };
        } else {
            mantissa |= u64::from(digit != 0);
            exponent += if point { 0 } else { 4 };
        }
    }
    any.then(|| scaled(mantissa, exponent.saturating_add(power)))
}

/// `mantissa` times two to the power of `exponent`, rounded once, to the even neighbour of two.
fn scaled(mantissa: u64, exponent: i32) -> f64 {
    let bits = 64 - mantissa.leading_zeros().cast_signed();
    let top = exponent.saturating_add(bits - 1);
    if mantissa == 0 || top < -1_075 {
        return 0.0;
    }
    if top > 1_023 {
        return f64::INFINITY;
    }
    // Below 2^-1022 numbers have fewer digits.
    let kept = (53 + (top + 1_022).min(0)).max(0);
    let cut = (bits - kept).max(0);
    let (whole, rest) = match cut {
        64 => (0, mantissa),
        _ => (mantissa >> cut, mantissa & ((1 << cut) - 1)),
    };
    let half = if cut == 0 { 0 } else { 1 << (cut - 1) };
    let up = cut > 0 && (rest > half || rest == half && whole % 2 == 1);
    (whole + u64::from(up)) as f64 * power_of_two(exponent + cut)
}

fn power_of_two(exponent: i32) -> f64 {
    let biased = u64::from((exponent + 1_023).max(0).cast_unsigned());
    match exponent {
        -1_074..=-1_023 => f64::from_bits(1 << (exponent + 1_074)),
        _ => f64::from_bits(biased << 52),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(rule: &str, text: &str, expected: Option<f64>) {
        let read = float(text);
        assert_eq!(
            read.map(f64::to_bits),
            expected.map(f64::to_bits),
            "{rule}: {text} is {read:?}"
        );
    }

    /// Source of the rules: the Go specification's floating-point literals and the documentation of
    /// `strconv.ParseFloat`.
    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("+1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e+06", 1e6),
            ("1E-3", 0.001),
            ("007", 7.0),
            ("1e-400", 0.0),
            ("1.7976931348623157e308", f64::MAX),
            ("iNf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
            ("NaN", f64::NAN),
            ("0x1p-2", 0.25),
            ("-0X1.8P1", -3.0),
            ("0x.8p0", 0.5),
            ("0x1.p+4", 16.0),
            ("0x0p9", 0.0),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", 5e-324),
            ("0x1p-1076", 0.0),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000081p0", 1.0 + f64::EPSILON),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("1_000.2_5e1_0", 1000.25e10),
            ("0x_1_0p0", 16.0),
        ] {
            check("a number", text, Some(value));
        }
        let zeros = "0".repeat(400);
        check("long", &format!("0x1{zeros}p-1600"), Some(1.0));
        check("long", &format!("0x.{zeros}1p1604"), Some(1.0));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "one",
            "1x",
            " 1",
            "1 ",
            "1,5",
            "+nan",
            "-NaN",
            "infin",
            "1e400",
            "-1e400",
            "0x",
            "0x1",
            "0x.p1",
            "0xp1",
            "0x1p",
            "0x1p+",
            "0x1.2.3p0",
            "0xgp0",
            "0x1p1024",
            "0x1.fffffffffffff8p1023",
            "1__0",
            "_1",
            "1_",
            "1_.5",
            "1._5",
            "1e_5",
            "+_1",
            "0x__1p0",
            "0x1p_1",
            "0_x1p0",
            "\u{661}",
        ] {
            check("none", text, None);
        }
    }

    proptest! {
        #[test]
        fn every_number_survives_as_hexadecimal(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
            let sign = if value.is_sign_negative() { "-" } else { "" };
            let (lead, power) = if exponent == 0 { (0, -1_022) } else { (1, exponent - 1_023) };
            let text = format!("{sign}0x{lead}.{fraction:013x}p{power}");
            prop_assert_eq!(float(&text).map(f64::to_bits), Some(bits), "{}", text);
        }

        #[test]
        fn decimals_are_read_as_rust_reads_them(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}")] {
                prop_assert_eq!(float(&text).map(f64::to_bits), Some(value.to_bits()), "{}", text);
            }
        }
    }
}
