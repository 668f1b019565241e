//! The arguments of `bts-put`, and what they ask of the library.

use std::path::PathBuf;

use bts::cli::{Common, block_on, stdin, stdin_is_data};
use bts::exit::Status;
use bts::names::BackupId;
use bts::record::{Frames, Reader};
use bts::size::parse_size;
use bts::upload::{Options, Spooling, upload};
use clap::Parser;

/// Upload a framed stream, as bts-chunk writes it, and print a record for each
/// stored chunk
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// Name the backup, where the stream carries no plan:
    /// subvol/NAME/KIND/TIME-XXXXXXXX
    #[arg(long, value_name = "ID")]
    backup: Option<BackupId>,

    /// Send this many parts at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: Option<u8>,

    /// Cut chunks into parts of this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    part_size: Option<u64>,

    /// Store the chunks in this storage class
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,

    /// Note what is stored in FILE, and go on from there when the same upload is
    /// started again; a stream with a plan has its journal beside the state file
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// The flags that all programs take.
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Carries the arguments out.
    pub fn run(self) -> anyhow::Result<Status> {
        stdin_is_data("what bts-chunk writes")?;
        let config = self.common.config()?;
        let settings = self.common.settings(&config)?;
        let spool = Spooling::of(&config);
        let class = self.storage_class.unwrap_or(config.s3.storage_class_chunks);
        let options = Options {
            backup: self.backup,
            concurrency: self.concurrency.map_or(config.s3.concurrency, usize::from),
            part_size: self.part_size,
            storage_class: settings.storage_class(class),
            storage_class_small: config.s3.storage_class_manifest,
            sse: settings.encryption().map(str::to_owned),
            journal: self.journal,
            state: config.global.state_path,
            spool,
        };
        let frames = Frames::new(Reader::new(stdin()?, "stdin"));
        block_on(async {
            let archive = bts::store::open(&settings).await?;
            upload(&archive, frames, &options, std::io::stdout().lock()).await
        })?;
        Ok(Status::Done)
    }
}
