//! What a stream's first command says of the snapshot, and what its CLONE
//! commands may say after that.

use uuid::Uuid;

use super::attributes::Attributes;
use super::error::Problem;
use super::format::{Command, attribute};

/// Which snapshot a stream holds, as its header and first command say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The version in the stream's header.
    pub version: u32,
    /// The snapshot's name: UTF-8, fit to be one directory entry.
    pub snapshot_name: String,
    /// The snapshot's UUID (its received UUID where it has one).
    pub uuid: Uuid,
    /// The snapshot's ctransid.
    pub ctransid: u64,
    /// What an incremental builds on; `None` for a full.
    pub parent: Option<Parent>,
}

/// The parent of an incremental, as its first command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The parent's UUID.
    pub uuid: Uuid,
    /// The parent's ctransid.
    pub ctransid: u64,
}

impl Identity {
    /// Reads the payload of a SUBVOL or SNAPSHOT command.
    pub(super) fn read(command: Command, payload: &[u8], version: u32) -> Result<Self, Problem> {
        let attributes = Attributes::parse(payload, version)?;
        let parent = match command {
            Command::SNAPSHOT => Some(Parent {
                uuid: attributes.uuid(attribute::CLONE_UUID)?,
                ctransid: attributes.number(attribute::CLONE_CTRANSID)?,
            }),
            _ => None,
        };
        Ok(Self {
            version,
            snapshot_name: snapshot_name(attributes.bytes(attribute::PATH)?)?,
            uuid: attributes.uuid(attribute::UUID)?,
            ctransid: attributes.number(attribute::CTRANSID)?,
            parent,
        })
    }

    /// Checks the payload of a CLONE command: its extent comes from the
    /// snapshot itself or from the parent, which a restore will have.
    pub(super) fn check_clone(&self, payload: &[u8]) -> Result<(), Problem> {
        let source = Attributes::parse(payload, self.version)?.uuid(attribute::CLONE_UUID)?;
        let known = source == self.uuid || self.parent.is_some_and(|p| p.uuid == source);
        if known { Ok(()) } else { Err(Problem::ForeignClone(source)) }
    }
}

/// The longest name of a Btrfs directory entry, in bytes (`BTRFS_NAME_LEN`).
const NAME_MAX: usize = 255;

fn snapshot_name(bytes: &[u8]) -> Result<String, Problem> {
    let fine = |name: &str| {
        (1..=NAME_MAX).contains(&name.len())
            && !name.contains(['/', '\0'])
            && ![".", ".."].contains(&name)
    };
    match std::str::from_utf8(bytes) {
        Ok(name) if fine(name) => Ok(name.to_owned()),
        _ => Err(Problem::SnapshotName(String::from_utf8_lossy(bytes).chars().take(300).collect())),
    }
}
