//! Whether the archive is the one that this machine remembers.

use crate::exit::Failure;
use crate::names::Name;
use crate::record::Current;
use crate::state::Known;

/// Refuses an archive that has lost or changed what was published to it. One
/// that has moved on to another backup is believed: state is only a cache.
///
/// # Errors
/// [`crate::exit::Status::Data`]: a mistyped prefix must not start a full backup
/// of everything, and nothing may build on a manifest that somebody changed.
pub(super) fn check(
    name: &Name,
    current: Option<&Current>,
    known: Option<&Known>,
    new_archive: bool,
) -> Result<(), Failure> {
    let Some(known) = known else { return Ok(()) };
    let Known { manifest_key, created_at, .. } = known;
    match current {
        None if new_archive => Ok(()),
        None => Err(Failure::data(format!(
            "{name}: the archive holds no backup, but one of {created_at} was published as \
             {manifest_key}: check bucket and prefix; if a new archive is meant, use --new-archive"
        ))),
        Some(current)
            if current.manifest_key == *manifest_key
                && current.manifest_sha256 != known.manifest_sha256 =>
        {
            Err(Failure::data(format!(
                "{name}: the manifest {manifest_key} is not the one that was published: its \
                 SHA-256 is {}, it was {}; find out who changed it, or begin anew with a full \
                 backup in another prefix",
                current.manifest_sha256, known.manifest_sha256
            )))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::current;
    use super::*;
    use crate::exit::Status;
    use crate::record::Digest;
    use crate::state::State;

    fn known(current: &Current) -> Known {
        let mut state = State::default();
        state.remember(current);
        state.subvolumes[&current.subvolume].clone()
    }

    fn said(current: Option<&Current>, known: Option<&Known>) -> Result<(), String> {
        check(&"data".parse().unwrap(), current, known, false).map_err(|failure| {
            assert_eq!(failure.status, Status::Data);
            failure.message
        })
    }

    #[test]
    fn an_archive_that_is_as_it_was_or_has_moved_on_is_believed() {
        let (old, mut new) = (current("data"), current("data"));
        assert_eq!(said(None, None), Ok(()));
        assert_eq!(said(Some(&old), None), Ok(()));
        assert_eq!(said(Some(&old), Some(&known(&old))), Ok(()));
        new.manifest_key = "another".to_owned();
        new.manifest_sha256 = Digest([8; 32]);
        assert_eq!(said(Some(&new), Some(&known(&old))), Ok(()));
    }

    #[test]
    fn an_archive_that_lost_everything_is_refused_unless_it_is_meant() {
        let known = known(&current("data"));
        assert_eq!(
            said(None, Some(&known)).unwrap_err(),
            "data: the archive holds no backup, but one of 2026-01-01T02:00:03Z was published as \
             subvol/data/full/20260101T020003Z-0a1b2c3d/manifest.json: check bucket and prefix; if \
             a new archive is meant, use --new-archive"
        );
        assert_eq!(check(&"data".parse().unwrap(), None, Some(&known), true), Ok(()));
    }

    #[test]
    fn a_manifest_that_changed_is_refused() {
        let (old, mut changed) = (current("data"), current("data"));
        changed.manifest_sha256 = Digest([8; 32]);
        let said = said(Some(&changed), Some(&known(&old))).unwrap_err();
        assert!(said.contains("is not the one that was published"), "{said}");
        let failure = check(&"data".parse().unwrap(), Some(&changed), Some(&known(&old)), true);
        assert_eq!(failure.unwrap_err().status, Status::Data, "--new-archive is no cure");
    }
}
