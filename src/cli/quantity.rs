//! Sizes and times as they are typed.
//!
//! Invariant: a number without a unit is refused where the unit could be guessed wrongly.

use chrono::TimeDelta;

/// Bytes: `500M`, `2G`, `1.5GiB`, `4096`. Units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let refuse = || format!("`{text}` is no size: write it like 500M or 2G");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| refuse())?;
    let unit = unit.trim().to_ascii_uppercase();
    let power = match unit.trim_end_matches("IB").trim_end_matches('B') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(refuse()),
    };
    Ok((number * 1024_f64.powi(power)) as u64)
}

/// A time: `90m`, `24h`, `7d`, or `0`.
pub(crate) fn time(text: &str) -> Result<TimeDelta, String> {
    let refuse = || format!("`{text}` is no time: write it like 90m, 24h or 7d");
    if text == "0" {
        return Ok(TimeDelta::zero());
    }
    let (last, unit) = text.char_indices().last().ok_or_else(refuse)?;
    let number: i64 = text[..last].parse().map_err(|_| refuse())?;
    let delta = match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        _ => None,
    };
    delta
        .filter(|delta| *delta >= TimeDelta::zero())
        .ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_and_nonsense_is_refused() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("2G"), Ok(2 << 30));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("500mb"), Ok(500 << 20));
        for bad in ["", "G", "-1G", "1X", "1..2", "one"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_a_unit_and_are_not_negative() {
        assert_eq!(time("0"), Ok(TimeDelta::zero()));
        assert_eq!(time("90m"), Ok(TimeDelta::minutes(90)));
        assert_eq!(time("7d"), Ok(TimeDelta::days(7)));
        for bad in ["", "24", "h", "-1h", "1w2", "1é", "99999999999999999d"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
