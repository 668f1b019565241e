//! What lies in an archive, and what of it nothing needs.

use std::collections::BTreeMap;

use super::alive::Alive;
use super::owner::Owner;
use super::reach::Reached;
use crate::catalog::search::{below, is_manifest};
use crate::record::{Orphan, OrphanKind};
use crate::store::{Archive, ErrorKind, Listed, Result, UploadSeen};

/// Orphans by whose they were.
pub(super) type Found = BTreeMap<Owner, Vec<Orphan>>;

/// The unfinished uploads below the prefix; none, and a warning, where the server
/// cannot tell.
pub(super) async fn uploads(archive: &Archive) -> Result<Vec<UploadSeen>> {
    match archive.store.list_uploads(&below(archive, None)).await {
        Err(error) if error.kind == ErrorKind::Unsupported => {
            log::warn!(
                "{error}: unfinished uploads are passed over; a lifecycle rule of the bucket can \
                 abort them"
            );
            Ok(Vec::new())
        }
        uploads => uploads,
    }
}

/// What of it is ours and held by nothing.
pub(super) fn orphans(
    archive: &Archive,
    alive: &Alive,
    reached: &Reached,
    objects: Vec<Listed>,
    uploads: Vec<UploadSeen>,
) -> Found {
    let prefix = archive.prefix();
    let owner = |key: &str| {
        let owner =
            key.strip_prefix(&prefix).filter(|key| !is_manifest(key)).and_then(Owner::of)?;
        (!alive.holds(&owner) && !reached.misses(&prefix, &owner)).then_some(owner)
    };
    let published =
        |owner: &Owner| reached.etag(&format!("{prefix}{}", owner.manifest())).is_some();
    let mut found = Found::new();
    for upload in uploads {
        let held = alive.holds_upload(&upload.id);
        if let Some(owner) = owner(&upload.key).filter(|_| !held) {
            let orphan = of_upload(upload);
            found.entry(owner).or_default().push(orphan);
        }
    }
    for object in objects {
        let held = reached.holds(&object.key);
        if let Some(owner) = owner(&object.key).filter(|_| !held) {
            let orphan = of_object(object, published(&owner));
            found.entry(owner).or_default().push(orphan);
        }
    }
    found
}

fn of_upload(upload: UploadSeen) -> Orphan {
    Orphan {
        kind: OrphanKind::Upload,
        key: upload.key,
        upload_id: Some(upload.id),
        size: None,
        modified: None,
        begun: upload.begun,
        reason: "begun, and neither completed nor aborted".to_owned(),
        deleted: false,
    }
}

fn of_object(object: Listed, published: bool) -> Orphan {
    let reason =
        if published { "its backup's manifest does not name it" } else { "no manifest names it" };
    Orphan {
        kind: OrphanKind::Object,
        key: object.key,
        upload_id: None,
        size: Some(object.size),
        modified: object.modified,
        begun: None,
        reason: reason.to_owned(),
        deleted: false,
    }
}
