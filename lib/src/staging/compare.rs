//! Compares what was restored with the snapshot that it was backed up from.

use std::path::Path;

use anyhow::Context;

use crate::config::VerifyMode;
use crate::exit::Failure;

use super::input::Link;
use super::rsync::{self, Differences, Pair};
use super::source;
use super::tree::Tree;

/// Compares the tree at `target` with the snapshot that the last backup of the
/// chain was made of, and says what was compared: everything, or what `mode` asks
/// for, or nothing where that snapshot is not on this machine, unchanged. A
/// sample is of `sample` files' contents, and of everything else of all files.
///
/// # Errors
/// [`crate::exit::Status::Data`] when they differ; those of the machine.
pub fn compare(target: &Path, chain: &[Link], mode: VerifyMode, sample: u32) -> anyhow::Result<()> {
    let shown = target.display();
    let Some(last) = chain.last() else { return Ok(()) };
    let source = match (mode, source::find(&last.backup.snapshot)) {
        (VerifyMode::None, _) => Err("no comparison was asked for".to_owned()),
        (_, source) => source,
    };
    let source = match source {
        Ok(source) => source,
        Err(why) => {
            log::info!("{shown} was compared with nothing, the hashes alone vouch for it: {why}");
            return Ok(());
        }
    };
    let pair = Pair { source: &source, target };
    let what = match mode {
        VerifyMode::Sample => in_part(pair, sample),
        _ => in_full(pair),
    }?;
    log::info!("{shown} does not differ from {}: compared {what}", source.display());
    Ok(())
}

/// Says what was compared.
fn in_full(pair: Pair<'_>) -> anyhow::Result<String> {
    let Tree { stubs, files, .. } = walk(pair, 0)?;
    refuse(pair, &rsync::all(pair, &stubs, true)?)?;
    Ok(format!("contents and metadata of all {files} files"))
}

fn in_part(pair: Pair<'_>, sample: u32) -> anyhow::Result<String> {
    let Tree { stubs, chosen, files } = walk(pair, sample as usize)?;
    refuse(pair, &rsync::all(pair, &stubs, false)?)?;
    refuse(pair, &rsync::files(pair, &chosen)?)?;
    Ok(format!("the metadata of all {files} files and the contents of {} of them", chosen.len()))
}

fn walk(pair: Pair<'_>, sample: usize) -> anyhow::Result<Tree> {
    let source = pair.source;
    Tree::walk(source, sample).with_context(|| format!("cannot list {}", source.display()))
}

fn refuse(pair: Pair<'_>, differences: &Differences) -> Result<(), Failure> {
    let Differences { count, shown } = differences;
    if *count == 0 {
        return Ok(());
    }
    let Pair { source, target } = pair;
    let more = match count - shown.len() as u64 {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    Err(Failure::data(format!(
        "{} differs from its source {} in {count} places, which rsync calls\n  {}{more}",
        target.display(),
        source.display(),
        shown.join("\n  ")
    )))
}
