//! The manual says what the programs do: its pages are compared with the programs
//! and the library themselves, both ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod config;
mod examples;
mod help;
mod options;
mod page;
mod records;
mod samples;
mod statuses;
mod structure;

use std::collections::BTreeSet;

use page::{Page, page};

/// The five programs.
const PROGRAMS: [&str; 5] = ["bts-plan", "bts-chunk", "bts-put", "bts-manifest", "bts-get"];

const WRAPPER: &str = "btrfs-to-s3";

/// The page of a program or of the wrapper.
fn page_of(program: &str) -> Page {
    page(&format!("{program}.{}", if program == WRAPPER { 8 } else { 1 }))
}

fn strings<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}
