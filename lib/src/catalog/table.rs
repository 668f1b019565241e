//! A list for people: aligned columns, local times.

use std::io::{self, Write};

use jiff::tz::TimeZone;

use crate::record::RestorePoint;
use crate::size::human;

const HEAD: [&str; 7] = ["SUBVOLUME", "TIME", "KIND", "SIZE", "CHAIN", "CLASS", "STATE"];

/// Writes the table; nothing where there is nothing to show.
pub(super) fn write<W: Write>(points: &[RestorePoint], mut out: W) -> io::Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(points.iter().map(|point| row(point, &zone)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 7] = std::array::from_fn(|column| width(column).unwrap_or(0));
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:width$}  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

fn row(point: &RestorePoint, zone: &TimeZone) -> [String; 7] {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "?".to_owned(), |value| value.to_string())
    }
    // As `chain --at` takes it.
    let time = point.created_at.map(|time| {
        time.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    });
    let chain = match (point.chain_length, point.chain_size) {
        (Some(length), Some(size)) => format!("{length} ({})", human(size)),
        _ => "?".to_owned(),
    };
    [
        text(point.subvolume.as_ref()),
        text(time),
        text(point.kind.map(|kind| kind.word())),
        text(point.size.map(human)),
        chain,
        // A class comes from the store or a manifest: no terminal takes it as it is.
        text(point.storage_class.as_ref().map(|class| class.escape_debug())),
        state(point),
    ]
}

fn state(point: &RestorePoint) -> String {
    let state = match (point.problem.is_some(), point.missing.len()) {
        (true, _) => "broken".to_owned(),
        (false, 0) => "complete".to_owned(),
        (false, 1) => "1 object missing".to_owned(),
        (false, count) => format!("{count} objects missing"),
    };
    if point.current { state + ", current" } else { state }
}
