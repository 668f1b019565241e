//! What of the objects is frozen, and what a thaw of it would take.

use futures::{StreamExt, TryStreamExt, stream};

use super::{AT_ONCE, Options};
use crate::download::{Item, Wanted};
use crate::exit::Failure;
use crate::manifest::Invalid;
use crate::size::human;
use crate::store::{Archive, Archived, Key, Thaw, Tier, Vault};

/// The wanted objects as the store shows them.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    pub(super) objects: Vec<Seen>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) key: Key,
    pub(super) size: u64,
    pub(super) storage_class: String,
    /// `None` when it needs no thaw.
    pub(super) archived: Option<Archived>,
}

/// Looks at every wanted object.
///
/// # Errors
/// [`Invalid`] for one that is missing or has another size; those of the store.
pub async fn survey(archive: &Archive, wanted: &Wanted) -> anyhow::Result<Survey> {
    let looks = stream::iter(&wanted.items).map(|item| look_at(archive, item));
    Ok(Survey { objects: looks.buffered(AT_ONCE).try_collect().await? })
}

async fn look_at(archive: &Archive, item: &Item) -> anyhow::Result<Seen> {
    let seen = look(archive, &item.key).await?;
    if seen.size != item.size {
        let what = format!("{} bytes in the store, {} in its record", seen.size, item.size);
        return Err(Invalid::new(archive.store.locate(item.key.as_str()), "size", what).into());
    }
    Ok(seen)
}

/// Looks at one object.
pub(super) async fn look(archive: &Archive, key: &Key) -> anyhow::Result<Seen> {
    let Some(meta) = archive.store.head(key).await? else {
        let url = archive.store.locate(key.as_str());
        return Err(Invalid::new(url, "", "it does not exist: nothing was fetched").into());
    };
    let (size, storage_class, archived) = (meta.size, meta.storage_class, meta.archived);
    Ok(Seen { key: key.clone(), size, storage_class, archived })
}

impl Seen {
    /// Where it lies, if nobody asked for it yet.
    pub(super) fn frozen(&self) -> Option<Vault> {
        self.archived.filter(|it| it.thaw == Thaw::Frozen).map(|it| it.vault)
    }

    /// Where it lies, if it cannot be read yet.
    pub(super) fn pending(&self) -> Option<Vault> {
        let ready = |it: &Archived| matches!(it.thaw, Thaw::Ready { .. });
        self.archived.filter(|it| !ready(it)).map(|it| it.vault)
    }
}

impl Survey {
    /// Whether everything that must be asked for has the tier.
    ///
    /// # Errors
    /// The first object that has not, with what to do.
    pub(super) fn check(&self, options: &Options) -> Result<(), Failure> {
        let tier = options.tier;
        let lacks = |seen: &&Seen| seen.frozen().is_some_and(|vault| vault.wait(tier).is_none());
        let Some((first, vault)) =
            self.objects.iter().find(lacks).and_then(|seen| Some((seen, seen.frozen()?)))
        else {
            return Ok(());
        };
        let count = self.objects.iter().filter(lacks).count();
        let message = format!(
            "{} of {} objects, {} first, lie in {vault}, which has no tier {tier}: nothing was \
             asked for; take {} or {}",
            count,
            self.objects.len(),
            first.key,
            Tier::Standard,
            Tier::Bulk
        );
        Err(Failure::new(options.wrong_tier, message))
    }

    /// What cannot be read yet: how many objects, of how many bytes.
    pub(super) fn pending(&self) -> (u64, u64) {
        sum(self.objects.iter().filter(|seen| seen.pending().is_some()))
    }

    /// All objects, and their bytes.
    pub(super) fn all(&self) -> (u64, u64) {
        sum(self.objects.iter())
    }
}

/// Counts objects and their bytes.
pub(super) fn sum<'a>(objects: impl Iterator<Item = &'a Seen>) -> (u64, u64) {
    objects.fold((0, 0), |(count, size), seen| (count + 1, size.saturating_add(seen.size)))
}

/// A count and a size for people.
pub(super) fn words((count, size): (u64, u64)) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} object{plural} ({})", human(size))
}
