//! When a backup is due: by calendar slots, not by seconds.
//!
//! A slot begins each day at `run_at`, local time, and lasts until the next one
//! does. Backups are as many days apart as their slots: one that began at
//! 02:00:03 a week ago is due at 02:00:01 today.

use jiff::civil::{Date, Time as TimeOfDay};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::time::Time;

/// How long ago something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// So many slots, of one day each.
    Days(i64),
    /// Its time lies more than a day ahead: a clock was wrong then, or is now.
    Future,
}

/// The slots as they are seen from one of them.
#[derive(Clone, Debug)]
pub(super) struct Cadence {
    run_at: TimeOfDay,
    zone: TimeZone,
    today: Date,
}

impl Cadence {
    /// The slots of each day's `run_at` in the time zone of `now`.
    pub(super) fn new(run_at: TimeOfDay, now: &Zoned) -> Self {
        let zone = now.time_zone().clone();
        let today = slot(now.timestamp(), run_at, &zone);
        Self { run_at, zone, today }
    }

    /// How long ago `time` was. Up to a day ahead counts as now, so that a clock
    /// that was set back a little makes no backup come twice.
    pub(super) fn age(&self, time: Time) -> Age {
        match days_between(slot(time.timestamp(), self.run_at, &self.zone), self.today) {
            ..-1 => Age::Future,
            days => Age::Days(days.max(0)),
        }
    }

    /// The local time of the slot that is `days` after the slot of `time`.
    pub(super) fn after(&self, time: Time, days: u32) -> String {
        let slot = slot(time.timestamp(), self.run_at, &self.zone);
        let next = slot.saturating_add(jiff::SignedDuration::from_hours(24 * i64::from(days)));
        format!("{next} at {}", self.run_at.strftime("%H:%M"))
    }

    /// The local date of `time`.
    pub(super) fn date(&self, time: Time) -> Date {
        time.timestamp().to_zoned(self.zone.clone()).date()
    }
}

/// The day whose slot `time` lies in.
fn slot(time: Timestamp, run_at: TimeOfDay, zone: &TimeZone) -> Date {
    let date = time.to_zoned(zone.clone()).date();
    // A run_at that daylight saving skips moves to as long after the gap, and of
    // one that comes twice the first counts. Only at the ends of the calendar is
    // there no such time; then the date itself must do.
    let begins = date.to_datetime(run_at).to_zoned(zone.clone());
    match begins {
        Ok(begins) if time < begins.timestamp() => date.yesterday().unwrap_or(date),
        _ => date,
    }
}

fn days_between(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Europe/Berlin by its rule, so that no machine needs the database.
    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn local(text: &str) -> Zoned {
        text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(berlin()).unwrap()
    }

    fn age(last: &str, now: &str) -> Age {
        age_at(TimeOfDay::constant(2, 0, 0, 0), &local(last), &local(now))
    }

    fn age_at(run_at: TimeOfDay, last: &Zoned, now: &Zoned) -> Age {
        Cadence::new(run_at, now).age(Time::truncated(last.timestamp()))
    }

    #[test]
    fn a_few_seconds_never_cost_a_day() {
        assert_eq!(age("2026-01-01T02:00:03", "2026-01-08T02:00:01"), Age::Days(7));
        assert_eq!(age("2026-01-01T02:00:00", "2026-01-08T01:59:59"), Age::Days(6));
        assert_eq!(age("2026-01-01T15:30:00", "2026-01-08T02:00:00"), Age::Days(7));
        assert_eq!(age("2026-01-01T01:00:00", "2026-01-07T02:00:00"), Age::Days(7));
    }

    #[test]
    fn daylight_saving_moves_no_slot_to_another_day() {
        // 2026-03-29 has no 02:00 in Berlin: its slot begins at 03:00.
        assert_eq!(age("2026-03-22T02:00:01", "2026-03-29T03:00:00"), Age::Days(7));
        assert_eq!(age("2026-03-22T02:00:01", "2026-03-29T01:59:59"), Age::Days(6));
        assert_eq!(age("2026-03-29T03:00:00", "2026-04-05T02:00:00"), Age::Days(7));
        // 2026-10-25 has 02:00 twice: the first of them begins the slot.
        assert_eq!(age("2026-10-18T02:00:01", "2026-10-25T02:00:00"), Age::Days(7));
        let second: Timestamp = "2026-10-25T01:00:00Z".parse().unwrap();
        let second = second.to_zoned(berlin());
        let run_at = TimeOfDay::constant(2, 0, 0, 0);
        assert_eq!(age_at(run_at, &local("2026-10-18T02:00:01"), &second), Age::Days(7));
        assert_eq!(age_at(run_at, &second, &local("2026-11-01T02:00:00")), Age::Days(7));
    }

    #[test]
    fn leap_days_count() {
        assert_eq!(age("2028-02-28T02:00:00", "2028-03-01T02:00:00"), Age::Days(2));
        assert_eq!(age("2027-02-28T02:00:00", "2027-03-01T02:00:00"), Age::Days(1));
        assert_eq!(age("2027-09-05T02:00:00", "2028-03-03T02:00:00"), Age::Days(180));
    }

    #[test]
    fn a_time_ahead_is_now_up_to_a_day_and_then_the_future() {
        assert_eq!(age("2026-01-08T02:30:00", "2026-01-08T02:00:00"), Age::Days(0));
        assert_eq!(age("2026-01-08T02:00:03", "2026-01-08T01:59:59"), Age::Days(0));
        assert_eq!(age("2026-01-10T02:00:00", "2026-01-08T02:00:00"), Age::Future);
        assert_eq!(age("2099-01-10T02:00:00", "2026-01-08T02:00:00"), Age::Future);
    }

    #[test]
    fn the_next_slot_is_told_in_local_time() {
        let cadence = Cadence::new(TimeOfDay::constant(2, 0, 0, 0), &local("2026-03-25T12:00:00"));
        let last = Time::truncated(local("2026-03-24T02:00:05").timestamp());
        assert_eq!(cadence.after(last, 7), "2026-03-31 at 02:00");
        assert_eq!(cadence.date(last).to_string(), "2026-03-24");
    }

    #[test]
    fn the_ends_of_the_calendar_do_no_harm() {
        let run_at = TimeOfDay::constant(2, 0, 0, 0);
        let cadence = Cadence::new(run_at, &local("2026-03-25T12:00:00"));
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let time = Time::truncated(time);
            cadence.age(time);
            cadence.after(time, u32::MAX);
            cadence.date(time);
        }
    }

    proptest! {
        /// Every night the timer fires a little after the slot begins. Whatever
        /// the zone's clocks do, a backup is made exactly every `every` nights.
        #[test]
        fn nights_between_backups_are_what_the_config_says(
            first in 0_i64..20_000,
            every in 1_u32..40,
            hour in 0_i8..24,
            minute in 0_i8..60,
            delays in prop::collection::vec(0_i64..7_200, 90),
        ) {
            let run_at = TimeOfDay::constant(hour, minute, 0, 0);
            let mut last: Option<(usize, Time)> = None;
            for (night, delay) in delays.into_iter().enumerate() {
                let days = jiff::Span::new().days(first + night as i64);
                let date = jiff::civil::date(1990, 1, 1).checked_add(days).unwrap();
                let begins = date.to_datetime(run_at).to_zoned(berlin()).unwrap();
                let now = begins.checked_add(jiff::Span::new().seconds(delay)).unwrap();
                let cadence = Cadence::new(run_at, &now);
                match last {
                    Some((made, time)) => {
                        let due = cadence.age(time) == Age::Days((night - made) as i64)
                            && night - made >= every as usize;
                        prop_assert_eq!(due, night - made == every as usize);
                        if due {
                            last = Some((night, Time::truncated(now.timestamp())));
                        }
                    }
                    None => last = Some((night, Time::truncated(now.timestamp()))),
                }
            }
        }
    }
}
