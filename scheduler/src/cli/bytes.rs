//! Sizes, as people write them.

/// A size such as 256MiB, 1GB or 1000000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

/// Units of sizes; in those of the first group sizes are shown.
const UNITS: [(&str, usize); 6] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "" | "B" => 1,
            unit => UNITS
                .iter()
                .find(|(name, _)| *name == unit || name.strip_suffix("iB") == Some(unit))
                .map(|(_, factor)| *factor)
                .ok_or_else(|| format!("unknown unit {unit:?}; use KiB, MiB or GiB"))?,
        };
        let number: usize = digits
            .trim()
            .parse()
            .map_err(|_| "must be a number".to_owned())?;
        let bytes = number.checked_mul(factor);
        bytes.map(Bytes).ok_or_else(|| "is too large".into())
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fits = |(_, factor): &&(&str, usize)| self.0 > 0 && self.0.is_multiple_of(*factor);
        match UNITS.iter().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!("256MiB".parse(), Ok(Bytes(256 << 20)));
        assert_eq!("2G".parse(), Ok(Bytes(2 << 30)));
        assert_eq!("1GB".parse(), Ok(Bytes(1_000_000_000)));
        assert_eq!("4097".parse(), Ok(Bytes(4097)));
        assert!(
            "12 parsecs"
                .parse::<Bytes>()
                .unwrap_err()
                .contains("parsecs")
        );
        for text in ["256MiB", "3GB", "4097", "0"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
    }
}
