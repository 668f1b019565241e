//! Asks for thaws, many at a time.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;

use super::survey::{Seen, Survey};
use super::{AT_ONCE, Options};
use crate::store::{Archive, Archived, Error, ErrorKind, Thaw, ThawRequest, Tier};
use crate::time::Time;

/// How long a thawed copy must last at least: longer than any download.
const LEFT: SignedDuration = SignedDuration::from_hours(3 * 24);

/// What must be asked of the store for one object.
enum Ask {
    /// A thaw.
    Thaw,
    /// More time for its thawed copy.
    Extend,
}

/// Asks for everything that is frozen and for what would go away too soon, and
/// notes that in the survey. How many requests that were.
///
/// # Errors
/// The first refusal of a thaw. What can be read now is not held up by one.
pub(super) async fn ask(
    archive: &Archive,
    survey: &mut Survey,
    options: &Options,
) -> anyhow::Result<usize> {
    let asks = survey.objects.iter().enumerate().filter_map(|(at, seen)| {
        let archived = seen.archived?;
        Some((at, seen, archived, needed(archived, options)?))
    });
    let asked: Vec<_> = stream::iter(asks)
        .map(|(at, seen, archived, ask)| async move {
            let archived = match ask {
                Ask::Thaw => thaw(archive, seen, archived, options).await?,
                Ask::Extend => Some(extend(archive, seen, archived, options).await),
            };
            anyhow::Ok((at, archived))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let count = asked.len();
    for (at, archived) in asked {
        survey.objects[at].archived = archived;
    }
    Ok(count)
}

fn needed(archived: Archived, options: &Options) -> Option<Ask> {
    match archived.thaw {
        Thaw::Frozen => Some(Ask::Thaw),
        Thaw::Ready { until: Some(until) } if archived.vault.expires() => {
            // A copy that was asked for a day at a time is not extended for ever.
            let asked_for = SignedDuration::from_hours(24 * i64::from(options.days));
            let left = until.timestamp().duration_since(Time::now().timestamp());
            (left < LEFT.min(asked_for / 2)).then_some(Ask::Extend)
        }
        Thaw::Thawing | Thaw::Ready { .. } => None,
    }
}

/// Asks for a thaw. `None` when the object turns out to need none: some servers
/// have a class of that name and keep it at hand.
async fn thaw(
    archive: &Archive,
    seen: &Seen,
    archived: Archived,
    options: &Options,
) -> Result<Option<Archived>, Error> {
    let days = archived.vault.expires().then_some(options.days);
    let request = ThawRequest { days, tier: options.tier };
    match archive.store.thaw(&seen.key, &request).await {
        Ok(()) => Ok(Some(Archived { thaw: Thaw::Thawing, ..archived })),
        Err(error)
            if matches!(error.kind, ErrorKind::Refused | ErrorKind::Unsupported)
                && archive.store.get(&seen.key, Some(0..1)).await.is_ok() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Asks for more time. The tier does not matter to what is there.
async fn extend(archive: &Archive, seen: &Seen, archived: Archived, options: &Options) -> Archived {
    let request = ThawRequest { days: Some(options.days), tier: Tier::Standard };
    match archive.store.thaw(&seen.key, &request).await {
        Ok(()) => log::debug!("{} stays thawed for {} days", seen.key, options.days),
        Err(error) => log::warn!("{error}: its thawed copy goes away soon"),
    }
    // Once is enough, whatever came of it.
    Archived { thaw: Thaw::Ready { until: None }, ..archived }
}
