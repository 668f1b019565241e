//! The newest backup at or before a time.

use jiff::tz::TimeZone;

use super::read::{Catalog, Named};
use crate::exit::Failure;
use crate::moment::Moment;
use crate::names::Name;
use crate::store::{Archive, Key};
use crate::time::Time;

/// The manifest of the subvolume's newest backup that is not younger than the
/// moment's last second; whether a pointer leads to it does not matter.
///
/// # Errors
/// [`crate::exit::Status::Data`] when there is none, or when one that cannot be
/// read might be it: an older one in its place would be a surprise. Those of the
/// store.
pub async fn at(archive: &Archive, name: &Name, moment: &Moment) -> anyhow::Result<Key> {
    let catalog = Catalog::read(archive, Some(name)).await?;
    let until = moment.last();
    let ours = || catalog.links.values().filter(|link| link.subvolume == *name);
    let time = |link: &&crate::chain::Link| (link.manifest.created_at, link.key.clone());
    let newest = ours().filter(|link| link.manifest.created_at <= until).max_by_key(time);
    let since = newest.map(|link| link.manifest.created_at);
    readable(archive, &catalog, since, until)?;
    let Some(newest) = newest else {
        let oldest = ours().map(|link| link.manifest.created_at).min();
        let oldest = oldest.map_or("there is none at all".to_owned(), |time| {
            format!("the oldest is of {}", local(time))
        });
        let what = format!("no backup of {name} is of {} or before: {oldest}", local(until));
        return Err(Failure::data(what).into());
    };
    let time = local(newest.manifest.created_at);
    log::info!("{name}: the newest backup of {} or before is that of {time}", local(until));
    Ok(newest.key.clone())
}

/// Complains about a manifest that might be the one asked for, by the time in its
/// name, and cannot be read.
fn readable(
    archive: &Archive,
    catalog: &Catalog,
    since: Option<Time>,
    until: Time,
) -> Result<(), Failure> {
    for (key, why) in &catalog.broken {
        match Named::of(archive, key).time {
            Some(time) if since.is_none_or(|since| time > since) && time <= until => {
                let instead = since.map_or("there is none before it".to_owned(), |since| {
                    format!("to have the one before it, ask for {}", local(since))
                });
                let what =
                    format!("the backup of {} cannot be read: {why}; {instead}", local(time));
                return Err(Failure::data(what));
            }
            Some(_) => {}
            None => log::warn!("{why}; it is passed over"),
        }
    }
    Ok(())
}

fn local(time: Time) -> String {
    let zoned = time.timestamp().to_zoned(TimeZone::system());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
