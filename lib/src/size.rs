//! Sizes as people write them: `200 GiB`, `8M`, `5000000`.

use std::fmt;

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a size: {why}; write a whole number of bytes, or one with a unit like 200 GiB, 8M or 5 GB"
)]
pub struct BadSize {
    text: String,
    why: Why,
}

/// What is wrong with the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Number,
    Unit,
    TooLarge,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "it does not begin with a whole number",
            Self::Unit => "no unit is called that",
            Self::TooLarge => "it is too large",
        })
    }
}

/// Reads a size in bytes: a whole number, then perhaps a unit, with or without
/// blanks between them. `K`, `M`, `G`, `T` and `KiB` to `TiB` are powers of
/// 1,024; `kB`, `MB`, `GB`, `TB` are powers of 1,000. Case does not matter.
///
/// # Errors
/// [`BadSize`] when the text is anything else, or more than 2⁶⁴ − 1 bytes.
pub fn parse_size(text: &str) -> Result<u64, BadSize> {
    let bad = |why| BadSize { text: text.chars().take(80).collect(), why };
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(bad(Why::Number));
    }
    let factor = factor(unit.trim_start()).ok_or_else(|| bad(Why::Unit))?;
    let number: u64 = number.parse().map_err(|_| bad(Why::TooLarge))?;
    number.checked_mul(factor).ok_or_else(|| bad(Why::TooLarge))
}

fn factor(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    })
}

/// A number of bytes for people: `1.5 GB`. Below 1,000 of its unit, which is a
/// power of 1,000.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut unit = 1000;
    let mut at = 0;
    // The next unit begins where this one would be rounded to 1000.0.
    while at + 1 < UNITS.len() && bytes / (unit / 100) >= 99_995 {
        unit *= 1000;
        at += 1;
    }
    let tenths = (u128::from(bytes) * 10 + u128::from(unit / 2)) / u128::from(unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people_stay_below_a_thousand() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1250, "1.3 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (5_497_558_138_880, "5.5 TB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn sizes_are_understood_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("5000000", 5_000_000),
            ("17B", 17),
            ("8M", 8 << 20),
            ("8m", 8 << 20),
            ("200GiB", 200 << 30),
            ("200 GiB", 200 << 30),
            (" 64 KiB ", 64 << 10),
            ("5TiB", 5 << 40),
            ("3 kB", 3_000),
            ("5GB", 5_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_reason() {
        for (text, why) in [
            ("", Why::Number),
            ("GiB", Why::Number),
            ("-1", Why::Number),
            ("+1", Why::Number),
            ("1.5G", Why::Unit),
            ("1 XB", Why::Unit),
            ("1 G iB", Why::Unit),
            ("1ΜiB", Why::Unit),
            ("18446744073709551616", Why::TooLarge),
            ("16777216TiB", Why::TooLarge),
        ] {
            assert_eq!(parse_size(text).unwrap_err().why, why, "{text}");
        }
        assert_eq!(
            parse_size("lots").unwrap_err().to_string(),
            "\"lots\" is not a size: it does not begin with a whole number; write a whole \
             number of bytes, or one with a unit like 200 GiB, 8M or 5 GB"
        );
    }
}
