//! Sizes and counts, as people write them.

const UNITS: [(&str, u64); 8] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("b", 1),
];

/// A size such as `512KiB`, `64MiB` or `1GB`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write it as 512KiB, 64MiB or 2GB");
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = UNITS.iter().find(|(name, _)| *name == &lower[digits.len()..]);
    let (_, unit) = unit.ok_or_else(wrong)?;
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(*unit).ok_or_else(|| format!("`{text}` is more than there can be"))
}

/// So many entries, so many bytes, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) entries: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

/// `100000`, `64MiB`, or both with a comma between them.
pub(crate) fn parse_amount(text: &str) -> Result<Amount, String> {
    let mut amount = Amount::default();
    for part in text.split(',') {
        let is_count = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (place, number) = if is_count {
            let number = part.parse().map_err(|_| format!("`{part}` is more than there can be"))?;
            (&mut amount.entries, number)
        } else {
            let number = parse(part).map_err(|error| {
                format!("{error}; or a plain number of entries, or both: 100000,64MiB")
            })?;
            (&mut amount.bytes, number)
        };
        if place.replace(number).is_some() {
            return Err(format!(
                "`{text}` says twice how many: give one number of entries and one size"
            ));
        }
    }
    Ok(amount)
}

/// When to take snapshots: an amount, none of it zero, or `never`.
pub(crate) fn parse_snapshot_after(text: &str) -> Result<Amount, String> {
    if text == "never" {
        return Ok(Amount::default());
    }
    let amount = parse_amount(text)?;
    if [amount.entries, amount.bytes].contains(&Some(0)) {
        return Err(
            "a snapshot after nothing would be taken without end; say `never` to take none"
                .to_owned(),
        );
    }
    Ok(amount)
}

/// The lowest rate at which a transfer still makes progress within anybody's patience.
const RATE_MIN: u64 = 64 << 10;

/// How many bytes a second.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let rate = parse(text)?;
    if rate < RATE_MIN {
        return Err(format!(
            "{rate} bytes a second are so few that members would give up waiting: give at least 64KiB"
        ));
    }
    Ok(rate)
}

/// A size for people.
#[expect(clippy::cast_precision_loss, reason = "rounded to tenths anyway")]
pub(crate) fn show(bytes: u64) -> String {
    let unit = UNITS[..4].iter().rev().find(|(_, unit)| bytes >= *unit);
    match unit {
        Some((name, unit)) => {
            let name = format!("{}iB", name[..1].to_uppercase());
            format!("{:.1} {name}", bytes as f64 / *unit as f64)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse("64MiB"), Ok(64 << 20));
        assert_eq!(parse("64mib"), Ok(64 << 20));
        assert_eq!(parse("2GB"), Ok(2_000_000_000));
        assert_eq!(parse("10b"), Ok(10));
        for wrong in ["", "64", "MiB", "-1MiB", "1.5GiB", "1 MiB", "64MiBs", "99999999999TiB"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(show(1536), "1.5 KiB");
        assert_eq!(show(17), "17 bytes");
    }

    #[test]
    fn an_amount_is_entries_bytes_or_both() {
        let amount = |entries, bytes| Ok(Amount { entries, bytes });
        assert_eq!(parse_amount("1000"), amount(Some(1000), None));
        assert_eq!(parse_amount("1KiB"), amount(None, Some(1024)));
        assert_eq!(parse_amount("1KiB,7"), amount(Some(7), Some(1024)));
        for wrong in ["", "1,2", "1KiB,2KiB", "1,2KiB,3", "x", "1,", "never"] {
            assert!(parse_amount(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_snapshot_after("never"), amount(None, None));
        assert!(parse_snapshot_after("0").is_err() && parse_snapshot_after("5,0b").is_err());
        assert!(parse_rate("1KiB").is_err() && parse_rate("1MiB") == Ok(1 << 20));
    }
}
