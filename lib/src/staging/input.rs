//! Reads the chain that `bts-manifest chain` writes, the full first.

use std::collections::BTreeSet;
use std::io::BufRead;

use crate::manifest::is_component;
use crate::names::Kind;
use crate::record::{Backup, Error, ListEnd, Object, Raw, Reader, Typed};

/// A backup of a chain and its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The backup.
    pub backup: Backup,
    /// Its objects, as they came.
    pub objects: Vec<Object>,
}

impl Link {
    /// The name that its snapshot has in the stream: one path component.
    pub fn name(&self) -> &str {
        &self.backup.snapshot.name
    }
}

/// Reads a whole chain: a full, then incrementals, then `end`.
///
/// # Errors
/// Those of [`Reader::next`]; [`Error::Broken`] when that is not what comes, or
/// when a name in it could not be a snapshot's, or is there twice.
pub fn read_chain<R: BufRead>(mut reader: Reader<R>) -> Result<Vec<Link>, Error> {
    const KNOWN: &[&str] = &[Backup::TYPE, Object::TYPE, ListEnd::TYPE];
    let (mut chain, mut names) = (Vec::<Link>::new(), BTreeSet::new());
    loop {
        let Some(raw) = reader.next(KNOWN)? else {
            return Err(reader.broken("no end record: pipe all of bts-manifest's output in"));
        };
        if raw.kind() == Backup::TYPE {
            let backup = backup(&raw, &chain)?;
            if !names.insert(backup.snapshot.name.clone()) {
                let name = &backup.snapshot.name;
                return Err(raw.broken(format!("snapshot.name: {name:?} is there twice")));
            }
            chain.push(Link { backup, objects: Vec::new() });
        } else if raw.kind() == Object::TYPE {
            let Some(link) = chain.last_mut() else {
                return Err(raw.broken("an object before any backup"));
            };
            link.objects.push(raw.decode()?);
        } else {
            end(&raw, chain.len())?;
            break;
        }
    }
    match reader.next(KNOWN)? {
        Some(raw) => Err(raw.broken("a record after the end")),
        None => Ok(chain),
    }
}

fn backup(raw: &Raw, before: &[Link]) -> Result<Backup, Error> {
    let backup: Backup = raw.clone().decode()?;
    if (backup.kind == Kind::Full) != before.is_empty() {
        let kind = backup.kind.word();
        let place = if before.is_empty() { "as the first of" } else { "within" };
        return Err(raw.broken(format!("kind: {kind} {place} a chain, which begins with its full")));
    }
    let name = &backup.snapshot.name;
    if !is_component(name) {
        return Err(raw.broken(format!("snapshot.name: {name:?} cannot be a snapshot's name")));
    }
    Ok(backup)
}

fn end(raw: &Raw, count: usize) -> Result<(), Error> {
    let ListEnd { backups } = raw.clone().decode()?;
    if backups != count as u64 || count == 0 {
        return Err(raw.broken(format!("{count} backup records came, not {backups} and some")));
    }
    Ok(())
}
