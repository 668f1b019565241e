//! The arguments of `bts-get`, and what they ask of the library.

use bts::cli::{Common, block_on, stdin, stdin_is_data, stdout, stdout_is_binary};
use bts::download::{Check, Options, download_records};
use bts::exit::Status;
use clap::Parser;

/// Fetch the objects of backups, check them, and write their bytes in order
///
/// Reads the records of bts-manifest chain, or those that bts-put printed, to
/// their end; looks for every object; then writes the objects' bytes to stdout,
/// each part after it was checked. Of an object without digests of its parts the
/// last MiB is withheld until its own digest matches.
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

    /// The flags that all programs take.
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Carries the arguments out.
    pub fn run(self) -> anyhow::Result<Status> {
        stdin_is_data("what bts-manifest chain prints")?;
        stdout_is_binary("what bts-get writes")?;
        let options = Options { concurrency: usize::from(self.concurrency), check: self.check };
        let config = self.common.config()?;
        let input = stdin()?;
        let output = stdout()?;
        block_on(async {
            let archive = self.common.archive(&config).await?;
            download_records(&archive, input, &options, output).await
        })?;
        Ok(Status::Done)
    }
}
