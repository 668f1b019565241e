//! Removes orphans, after a last look.

use futures::{StreamExt, TryStreamExt, stream};

use super::CALLS;
use super::alive::is_young;
use super::owner::Owner;
use super::reach::Reached;
use crate::manifest::Invalid;
use crate::record::{Checksum, Orphan};
use crate::store::{Archive, Key, Upload};

/// Removes what was found in an archive.
#[derive(Debug)]
pub(super) struct Remover<'a> {
    archive: &'a Archive,
    reached: &'a Reached,
}

impl<'a> Remover<'a> {
    pub(super) fn new(archive: &'a Archive, reached: &'a Reached) -> Self {
        Self { archive, reached }
    }

    /// Removes what one owner left, in this order, and gives back what is gone.
    /// It stops when somebody turns out to be at work there.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn remove(
        &self,
        owner: &Owner,
        orphans: Vec<Orphan>,
    ) -> anyhow::Result<Vec<Orphan>> {
        let mut gone = Vec::new();
        for few in orphans.chunks(CALLS) {
            if !self.still_nobodys(owner).await? {
                break;
            }
            let removed: Vec<Orphan> = stream::iter(self.measure(few.to_vec()).await)
                .map(|orphan| self.remove_one(orphan))
                .buffered(CALLS)
                .try_collect()
                .await?;
            gone.extend(removed);
        }
        Ok(gone)
    }

    /// Asks the store how large the uploads are. Nothing depends on the answer.
    pub(super) async fn measure(&self, orphans: Vec<Orphan>) -> Vec<Orphan> {
        let measured = stream::iter(orphans).map(|orphan| async move {
            let size = match orphan.upload_id.is_some() {
                true => self.size_of(&orphan).await,
                false => orphan.size,
            };
            Orphan { size, ..orphan }
        });
        measured.buffered(CALLS).collect().await
    }

    async fn size_of(&self, orphan: &Orphan) -> Option<u64> {
        let parts = self.archive.store.list_parts(&upload(orphan)?).await.ok()?;
        parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size))
    }

    /// Whether still no run is alive there, and what is published there is what
    /// was read. The intent is asked for first: a run writes its manifest before
    /// it takes its intent back.
    async fn still_nobodys(&self, owner: &Owner) -> anyhow::Result<bool> {
        let prefix = self.archive.prefix();
        if let Some(intent) = owner.intent()
            && let Some(meta) = self.archive.store.head(&self.archive.key(intent)?).await?
            && is_young(meta.modified)
        {
            log::info!("{owner} is left alone: a run is alive there now");
            return Ok(false);
        }
        let manifest = self.archive.key(owner.manifest())?;
        let etag = self.archive.store.head(&manifest).await?.map(|meta| meta.etag);
        let same = etag.as_deref() == self.reached.etag(&format!("{prefix}{}", owner.manifest()));
        if !same {
            log::info!("{owner} is left alone: its manifest changed meanwhile");
        }
        Ok(same)
    }

    async fn remove_one(&self, orphan: Orphan) -> anyhow::Result<Orphan> {
        match upload(&orphan) {
            Some(upload) => self.archive.store.abort_upload(&upload).await?,
            None => {
                let url = self.archive.store.locate(&orphan.key);
                let key: Key =
                    orphan.key.parse().map_err(|bad| Invalid::new(url, "", format!("{bad}")))?;
                self.archive.store.delete(&key).await?;
            }
        }
        Ok(Orphan { deleted: true, ..orphan })
    }
}

/// The upload that an orphan is, as far as it takes to list its parts and to
/// abort it.
fn upload(orphan: &Orphan) -> Option<Upload> {
    let key = orphan.key.parse().ok()?;
    Some(Upload { key, id: orphan.upload_id.clone()?, checksum: Checksum::None, part_size: 0 })
}
