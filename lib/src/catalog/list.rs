//! `bts-manifest list`: every backup, and whether it can be restored.

use std::io::Write;

use anyhow::Context;

use super::fate::{Fate, Fates, fates};
use super::read::{Catalog, Named};
use super::search::below;
use super::table;
use crate::chain::Link;
use crate::exit::Status;
use crate::names::Name;
use crate::record::{ListEnd, RestorePoint, Writer};
use crate::store::Archive;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Aligned columns, local times.
    Table,
    /// Records.
    Records,
}

/// Writes every backup of these subvolumes, or of all without a name, the oldest
/// of each first. What cannot be restored is listed too, and said on stderr.
///
/// Gives back [`Status::Data`] when something in the archive is broken: a
/// manifest or a pointer that cannot be read, a chain that contradicts itself. An
/// object that is missing is in the list and in the words, and no reason for that.
///
/// # Errors
/// Those of the store and of `out`.
pub async fn list<W: Write>(
    archive: &Archive,
    names: &[Name],
    form: Form,
    out: W,
) -> anyhow::Result<Status> {
    let mut found = Found::default();
    match names {
        [] => found.add(archive, None).await?,
        names => {
            for name in names {
                found.add(archive, Some(name)).await?;
            }
        }
    }
    let Found { points, sound } = found;
    match form {
        Form::Table => table::write(&points, out),
        Form::Records => write_records(&points, out),
    }
    .context("writing to stdout")?;
    if points.is_empty() && sound {
        log::info!("there is no backup");
    }
    Ok(if sound { Status::Done } else { Status::Data })
}

fn write_records<W: Write>(points: &[RestorePoint], out: W) -> std::io::Result<()> {
    let mut out = Writer::new(out);
    points.iter().try_for_each(|point| out.write(point))?;
    out.write(&ListEnd { backups: points.len() as u64 })?;
    out.flush()
}

/// The backups that were found.
struct Found {
    points: Vec<RestorePoint>,
    sound: bool,
}

impl Default for Found {
    fn default() -> Self {
        Self { points: Vec::new(), sound: true }
    }
}

impl Found {
    async fn add(&mut self, archive: &Archive, name: Option<&Name>) -> anyhow::Result<()> {
        let mut catalog = Catalog::read(archive, name).await?;
        catalog.look_elsewhere(archive, &below(archive, name)).await?;
        let fates = fates(archive, &catalog);
        self.complain(archive, &catalog, &fates);
        // A chain that strays may have led to backups of others.
        let asked = |link: &&Link| name.is_none_or(|name| link.subvolume == *name);
        let links = catalog.links.values().filter(asked);
        let sound = links.map(|link| point(&catalog, link, &fates));
        let broken = catalog.broken.iter().map(|(key, why)| unreadable(archive, key, why));
        let mut points: Vec<_> = sound.chain(broken).collect();
        points.sort_by(|a, b| {
            let of = |it: &RestorePoint| (it.subvolume.clone(), it.created_at);
            (of(a), &a.manifest_key).cmp(&(of(b), &b.manifest_key))
        });
        self.points.extend(points);
        Ok(())
    }

    fn complain(&mut self, archive: &Archive, catalog: &Catalog, fates: &Fates<'_>) {
        let told = catalog.broken.values().chain(&catalog.astray);
        let told = told.chain(fates.values().filter_map(|fate| match fate {
            Fate::Broken(why, true) => Some(why),
            _ => None,
        }));
        let mut told: Vec<_> = told.collect();
        told.sort();
        for why in &told {
            log::error!("{why}");
        }
        self.sound &= told.is_empty();
        let mut lost: Vec<_> = fates.values().flat_map(missing).collect();
        lost.sort();
        lost.dedup();
        for key in lost {
            log::warn!("{} is missing, or has another size", archive.store.locate(key));
        }
    }
}

fn missing(fate: &Fate) -> &[String] {
    match fate {
        Fate::Whole { missing, .. } => missing,
        Fate::Broken(..) => &[],
    }
}

fn point(catalog: &Catalog, link: &Link, fates: &Fates<'_>) -> RestorePoint {
    let manifest = &link.manifest;
    let key = link.key.as_str();
    let mut point = RestorePoint {
        subvolume: Some(link.subvolume.clone()),
        manifest_key: key.to_owned(),
        kind: Some(manifest.kind),
        created_at: Some(manifest.created_at),
        size: Some(manifest.total_bytes),
        storage_class: Some(storage_class(catalog, link)),
        current: catalog.current.contains(key),
        chain_length: None,
        chain_size: None,
        complete: false,
        missing: Vec::new(),
        problem: None,
    };
    match fates.get(key) {
        Some(Fate::Whole { length, size, missing }) => {
            point.chain_length = Some(*length);
            point.chain_size = Some(*size);
            point.complete = missing.is_empty();
            point.missing.clone_from(missing);
        }
        Some(Fate::Broken(why, _)) => point.problem = Some(why.clone()),
        None => {}
    }
    point
}

/// What the store says of the chunks; what the manifest says, where they are gone.
fn storage_class(catalog: &Catalog, link: &Link) -> String {
    let chunks = link.manifest.chunks.iter();
    let mut classes: Vec<&str> = chunks
        .filter_map(|chunk| catalog.objects.get(&chunk.key))
        .map(|(_, class)| class.as_str())
        .collect();
    classes.sort_unstable();
    classes.dedup();
    match classes.is_empty() {
        true => link.manifest.s3.storage_class.clone(),
        false => classes.join(","),
    }
}

fn unreadable(archive: &Archive, key: &str, why: &str) -> RestorePoint {
    let Named { subvolume, kind, time } = Named::of(archive, key);
    RestorePoint {
        subvolume,
        manifest_key: key.to_owned(),
        kind,
        created_at: time,
        size: None,
        storage_class: None,
        current: false,
        chain_length: None,
        chain_size: None,
        complete: false,
        missing: Vec::new(),
        problem: Some(why.to_owned()),
    }
}
