//! Plans as bare values for a shell.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::record::{Plan, Prune, Run, SnapshotPlace, to_line};

/// A record whose fields can be printed one by one.
pub trait Fields {
    /// Its fields.
    type Field: ValueEnum;

    /// One of them as text; empty where the record has none.
    ///
    /// # Errors
    /// When the record cannot be said as a record.
    fn field(&self, field: &Self::Field) -> io::Result<String>;
}

/// A value of a plan that `bts-plan --print0` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum PlanField {
    /// The subvolume's name
    Name,
    /// full, incremental, resume, publish or skip
    Action,
    /// Why
    Reason,
    /// The subvolume's path
    Path,
    /// The path of the snapshot to make, or to send again
    Snapshot,
    /// The path of the parent's snapshot
    Parent,
    /// What btrfs send is to be told, separated by blanks
    SendArgs,
    /// The backup's id
    Backup,
    /// The whole record, as one line of JSON
    Record,
}

impl Fields for Plan {
    type Field = PlanField;

    fn field(&self, field: &PlanField) -> io::Result<String> {
        Ok(match field {
            PlanField::Name => self.subvolume.to_string(),
            PlanField::Action => self.action.word().to_owned(),
            PlanField::Reason => self.reason.clone(),
            PlanField::Path => self.path.clone(),
            PlanField::Snapshot => path(self.snapshot.as_ref()),
            PlanField::Parent => self.parent.as_ref().map(|p| p.path.clone()).unwrap_or_default(),
            PlanField::SendArgs => self.send_args.join(" "),
            PlanField::Backup => self.backup.as_ref().map(ToString::to_string).unwrap_or_default(),
            PlanField::Record => to_line(self)?,
        })
    }
}

/// A value of a snapshot that may go that `bts-plan --settle --print0` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum PruneField {
    /// The subvolume's name
    Name,
    /// The path of the snapshot to delete
    Snapshot,
    /// Why it may go
    Reason,
}

impl Fields for Prune {
    type Field = PruneField;

    fn field(&self, field: &PruneField) -> io::Result<String> {
        Ok(match field {
            PruneField::Name => self.subvolume.to_string(),
            PruneField::Snapshot => path(Some(&self.snapshot)),
            PruneField::Reason => self.reason.clone(),
        })
    }
}

/// A value of a run that `bts-plan --unfinished --print0` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum RunField {
    /// The subvolume's name
    Name,
    /// The path of the snapshot that it sends
    Snapshot,
    /// The backup's id
    Backup,
}

impl Fields for Run {
    type Field = RunField;

    fn field(&self, field: &RunField) -> io::Result<String> {
        Ok(match field {
            RunField::Name => self.backup.subvolume.to_string(),
            RunField::Snapshot => {
                self.snapshot.as_ref().map(|s| s.path.clone()).unwrap_or_default()
            }
            RunField::Backup => self.backup.to_string(),
        })
    }
}

fn path(place: Option<&SnapshotPlace>) -> String {
    place.map(|place| place.path.clone()).unwrap_or_default()
}

/// Writes the fields of each record in turn, a NUL byte after each value.
///
/// # Errors
/// Those of `out`.
pub fn write_fields<T: Fields, W: Write>(
    records: &[T],
    fields: &[T::Field],
    mut out: W,
) -> io::Result<()> {
    for record in records {
        for field in fields {
            // A reason may quote what came from the archive; it must not be able
            // to pass for two values.
            let value = record.field(field)?.replace('\0', "\u{fffd}");
            write!(out, "{value}\0")?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Action, VERSION};

    fn skip() -> Plan {
        Plan {
            version: VERSION,
            subvolume: "data".parse().unwrap(),
            path: "/srv/my data\n".to_owned(),
            action: Action::Skip,
            reason: "a\0b".to_owned(),
            backup: None,
            kind: None,
            created_at: None,
            snapshot: None,
            parent: None,
            replaces: None,
            send_args: vec!["--proto".into(), "2".into()],
            run: None,
            nested: Vec::new(),
        }
    }

    fn fields(fields: &[PlanField]) -> String {
        let mut out = Vec::new();
        write_fields(&[skip()], fields, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_value_ends_with_a_nul_and_holds_none() {
        use PlanField::{Action, Backup, Name, Parent, Path, Reason, SendArgs, Snapshot};
        assert_eq!(fields(&[Name, Action, Path]), "data\0skip\0/srv/my data\n\0");
        assert_eq!(fields(&[Snapshot, Parent, Backup]), "\0\0\0");
        assert_eq!(fields(&[Reason, SendArgs]), "a\u{fffd}b\0--proto 2\0");
    }

    #[test]
    fn the_record_is_one_line_that_reads_as_the_plan() {
        let text = fields(&[PlanField::Record]);
        let (line, rest) = text.split_once('\0').unwrap();
        assert_eq!((line.lines().count(), rest), (1, ""));
        assert!(line.starts_with("{\"type\":\"plan\","), "{line}");
        assert_eq!(serde_json::from_str::<Plan>(line).unwrap(), skip());
    }
}
