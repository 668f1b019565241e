//! Config keys: what the parser knows is described, with its default.

use std::collections::BTreeSet;

use bts::config::Config;
use bts_tests::program::shell;

use crate::page::{Item, behind, page};

/// A key as the manual describes it.
struct Described {
    section: String,
    key: String,
    /// As it would be written in the file; `None` where there is none.
    default: Option<String>,
}

fn described() -> Vec<Described> {
    let mut all = Vec::new();
    for Item { subsection, words, body, .. } in page("btrfs-to-s3.toml.5").items() {
        let title = subsection.as_deref().and_then(|title| title.strip_prefix('['));
        let Some((section, _)) = title.and_then(|title| title.split_once(']')) else { continue };
        let keys: Vec<_> = behind("Cm", &words).collect();
        let [key] = keys[..] else { panic!("{words:?} is not one key") };
        let default = default(&body).unwrap_or_else(|| panic!("{key}: no default is said"));
        all.push(Described { section: section.to_owned(), key: key.to_owned(), default });
    }
    all
}

/// What a description ends with: `Default:` and a literal, or `Default: none.`
fn default(body: &[String]) -> Option<Option<String>> {
    let (last, before) = body.split_last()?;
    if last == "Default: none." {
        return Some(None);
    }
    let value = last.strip_prefix(".Ql ")?.strip_suffix(" .")?;
    (before.last()? == "Default:").then(|| Some(value.to_owned()))
}

#[test]
fn every_key_is_described_and_no_other() {
    let described: Vec<_> = described().into_iter().map(|it| (it.section, it.key)).collect();
    let known: Vec<_> =
        bts::config::keys().map(|(section, key)| (section.to_owned(), key.to_owned())).collect();
    let (described_set, known_set): (BTreeSet<_>, BTreeSet<_>) =
        (described.iter().cloned().collect(), known.iter().cloned().collect());
    assert_eq!(described_set, known_set, "btrfs-to-s3.toml(5), and the parser");
    assert_eq!(described.len(), known.len(), "a key is described twice");
}

#[test]
fn a_file_of_the_described_defaults_changes_nothing() {
    let mut file = String::new();
    for Described { section, key, default } in described() {
        // What it comes to without the key is for the programs' flags to say.
        if let (Some(value), false) = (default, key == "log_level") {
            let bare = value.parse::<u64>().is_ok() || value.parse::<bool>().is_ok();
            let value = if bare { value } else { format!("{value:?}") };
            file.push_str(&format!("{section}.{key} = {value}\n"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("defaults.toml");
    std::fs::write(&path, &file).unwrap();
    let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}\n{file}"));
    assert_eq!(config, Config::default(), "the described defaults, and the real ones:\n{file}");
}

#[test]
fn log_level_says_more_or_less_until_a_flag_does() {
    let said = |before: &str, flags: &str| {
        shell(&format!("printf x | {before} bts-chunk --raw {flags} >/dev/null")).run().ok().stderr
    };
    assert_eq!(said("", ""), "");
    assert!(said("BTRFS_TO_S3_GLOBAL_LOG_LEVEL=debug", "").contains("debug: "));
    assert_eq!(said("BTRFS_TO_S3_GLOBAL_LOG_LEVEL=debug", "-q"), "");
    assert!(said("BTRFS_TO_S3_GLOBAL_LOG_LEVEL=error", "-v").contains("debug: "));
    assert!(said("RUST_LOG=bts=debug BTRFS_TO_S3_GLOBAL_LOG_LEVEL=error", "").contains("debug: "));
}
