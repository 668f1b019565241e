//! The arguments of `bts-plan`, and what they ask of the library.

use std::io::{self, Write};

use anyhow::Context;
use bts::cli::{Common, Outcome, stdin_is_data};
use bts::config::Config;
use bts::exit::{Failure, Status};
use bts::moment::Moment;
use bts::names::Name;
use bts::plan::{self, Fields, Options, read_currents, write_fields};
use bts::record::{Current, Reader, Typed, Writer};
use clap::{Parser, ValueEnum};

/// Decide what to back up: full, incremental, on with what was begun, or nothing,
/// for each subvolume, and why
///
/// Reads what `bts-manifest current --all` writes, looks at the subvolumes, their
/// snapshots and the journals, and prints a plan for each. Makes and deletes
/// nothing.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// Back up now, whatever the schedule says
    #[arg(long)]
    once: bool,

    /// Make full backups
    #[arg(long)]
    full: bool,

    /// Plan for this subvolume alone; may be given several times
    #[arg(long = "subvolume", value_name = "NAME")]
    subvolumes: Vec<Name>,

    /// Begin anew where the archive lacks a backup that this machine remembers
    #[arg(long)]
    new_archive: bool,

    /// Plan for another time: 2026-01-17T02:00 (local) or 2026-01-17T01:00:00Z
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    now: Option<Moment>,

    /// Read what `bts-manifest publish` writes, remember it, and name the local
    /// snapshots that nothing needs any more
    #[arg(long, conflicts_with_all = ["once", "full", "subvolumes", "new_archive", "now"])]
    settle: bool,

    /// Print the runs that a later attempt goes on with; reads no input
    #[arg(long,
        conflicts_with_all = ["settle", "once", "full", "subvolumes", "new_archive", "now"])]
    unfinished: bool,

    /// Print settings of the config; reads no input
    #[arg(long, requires = "print0",
        conflicts_with_all = ["settle", "unfinished", "once", "full", "subvolumes", "new_archive", "now"])]
    settings: bool,

    /// Print only these values, each ended by a NUL byte
    ///
    /// Of a plan: name, action, reason, path, snapshot, parent, send_args, backup,
    /// record. With --settle: name, snapshot, reason. With --unfinished: name, snapshot,
    /// backup. With --settings: lock, state, base_dir, store.
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    print0: Vec<String>,

    /// The flags that all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// A setting that `--settings --print0` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Setting {
    /// The lock file
    Lock,
    /// The state file
    State,
    /// The snapshot directory; empty where none is set
    BaseDir,
    /// The archive's URL
    Store,
}

impl Cli {
    /// What stdout carries.
    pub fn output(&self) -> Outcome {
        if self.print0.is_empty() { Outcome::Records } else { Outcome::Bytes }
    }

    /// Carries the arguments out.
    pub fn run(self) -> anyhow::Result<Status> {
        if self.settings {
            self.print_settings()?;
        } else if self.unfinished {
            let fields = parse_fields(&self.print0)?;
            write(&plan::unfinished(&self.common.config()?)?, &fields)?;
        } else if self.settle {
            let fields = parse_fields(&self.print0)?;
            let (config, published) = self.input("what `bts-manifest publish` writes")?;
            write(&plan::settle(&config, &published)?, &fields)?;
        } else {
            let fields = parse_fields(&self.print0)?;
            let (config, currents) = self.input("what `bts-manifest current --all` writes")?;
            write(&plan::tonight(&config, &self.options(&config), &currents)?, &fields)?;
        }
        Ok(Status::Done)
    }

    /// The config comes first: what is wrong with it must be said before anybody
    /// waits for input.
    fn input(&self, what: &str) -> anyhow::Result<(Config, Vec<Current>)> {
        let config = self.common.config()?;
        stdin_is_data(what)?;
        let currents = read_currents(Reader::new(io::stdin().lock(), "stdin"))?;
        Ok((config, currents))
    }

    fn options(&self, config: &Config) -> Options {
        Options {
            // A plan needs no store; without one nothing is gone on with.
            store: self.common.settings(config).ok().map(|settings| settings.url),
            once: self.once,
            full: self.full,
            new_archive: self.new_archive,
            subvolumes: self.subvolumes.clone(),
            now: self.now.as_ref().map_or_else(jiff::Zoned::now, |now| now.first().clone()),
        }
    }

    fn print_settings(&self) -> anyhow::Result<()> {
        let settings: Vec<Setting> = parse_fields(&self.print0)?;
        let config = self.common.config()?;
        let mut text = String::new();
        for setting in settings {
            text += &match setting {
                Setting::Lock => config.global.lock_path.to_string_lossy().into_owned(),
                Setting::State => config.global.state_path.to_string_lossy().into_owned(),
                Setting::BaseDir => match &config.snapshots.base_dir {
                    Some(path) => path.to_string_lossy().into_owned(),
                    None => String::new(),
                },
                Setting::Store => self.common.settings(&config)?.url.to_string(),
            };
            text.push('\0');
        }
        io::stdout().write_all(text.as_bytes()).context(STDOUT)
    }
}

const STDOUT: &str = "cannot write to stdout";

/// Prints records, or only some of their values where `fields` names them.
fn write<T: Fields + Typed + serde::Serialize>(
    records: &[T],
    fields: &[T::Field],
) -> anyhow::Result<()> {
    let stdout = io::stdout().lock();
    if !fields.is_empty() {
        return write_fields(records, fields, stdout).context(STDOUT);
    }
    let mut writer = Writer::new(stdout);
    records.iter().try_for_each(|record| writer.write(record)).context(STDOUT)
}

/// Which values there are depends on what is printed, so that clap cannot tell.
fn parse_fields<T: ValueEnum>(words: &[String]) -> Result<Vec<T>, Failure> {
    let parse = |word: &String| {
        T::from_str(word, false).map_err(|_| {
            let known = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let known: Vec<_> = known.map(|value| value.get_name().to_owned()).collect();
            Failure::usage(format!("--print0 {word}: here it takes {}", known.join(", ")))
        })
    };
    words.iter().map(parse).collect()
}
