//! The arguments of `bts-plan` for a restore, and what they ask of the library.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Context;
use bts::cli::{Common, stdin_is_data};
use bts::config::{Config, VerifyMode};
use bts::exit::Failure;
use bts::names::Name;
use bts::record::Reader;
use bts::staging::{self, Destination, DestinationField, Link, Wanted};
use clap::Args;

use super::cli::{STDOUT, parse_fields, write};

const OTHERS: [&str; 7] =
    ["settle", "unfinished", "settings", "once", "full", "new_archive", "now"];

/// What a restore is told.
#[derive(Args, Debug)]
pub struct Restore {
    /// Read a chain from `bts-manifest chain`, and say what of it the staging
    /// directory DIR holds and what stands in the way
    #[arg(long, value_name = "DIR", conflicts_with_all = OTHERS)]
    restore: Option<PathBuf>,

    /// With --restore: print the chain without what is staged, for bts-get
    #[arg(long, requires = "restore", conflicts_with = "print0")]
    rest: bool,

    /// With --restore: check only that the snapshot NAME was received as its
    /// manifest says
    #[arg(long, value_name = "NAME", requires = "restore", conflicts_with_all = ["rest", "print0"])]
    received: Option<String>,

    /// Read a chain from `bts-manifest chain`, and compare the tree at PATH with
    /// the snapshot that its last backup was made of
    #[arg(long, value_name = "PATH", conflicts_with_all = OTHERS,
        conflicts_with_all = ["restore", "print0"])]
    restored: Option<PathBuf>,

    /// Print where a restore of the subvolume goes, which must be possible there;
    /// reads no input
    #[arg(long, requires = "print0", conflicts_with_all = OTHERS,
        conflicts_with_all = ["restore", "restored"])]
    place: bool,

    /// With --place: restore to PATH
    #[arg(long, value_name = "PATH", requires = "place", conflicts_with = "scratch")]
    target: Option<PathBuf>,

    /// With --place: restore into the directory DIR, for a drill
    #[arg(long, value_name = "DIR", requires = "place")]
    scratch: Option<PathBuf>,

    /// How a restored tree is compared, where that is not as the config says
    #[arg(long, value_name = "MODE")]
    compare: Option<VerifyMode>,
}

impl Restore {
    /// Whether this is what the command line asks for.
    pub fn is_meant(&self) -> bool {
        self.restore.is_some() || self.restored.is_some() || self.place
    }

    /// Whether stdout carries records, if they are not said otherwise.
    pub fn prints(&self) -> bool {
        self.received.is_none() && self.restored.is_none()
    }

    /// Carries the arguments out.
    pub fn run(
        &self,
        common: &Common,
        subvolumes: &[Name],
        print0: &[String],
    ) -> anyhow::Result<()> {
        let config = common.config()?;
        if self.place {
            return self.print_place(&config, subvolumes, &parse_fields(print0)?);
        }
        let fields = parse_fields(print0)?;
        let config = config.restore;
        let mode = self.compare.unwrap_or(config.verify_mode);
        stdin_is_data("what `bts-manifest chain` writes")?;
        let chain = staging::read_chain(Reader::new(io::stdin().lock(), "stdin"))?;
        check_names(&chain, subvolumes)?;
        if let Some(target) = &self.restored {
            return staging::compare(target, &chain, mode, config.sample_max_files);
        }
        let Some(dir) = &self.restore else { return Ok(()) };
        if let Some(name) = &self.received {
            return staging::check_received(dir, &chain, name);
        }
        let staged = staging::survey(dir, &chain, mode)?;
        if self.rest {
            return staging::write_rest(&chain, &staged, io::stdout().lock()).context(STDOUT);
        }
        staging::warn_of_room(dir, &staged)?;
        write(&staged, &fields)
    }

    fn print_place(
        &self,
        config: &Config,
        subvolumes: &[Name],
        fields: &[DestinationField],
    ) -> anyhow::Result<()> {
        let [name] = subvolumes else {
            return Err(Failure::usage("--place needs one --subvolume NAME").into());
        };
        let wanted = match &self.scratch {
            Some(dir) => Wanted::Scratch(dir),
            None => Wanted::Target(self.target.as_deref()),
        };
        let destination = Destination::find(config, name, wanted)?;
        let values = fields
            .iter()
            .flat_map(|field| [destination.field(*field).as_os_str().as_bytes(), b"\0"].concat());
        io::stdout().write_all(&values.collect::<Vec<u8>>()).context(STDOUT)
    }
}

/// A manifest's key can name another subvolume than the one that is wanted.
fn check_names(chain: &[Link], wanted: &[Name]) -> Result<(), Failure> {
    let name = chain.last().map(|last| &last.backup.subvolume);
    match name.filter(|name| !wanted.is_empty() && !wanted.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Failure::usage(format!("the chain is of {name}, not of {}", wanted[0]))),
    }
}
