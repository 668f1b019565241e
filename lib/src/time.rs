//! Times as records, names and keys spell them.
//!
//! Promises that every time that leaves a program is UTC with whole seconds:
//! RFC 3339 (`2026-01-17T22:05:11Z`) in records and manifests, the compact form
//! (`20260117T220511Z`) in names and keys. Both forms are read; archives of the
//! existing program hold the compact one in `created_at`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const COMPACT: &str = "%Y%m%dT%H%M%SZ";

/// A point in time with a resolution of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(jiff::Timestamp);

/// A text that is neither an RFC 3339 time nor the compact form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time like 2026-01-17T22:05:11Z or 20260117T220511Z")]
pub struct BadTime(String);

impl Time {
    /// Now, by this machine's clock.
    pub fn now() -> Self {
        Self::truncated(jiff::Timestamp::now())
    }

    /// This time with its fraction of a second dropped.
    pub fn truncated(time: jiff::Timestamp) -> Self {
        Self(jiff::Timestamp::from_second(time.as_second()).unwrap_or(time))
    }

    /// The same time for calendar arithmetic.
    pub fn timestamp(self) -> jiff::Timestamp {
        self.0
    }

    /// The form that names and keys use: `20260117T220511Z`.
    pub fn compact(self) -> String {
        self.0.strftime(COMPACT).to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Time {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bad = || BadTime(text.to_owned());
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::truncated(time));
        }
        let civil = jiff::civil::DateTime::strptime(COMPACT, text).map_err(|_| bad())?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| bad())?;
        Ok(Self::truncated(zoned.timestamp()))
    }
}

impl TryFrom<String> for Time {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Self, BadTime> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_second() {
        let rfc: Time = "2026-01-17T22:05:11Z".parse().unwrap();
        let compact: Time = "20260117T220511Z".parse().unwrap();
        assert_eq!(rfc, compact);
        assert_eq!(rfc.compact(), "20260117T220511Z");
        assert_eq!(rfc.to_string(), "2026-01-17T22:05:11Z");
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        let time: Time = "2026-01-17T23:05:11.9+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-17T22:05:11Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "yesterday", "20260117", "20261317T220511Z", "2026-01-17"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
