//! What the tests of plans are made of.

use std::path::PathBuf;

use uuid::Uuid;

use super::Options;
use crate::btrfs::{Found, Info};
use crate::names::Kind;
use crate::record::{ChainSummary, Current, Digest, Snapshot};
use crate::time::Time;

/// The snapshot that [`current`] records.
pub(super) const UUID: Uuid = Uuid::from_u128(0xda7a);
/// Its ctransid.
pub(super) const CTRANSID: u64 = 70;
/// Its time.
pub(super) const CREATED_AT: &str = "2026-01-01T02:00:03Z";
/// Its name, for a subvolume that is called `data`.
pub(super) const NAME: &str = "data__20260101T020003Z__full";

/// The newest backup of a subvolume: a full.
pub(super) fn current(name: &str) -> Current {
    let created_at: Time = CREATED_AT.parse().unwrap();
    let manifest_key = format!("subvol/{name}/full/20260101T020003Z-0a1b2c3d/manifest.json");
    let snapshot_name = format!("{name}__{}__full", created_at.compact());
    Current {
        subvolume: name.parse().unwrap(),
        manifest_sha256: Digest([7; 32]),
        kind: Kind::Full,
        created_at,
        snapshot: Snapshot {
            path: format!("/snapshots/{snapshot_name}"),
            name: snapshot_name,
            uuid: Some(UUID),
            parent_uuid: None,
            ctransid: Some(CTRANSID),
            parent_ctransid: None,
        },
        chain: ChainSummary {
            length: 1,
            full_manifest_key: manifest_key.clone(),
            full_created_at: created_at,
            size: 1000,
            missing: Vec::new(),
        },
        manifest_key,
    }
}

/// A read-only snapshot that was made here by the transaction `otransid`.
pub(super) fn found(name: &str, uuid: Uuid, otransid: u64) -> Found {
    Found {
        name: name.to_owned(),
        path: PathBuf::from("/snapshots").join(name),
        info: Info {
            id: otransid,
            uuid,
            parent_uuid: None,
            received_uuid: None,
            generation: otransid,
            ctransid: otransid,
            stransid: 0,
            otransid,
            read_only: true,
        },
    }
}

/// The snapshot that [`current`] records, as it was made.
pub(super) fn recorded() -> Found {
    found(NAME, UUID, CTRANSID)
}

/// The same snapshot after a restore.
pub(super) fn restored(name: &str) -> Found {
    let mut found = found(name, Uuid::from_u128(0xeee), CTRANSID + 100);
    found.info.received_uuid = Some(UUID);
    found.info.stransid = CTRANSID;
    found
}

/// What an unattended run asks for at this time, in UTC.
pub(super) fn options(now: &str) -> Options {
    let now: jiff::Timestamp = now.parse().unwrap();
    Options {
        once: false,
        full: false,
        new_archive: false,
        subvolumes: Vec::new(),
        store: None,
        now: now.to_zoned(jiff::tz::TimeZone::UTC),
    }
}
