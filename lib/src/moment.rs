//! Times as people write them: `2026-11-01`, `2026-11-01T02:00`, RFC 3339.
//!
//! Promises that a time without a zone is read on this machine's clock, and that
//! it is as wide as it is written: a date is that whole day, `02:00` that whole
//! minute. Where summer time begins or ends the clock skips or repeats an hour;
//! [`Moment::first`] and [`Moment::last`] say what then counts.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

use crate::time::Time;

/// What somebody meant by a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    first: Zoned,
    last: Time,
}

/// A text that is no such time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a time like 2026-01-17, 2026-01-17T02:00 (both local) or 2026-01-17T01:00:00Z, not {0:?}"
)]
pub struct BadMoment(String);

impl Moment {
    /// Reads a time; one without a zone is of this machine's.
    ///
    /// # Errors
    /// [`BadMoment`] when it is none.
    pub fn parse(text: &str) -> Result<Self, BadMoment> {
        Self::parse_in(text, &TimeZone::system())
    }

    /// Reads a time; one without a zone is of `zone`.
    ///
    /// # Errors
    /// [`BadMoment`] when it is none.
    pub fn parse_in(text: &str, zone: &TimeZone) -> Result<Self, BadMoment> {
        let parse = || {
            let seconds = width(text)? - 1;
            if let Ok(time) = text.parse::<Time>() {
                let first = time.timestamp();
                let last = Time::truncated(first.checked_add(seconds.seconds()).ok()?);
                return Some(Self { first: first.to_zoned(zone.clone()), last });
            }
            let first: DateTime = text.parse().ok()?;
            let last = last_reading(first.checked_add(seconds.seconds()).ok()?, zone)?;
            let last = Time::truncated(last);
            Some(Self { first: first.to_zoned(zone.clone()).ok()?, last })
        };
        parse().ok_or_else(|| BadMoment(text.chars().take(80).collect()))
    }

    /// Its first second. Of an hour that the clock repeats, the first time
    /// around; what the clock skips is later by what it skips.
    pub fn first(&self) -> &Zoned {
        &self.first
    }

    /// Its last second. Of an hour that the clock repeats, the second time
    /// around; what the clock skips ends before the clock skips it.
    pub fn last(&self) -> Time {
        self.last
    }
}

/// How many seconds a text stands for: those of a day, of a minute, or one.
/// `None` where it has another form than the three; a zone's name is none of them,
/// as it would be read and not heeded.
fn width(text: &str) -> Option<i64> {
    if text.contains('[') {
        return None;
    }
    let Some((date, time)) = text.split_once(['T', 't', ' ']) else {
        return (text.len() == "2026-01-17".len()).then_some(24 * 3600);
    };
    let clock = time.split(['Z', 'z', '+', '-']).next()?;
    let compact = !date.contains('-');
    match clock.len() {
        5 if !compact => Some(60),
        6 if compact => Some(1),
        8.. if !compact => Some(1),
        _ => None,
    }
}

/// The last second at which clocks in `zone` showed `reading`, or the last before
/// they skipped it.
fn last_reading(reading: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_zoned(reading);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            let after = ambiguous.later().ok()?.timestamp();
            let skip = zone.preceding(after).next()?.timestamp();
            skip.checked_sub(1.second()).ok()
        }
        _ => Some(ambiguous.later().ok()?.timestamp()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    /// The first and the last second, in UTC.
    fn span(text: &str, zone: &TimeZone) -> (String, String) {
        let moment = Moment::parse_in(text, zone).unwrap();
        (moment.first().timestamp().to_string(), moment.last().to_string())
    }

    #[track_caller]
    fn is(text: &str, first: &str, last: &str) {
        assert_eq!(span(text, &berlin()), (first.to_owned(), last.to_owned()), "{text}");
    }

    #[test]
    fn a_time_is_as_wide_as_it_is_written() {
        is("2026-11-01", "2026-10-31T23:00:00Z", "2026-11-01T22:59:59Z");
        is("2026-11-01T02:00", "2026-11-01T01:00:00Z", "2026-11-01T01:00:59Z");
        is("2026-11-01 02:00", "2026-11-01T01:00:00Z", "2026-11-01T01:00:59Z");
        is("2026-11-01T02:00:07", "2026-11-01T01:00:07Z", "2026-11-01T01:00:07Z");
    }

    #[test]
    fn a_zone_in_the_text_wins() {
        is("2026-11-01T02:00:07Z", "2026-11-01T02:00:07Z", "2026-11-01T02:00:07Z");
        is("2026-11-01T02:00:07-05:00", "2026-11-01T07:00:07Z", "2026-11-01T07:00:07Z");
        is("2026-11-01T02:00Z", "2026-11-01T02:00:00Z", "2026-11-01T02:00:59Z");
        is("2026-11-01T02:00+01:00", "2026-11-01T01:00:00Z", "2026-11-01T01:00:59Z");
        is("20261101T020007Z", "2026-11-01T02:00:07Z", "2026-11-01T02:00:07Z");
    }

    #[test]
    fn days_on_which_the_clock_changes_have_23_and_25_hours() {
        is("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z");
        is("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z");
    }

    #[test]
    fn an_hour_that_comes_twice_lasts_until_its_second_end() {
        // 03:00 summer time is 02:00 winter time.
        is("2026-10-25T02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:59Z");
        is("2026-10-25T01:59", "2026-10-24T23:59:00Z", "2026-10-24T23:59:59Z");
        is("2026-10-25T03:00", "2026-10-25T02:00:00Z", "2026-10-25T02:00:59Z");
    }

    #[test]
    fn an_hour_that_never_was_ends_where_the_clock_skipped_it() {
        // 02:00 winter time is 03:00 summer time.
        is("2026-03-29T02:30", "2026-03-29T01:30:00Z", "2026-03-29T00:59:59Z");
        is("2026-03-29T01:59", "2026-03-29T00:59:00Z", "2026-03-29T00:59:59Z");
        is("2026-03-29T03:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:59Z");
    }

    #[test]
    fn a_day_that_never_was_ends_before_it() {
        let apia = TimeZone::get("Pacific/Apia").unwrap();
        assert_eq!(span("2011-12-30", &apia).1, "2011-12-30T09:59:59Z");
        assert_eq!(span("2011-12-29", &apia).1, "2011-12-30T09:59:59Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-11-31",
            "2026-11-01T",
            "2026-11-01T02",
            "2026-11-01T25:00",
            "2026-11-01T02:00[America/New_York]",
            "20261101",
            "20261101T0200",
            "9999-12-31",
        ] {
            assert!(Moment::parse_in(text, &berlin()).is_err(), "{text}");
        }
        assert_eq!(
            Moment::parse("soon").unwrap_err().to_string(),
            "write a time like 2026-01-17, 2026-01-17T02:00 (both local) or 2026-01-17T01:00:00Z, \
             not \"soon\""
        );
    }
}
