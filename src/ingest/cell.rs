//! How cells become values.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::rejects::Reason;

/// Longest id, in bytes: ids are parts of Redis keys.
const MAX_ID: usize = 512;

/// What a row has for a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Missing,
    /// Text, as in CSV.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A time, in milliseconds since 1970.
    Time(i64),
    /// Several texts.
    List(Vec<String>),
}

/// Why a cell is not taken.
pub type Refusal = (Reason, String);

impl Cell<'_> {
    /// An id: not empty, no NUL, of bounded length.
    pub fn id(&self, field: &str) -> Result<String, Refusal> {
        let id = match self {
            Cell::Text(text) => text.trim().to_owned(),
            Cell::Integer(number) => number.to_string(),
            Cell::Missing => return Err((Reason::MissingValue, format!("{field} is missing"))),
            other => return Err(invalid(field, other, "a text or a whole number")),
        };
        if id.is_empty() {
            return Err((Reason::MissingValue, format!("{field} is empty")));
        }
        if id.len() > MAX_ID || id.contains('\0') {
            let bound = format!("at most {MAX_ID} bytes without NUL");
            return Err(invalid(field, self, &bound));
        }
        Ok(id)
    }

    /// Text; nothing is the empty text.
    pub fn text(&self) -> String {
        match self {
            Cell::Missing => String::new(),
            Cell::Text(text) => text.trim().to_owned(),
            Cell::Integer(number) => number.to_string(),
            Cell::Float(number) => number.to_string(),
            Cell::Time(time) => time.to_string(),
            Cell::List(texts) => texts.join(" "),
        }
    }

    /// Several texts: a list, or a text split at the first of `|`, `;` and `,` that it has.
    pub fn list(&self) -> Vec<String> {
        let texts: Vec<String> = match self {
            Cell::List(texts) => texts.clone(),
            Cell::Missing => Vec::new(),
            other => {
                let text = other.text();
                let separator = ['|', ';', ','].into_iter().find(|s| text.contains(*s));
                match separator {
                    Some(separator) => text.split(separator).map(str::to_owned).collect(),
                    None => vec![text],
                }
            }
        };
        texts
            .iter()
            .map(|t| t.trim().to_owned())
            .filter(|t| !t.is_empty())
            .collect()
    }

    /// A number that is finite and not negative; `None` when there is nothing.
    pub fn weight(&self, field: &str) -> Result<Option<f32>, Refusal> {
        let number = match self {
            Cell::Missing => return Ok(None),
            Cell::Text(text) if text.trim().is_empty() => return Ok(None),
            Cell::Text(text) => text.trim().parse::<f64>().ok(),
            Cell::Integer(number) => Some(*number as f64),
            Cell::Float(number) => Some(*number),
            Cell::Time(_) | Cell::List(_) => None,
        };
        // Checked as it is stored: 1e300 is finite, and as `f32` it is not.
        let number = number.map(|number| number as f32);
        match number.filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => Ok(Some(number)),
            None => Err(invalid(field, self, "a finite number, 0 or larger")),
        }
    }

    /// A time in milliseconds since 1970, of the years -9999 to 9999. Numbers are seconds, milliseconds, microseconds or
    /// nanoseconds, told apart by their size: seconds up to the year 5138, and so on. Text is RFC
    /// 3339, or a date with or without a time, which is UTC.
    pub fn time(&self, field: &str) -> Result<i64, Refusal> {
        let time = match self {
            Cell::Time(milliseconds) => Some(*milliseconds),
            Cell::Integer(number) => Some(from_number(*number)),
            Cell::Float(seconds) => from_seconds(*seconds),
            Cell::Text(text) => time_of_text(text.trim()),
            Cell::Missing => return Err((Reason::MissingValue, format!("{field} is missing"))),
            Cell::List(_) => None,
        };
        let Some(time) = time else {
            let examples = "seconds since 1970, 2026-11-24 or 2026-11-24T08:30:00Z";
            return Err(invalid(field, self, examples));
        };
        // Nobody could say the date of any other.
        match Timestamp::from_millisecond(time) {
            Ok(_) => Ok(time),
            Err(_) => Err(invalid(field, self, "a time of the years -9999 to 9999")),
        }
    }
}

fn from_number(number: i64) -> i64 {
    const SECONDS_BELOW: u64 = 100_000_000_000;
    const MILLISECONDS_BELOW: u64 = 1000 * SECONDS_BELOW;
    const MICROSECONDS_BELOW: u64 = 1000 * MILLISECONDS_BELOW;
    match number.unsigned_abs() {
        size if size < SECONDS_BELOW => number * 1000,
        size if size < MILLISECONDS_BELOW => number,
        size if size < MICROSECONDS_BELOW => number / 1000,
        _ => number / 1_000_000,
    }
}

fn from_seconds(seconds: f64) -> Option<i64> {
    if seconds.fract() == 0.0 && seconds.abs() < 9.0e18 {
        return Some(from_number(seconds as i64));
    }
    (seconds.is_finite() && seconds.abs() < 1.0e11).then(|| (seconds * 1000.0).round() as i64)
}

fn time_of_text(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(from_number(number));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let utc = |time: DateTime| {
        Some(
            time.to_zoned(TimeZone::UTC)
                .ok()?
                .timestamp()
                .as_millisecond(),
        )
    };
    if let Ok(time) = text.parse::<DateTime>() {
        return utc(time);
    }
    if let Ok(date) = text.parse::<Date>() {
        return utc(date.at(0, 0, 0, 0));
    }
    text.parse::<f64>().ok().and_then(from_seconds)
}

fn invalid(field: &str, cell: &Cell<'_>, expected: &str) -> Refusal {
    let found: String = cell.text().chars().take(60).collect();
    (
        Reason::InvalidValue,
        format!("{field} is {found:?}, and must be {expected}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(text))
    }

    #[test]
    fn times_are_understood_in_every_unit_and_as_text() {
        let expected = Ok(1_381_945_744_000);
        for cell in [
            text("1381945744"),
            text("1381945744000"),
            text("1381945744000000"),
            text("1381945744000000000"),
            text("2013-10-16T17:49:04Z"),
            text("2013-10-16T19:49:04+02:00"),
            text("2013-10-16 17:49:04"),
            Cell::Integer(1_381_945_744),
            Cell::Float(1_381_945_744.0),
            Cell::Time(1_381_945_744_000),
        ] {
            assert_eq!(cell.time("timestamp"), expected, "{cell:?}");
        }
        assert_eq!(text("2011-01-18T10:01").time("t"), Ok(1_295_344_860_000));
        assert_eq!(text("2011-01-18").time("t"), Ok(1_295_308_800_000));
    }

    #[test]
    fn a_time_that_is_none_is_refused_with_its_text() {
        let (reason, message) = text("yesterday").time("timestamp").unwrap_err();
        assert_eq!(reason, Reason::InvalidValue);
        assert!(
            message.contains("yesterday") && message.contains("timestamp"),
            "{message}"
        );
    }

    #[test]
    fn a_time_that_no_calendar_has_is_refused() {
        for cell in [Cell::Time(i64::MAX), Cell::Time(-400_000_000_000_000)] {
            let message = cell.time("timestamp").unwrap_err().1;
            assert!(message.contains("-9999 to 9999"), "{cell:?}: {message}");
        }
        assert!(text("9999-12-30").time("t").is_ok());
    }

    #[test]
    fn lists_are_split_at_the_separator_they_use() {
        assert_eq!(text("Drama|Film, Noir").list(), ["Drama", "Film, Noir"]);
        assert_eq!(text("a, b").list(), ["a", "b"]);
        assert_eq!(text("").list(), Vec::<String>::new());
    }

    #[test]
    fn a_weight_must_be_finite_and_not_negative() {
        assert_eq!(text("2.5").weight("weight"), Ok(Some(2.5)));
        assert_eq!(text("").weight("weight"), Ok(None));
        for bad in ["NaN", "-1", "inf", "1e300", "many"] {
            assert!(text(bad).weight("weight").is_err(), "{bad}");
        }
    }
}
