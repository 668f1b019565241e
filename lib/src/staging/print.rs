//! What is staged, and what is left of a chain, for a shell and for `bts-get`.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::plan::Fields;
use crate::record::{ListEnd, Staged, StagedState, Writer};

use super::input::Link;

/// A value that `bts-plan --restore --print0` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StagedField {
    /// The whole key of the backup's manifest; empty for a stray
    ManifestKey,
    /// The snapshot's name
    Name,
    /// The snapshot's path in the staging directory
    Path,
    /// staged, received, partial, missing or stray
    State,
    /// Why it is not staged
    Reason,
    /// The bytes of the backup's chunks
    Size,
    /// The path of the snapshot that the last backup was made of
    Source,
}

impl Fields for Staged {
    type Field = StagedField;

    fn field(&self, field: &StagedField) -> io::Result<String> {
        Ok(match field {
            StagedField::ManifestKey => self.manifest_key.clone().unwrap_or_default(),
            StagedField::Name => self.snapshot.name.clone(),
            StagedField::Path => self.snapshot.path.clone(),
            StagedField::State => self.state.word().to_owned(),
            StagedField::Reason => self.reason.clone(),
            StagedField::Size => self.size.to_string(),
            StagedField::Source => self.source.clone().unwrap_or_default(),
        })
    }
}

/// Writes the records of the backups that are not staged, as they came; nothing
/// where all are.
///
/// # Errors
/// Those of `out`.
pub fn write_rest<W: Write>(chain: &[Link], staged: &[Staged], out: W) -> io::Result<()> {
    let mut out = Writer::new(out);
    let rest = chain.iter().zip(staged).filter(|(_, one)| one.state != StagedState::Staged);
    let mut backups = 0;
    for (link, _) in rest {
        out.write(&link.backup)?;
        link.objects.iter().try_for_each(|object| out.write(object))?;
        backups += 1;
    }
    if backups > 0 {
        out.write(&ListEnd { backups })?;
    }
    out.flush()
}
