//! The arguments of `bts-manifest`, and what they ask of the library.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use anyhow::Context;
use bts::catalog::{self, Form};
use bts::chain::{self, Field, Selected};
use bts::cli::{Common, Outcome, block_on, parse_duration, stdin, stdin_is_data};
use bts::config::Config;
use bts::exit::{Failure, Status};
use bts::gc;
use bts::journal;
use bts::lock::Lock;
use bts::moment::Moment;
use bts::names::Name;
use bts::publish::{publish_noted, publish_records};
use bts::store::{Archive, Key};
use clap::{Args, Parser, Subcommand};

/// Publish backups, and tell what an archive holds
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// The flags that all programs take.
    #[command(flatten)]
    pub common: Common,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Publish the backup whose records bts-put printed
    ///
    /// Reads them on stdin, or in a run's journal. Checks them against the store, writes the manifest,
    /// then moves the subvolume's current.json. Prints a `current` record.
    Publish(Publish),

    /// Print which backup each subvolume stands at
    ///
    /// Looks for every object of its chain, and lists those that are missing. A
    /// subvolume without a backup gives no record.
    Current(Current),

    /// Print a manifest as it is stored
    Show(Which),

    /// Print a backup and all that it stands on, the full first
    ///
    /// As records for bts-get, or as bare values for a shell.
    Chain(Chain),

    /// List every backup, and whether all that it stands on is there
    ///
    /// What cannot be restored is listed too. Where a manifest cannot be read, or a
    /// chain contradicts itself, it says so and ends with status 65 after all.
    List(List),

    /// List what dead runs left in the archive, or remove it
    ///
    /// Unfinished multipart uploads, and objects that no manifest reaches. Never
    /// those of a run that can go on. Without --delete nothing is removed.
    Gc(Gc),
}

#[derive(Args, Debug)]
struct Publish {
    /// Publish the run of this subvolume whose journal says that all of it is
    /// stored; reads no input
    #[arg(long, value_name = "NAME")]
    subvolume: Option<Name>,
}

#[derive(Args, Debug)]
struct Current {
    /// Only this subvolume; may be given more than once
    #[arg(long, value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    subvolume: Vec<Name>,

    /// All subvolumes of the config, or of the archive where the config names none
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// The current backup of this subvolume
    #[arg(long, value_name = "NAME")]
    subvolume: Option<Name>,

    /// The backup whose manifest has this whole key
    #[arg(long, value_name = "KEY")]
    manifest_key: Option<Key>,
}

#[derive(Args, Debug)]
struct Chain {
    #[command(flatten)]
    which: Which,

    /// The newest backup of this time or before: 2026-11-01 (all that day),
    /// 2026-11-01T02:00 (local), 2026-11-01T01:00:00Z
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, requires = "subvolume",
        conflicts_with = "manifest_key")]
    at: Option<Moment>,

    /// Only that backup, without what it stands on
    #[arg(long)]
    only: bool,

    /// Print these values of each backup, a NUL byte after each, and no records
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', value_enum)]
    print0: Vec<Field>,
}

#[derive(Args, Debug)]
struct List {
    /// Only this subvolume; may be given more than once
    #[arg(long, value_name = "NAME")]
    subvolume: Vec<Name>,

    /// Print records instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Gc {
    /// Remove it
    #[arg(long)]
    delete: bool,

    /// Only what is older than TIME
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "7d")]
    older_than: Duration,
}

impl Cli {
    /// What stdout carries.
    pub fn output(&self) -> Outcome {
        match &self.verb {
            Verb::Publish(_) | Verb::Current(_) | Verb::Gc(_) => Outcome::Records,
            Verb::Chain(chain) if chain.print0.is_empty() => Outcome::Records,
            Verb::List(list) if list.json => Outcome::Records,
            Verb::Chain(_) | Verb::Show(_) | Verb::List(_) => Outcome::Bytes,
        }
    }

    /// Carries the arguments out.
    pub fn run(self) -> anyhow::Result<Status> {
        if let Verb::Publish(Publish { subvolume: None }) = self.verb {
            stdin_is_data("what bts-put prints")?;
        }
        let config = self.common.config()?;
        block_on(async {
            let archive = self.common.archive(&config).await?;
            let out = BufWriter::new(io::stdout().lock());
            self.verb.run(&archive, &config, out).await
        })
    }
}

impl Verb {
    async fn run(
        self,
        archive: &Archive,
        config: &Config,
        out: impl Write,
    ) -> anyhow::Result<Status> {
        match self {
            Self::List(list) => return list.run(archive, out).await,
            Self::Publish(which) => which.run(archive, config, out).await?,
            Self::Current(which) => chain::write_current(archive, which.names(config), out).await?,
            Self::Show(which) => chain::write_manifest(archive, &which.selected()?, out).await?,
            Self::Chain(chain) => chain.print(archive, out).await?,
            Self::Gc(gc) => gc.run(archive, config, out).await?,
        }
        Ok(Status::Done)
    }
}

impl Publish {
    async fn run(self, archive: &Archive, config: &Config, out: impl Write) -> anyhow::Result<()> {
        let class = &config.s3.storage_class_manifest;
        match &self.subvolume {
            None => publish_records(archive, stdin()?, class, out).await,
            Some(name) => {
                let path = journal::path(&config.global.state_path, name);
                publish_noted(archive, &path, class, out).await
            }
        }
    }
}

impl Current {
    /// The names to ask for; `None` asks for all that the archive holds.
    fn names(self, config: &Config) -> Option<Vec<Name>> {
        if !self.all {
            return Some(self.subvolume);
        }
        let names: Vec<Name> = config.subvolumes.iter().map(|one| one.name.clone()).collect();
        (!names.is_empty()).then_some(names)
    }
}

impl Which {
    fn selected(self) -> Result<Selected, Failure> {
        Selected::new(self.subvolume, self.manifest_key)
    }
}

impl Chain {
    async fn print(self, archive: &Archive, out: impl Write) -> anyhow::Result<()> {
        let selected = match (&self.which.subvolume, &self.at) {
            (Some(name), Some(moment)) => {
                Selected::Manifest(catalog::at(archive, name, moment).await?)
            }
            _ => self.which.selected()?,
        };
        let links = chain::resolve(archive, &selected, self.only).await?;
        let written = if self.print0.is_empty() {
            chain::write_records(&links, out)
        } else {
            chain::write_fields(&links, &self.print0, out)
        };
        written.context("writing to stdout")
    }
}

impl List {
    async fn run(self, archive: &Archive, out: impl Write) -> anyhow::Result<Status> {
        let form = if self.json { Form::Records } else { Form::Table };
        catalog::list(archive, &self.subvolume, form, out).await
    }
}

impl Gc {
    async fn run(self, archive: &Archive, config: &Config, out: impl Write) -> anyhow::Result<()> {
        let Self { delete, older_than } = self;
        let _lock = delete.then(|| Lock::take(&config.global.lock_path)).transpose()?;
        let state = &config.global.state_path;
        gc::gc(archive, &gc::Options { older_than, delete, state }, out).await
    }
}
