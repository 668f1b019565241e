//! From the stream's first record to the run that stores it.

use uuid::Uuid;

use super::{Options, geometry};
use crate::exit::Failure;
use crate::names::{BackupId, Kind};
use crate::record::{Format, Run, Snapshot, Stream, VERSION};

/// The run that stores `stream`.
///
/// # Errors
/// When nothing or two things name the backup, when the backup's kind is not the
/// stream's, or when S3 cannot hold chunks of that size.
pub fn run_for(stream: &Stream, options: &Options, store: String) -> Result<Run, Failure> {
    let plan = stream.plan.as_deref();
    let resumed = plan.and_then(|plan| plan.run.as_deref());
    let backup = backup_id(options.backup.as_ref(), plan.and_then(|plan| plan.backup.as_ref()))?;
    let kind = kind_of(stream, &backup)?;
    let part_size = options
        .part_size
        .or(resumed.map(|run| run.part_size))
        .unwrap_or_else(|| geometry::part_size_for(stream.chunk_size));
    geometry::check(stream.chunk_size, part_size)?;
    let parent = plan.and_then(|plan| plan.parent.as_ref());
    Ok(Run {
        version: VERSION,
        run_id: resumed.map_or_else(Uuid::new_v4, |run| run.run_id),
        kind,
        created_at: plan.and_then(|plan| plan.created_at).unwrap_or(backup.time),
        backup,
        store,
        format: stream.format,
        send_version: stream.send_version,
        snapshot: snapshot_of(stream),
        parent_manifest: parent.map(|parent| parent.manifest_key.clone()),
        parent_manifest_sha256: parent.map(|parent| parent.manifest_sha256),
        replaces: plan.and_then(|plan| plan.replaces.clone()),
        chunk_size: stream.chunk_size,
        part_size,
        hash: stream.hash,
        send_args: plan.map(|plan| plan.send_args.clone()).unwrap_or_default(),
        filter: Vec::new(),
        storage_class: resumed.map_or(&options.storage_class, |run| &run.storage_class).clone(),
        sse: resumed.map_or(&options.sse, |run| &run.sse).clone(),
    })
}

fn backup_id(given: Option<&BackupId>, planned: Option<&BackupId>) -> Result<BackupId, Failure> {
    match (given, planned) {
        (Some(given), Some(planned)) if given != planned => Err(Failure::usage(format!(
            "--backup says {given}, the stream's plan says {planned}: leave --backup out"
        ))),
        (Some(id), _) | (None, Some(id)) => Ok(id.clone()),
        (None, None) => Err(Failure::usage(
            "the stream carries no plan: name the backup, --backup \
             subvol/NAME/full/YYYYMMDDTHHMMSSZ-XXXXXXXX",
        )),
    }
}

/// The stream decides what kind of backup it is; a name that says otherwise
/// would lead every reader astray.
fn kind_of(stream: &Stream, backup: &BackupId) -> Result<Kind, Failure> {
    let kind = match (stream.format, stream.parent_uuid) {
        (Format::Raw, _) => backup.kind,
        (Format::BtrfsSend, None) => Kind::Full,
        (Format::BtrfsSend, Some(_)) => Kind::Incremental,
    };
    if kind != backup.kind {
        return Err(Failure::data(format!(
            "the send stream is {}, the backup {backup} is not: was -p given to btrfs send \
             where it should not be, or forgotten?",
            kind.word()
        )));
    }
    Ok(kind)
}

fn snapshot_of(stream: &Stream) -> Option<Snapshot> {
    let name = stream.snapshot_name.clone()?;
    let planned = stream.plan.as_ref().and_then(|plan| plan.snapshot.as_ref());
    Some(Snapshot {
        path: planned.map_or_else(|| name.clone(), |place| place.path.clone()),
        name,
        uuid: stream.uuid,
        parent_uuid: stream.parent_uuid,
        ctransid: stream.ctransid,
        parent_ctransid: stream.parent_ctransid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Hash;

    fn stream(parent: bool) -> Stream {
        Stream {
            version: 1,
            format: Format::BtrfsSend,
            send_version: Some(1),
            chunk_size: 1 << 30,
            hash: Hash::Sha256,
            snapshot_name: Some("data__20260117T220511Z__full".into()),
            uuid: Some(Uuid::from_u128(1)),
            ctransid: Some(7),
            parent_uuid: parent.then(|| Uuid::from_u128(2)),
            parent_ctransid: parent.then_some(6),
            plan: None,
        }
    }

    fn options(backup: Option<&str>) -> Options {
        Options {
            backup: backup.map(|id| id.parse().unwrap()),
            concurrency: 4,
            part_size: None,
            storage_class: "STANDARD".into(),
            storage_class_small: "STANDARD".into(),
            sse: None,
            journal: None,
            state: "/nowhere/state.json".into(),
            spool: None,
        }
    }

    const FULL: &str = "subvol/data/full/20260117T220511Z-0a1b2c3d";

    #[test]
    fn a_stream_without_a_plan_is_stored_under_the_name_given() {
        let run = run_for(&stream(false), &options(Some(FULL)), "file:///x".into()).unwrap();
        assert_eq!(run.backup.to_string(), FULL);
        assert_eq!(run.created_at, run.backup.time);
        assert_eq!(run.part_size, 16 << 20);
        assert_eq!(run.snapshot.unwrap().path, "data__20260117T220511Z__full");
    }

    #[test]
    fn a_stream_that_nobody_named_is_refused() {
        let error = run_for(&stream(false), &options(None), "file:///x".into()).unwrap_err();
        assert!(error.to_string().contains("--backup"), "{error}");
    }

    #[test]
    fn an_incremental_stream_is_never_stored_as_a_full() {
        let error = run_for(&stream(true), &options(Some(FULL)), "file:///x".into()).unwrap_err();
        assert!(error.to_string().starts_with("the send stream is incremental"), "{error}");
    }
}
