//! The arguments of `bts-get`, and what they ask of the library.

use std::time::Duration;

use bts::cli::{
    Common, Outcome, block_on, parse_duration, stdin, stdin_is_data, stdout, stdout_is_binary,
};
use bts::config::Restore;
use bts::download::{Check, Options, download, read};
use bts::exit::Status;
use bts::record::Reader;
use bts::store::Tier;
use bts::thaw::{self, survey, thaw};
use clap::{Args, Parser};

/// Fetch the objects of backups, check them, and write their bytes in order
///
/// Reads the records of bts-manifest chain, or those that bts-put printed, to
/// their end; looks for every object; asks for those in an archive to be thawed,
/// all at once, and waits; then writes the objects' bytes to stdout, each part
/// after it was checked. Of an object without digests of its parts the last MiB
/// is withheld until its own digest matches.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// Fetch this many ranges at a time
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: u8,

    /// What to check where the archive has digests of parts
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Check::Part)]
    check: Check,

    /// How archived objects are thawed.
    #[command(flatten)]
    thaw: ThawFlags,

    /// The flags that all programs take.
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args, Debug)]
struct ThawFlags {
    /// Only say what would be thawed and downloaded
    #[arg(long, conflicts_with = "thaw_only")]
    dry_run: bool,

    /// Thaw and wait, and download nothing
    #[arg(long)]
    thaw_only: bool,

    /// How fast to thaw
    #[arg(long, value_name = "TIER", value_enum, ignore_case = true)]
    tier: Option<Tier>,

    /// For how many days thawed copies stay
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,

    /// Wait until everything is thawed
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,

    /// Ask for the thaw and exit with 75
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,

    /// Wait for the thaw no longer than this (12h, 3d)
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// Look this often whether it is ready
    #[arg(long, value_name = "TIME", value_parser = parse_pause)]
    poll: Option<Duration>,
}

fn parse_pause(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("that would ask the store without end".to_owned()),
        pause => Ok(pause),
    }
}

impl ThawFlags {
    /// What the flags and the config come to.
    fn options(&self, config: &Restore) -> thaw::Options {
        let timeout = Duration::from_secs(config.restore_timeout_seconds);
        let wait = self.wait || (config.wait_for_restore && !self.no_wait);
        thaw::Options {
            tier: self.tier.unwrap_or(config.restore_tier),
            wrong_tier: if self.tier.is_some() { Status::Usage } else { Status::Config },
            days: self.days.unwrap_or(config.restore_days),
            patience: wait.then(|| self.timeout.unwrap_or(timeout)),
            poll: self.poll,
        }
    }
}

impl Cli {
    /// What stdout carries.
    pub fn output(&self) -> Outcome {
        if self.thaw.dry_run { Outcome::Records } else { Outcome::Bytes }
    }

    /// Carries the arguments out.
    pub fn run(self) -> anyhow::Result<Status> {
        stdin_is_data("what bts-manifest chain prints")?;
        if !self.thaw.dry_run && !self.thaw.thaw_only {
            stdout_is_binary("what bts-get writes")?;
        }
        let options = Options { concurrency: usize::from(self.concurrency), check: self.check };
        let config = self.common.config()?;
        let input = stdin()?;
        let output = stdout()?;
        let thaws = self.thaw.options(&config.restore);
        block_on(async {
            let archive = self.common.archive(&config).await?;
            let wanted = read(&mut Reader::new(input, "stdin"))?;
            let seen = survey(&archive, &wanted).await?;
            if self.thaw.dry_run {
                return thaw::print(&seen, &thaws, output);
            }
            thaw(&archive, seen, &thaws).await?;
            if !self.thaw.thaw_only {
                download(&archive, wanted, &options, output).await?;
            }
            Ok(())
        })?;
        Ok(Status::Done)
    }
}
