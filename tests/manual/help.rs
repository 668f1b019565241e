//! What the programs say of themselves with `--help`.

use std::collections::{BTreeMap, BTreeSet};

use bts_tests::program::Command;

/// What `--help` says: the options of the program itself, and those of each of
/// its subcommands.
pub struct Help {
    /// The options without a subcommand.
    pub options: BTreeSet<String>,
    /// The subcommands and all options that each takes.
    pub subcommands: BTreeMap<String, BTreeSet<String>>,
}

impl Help {
    /// Asks `program`.
    pub fn of(program: &str) -> Self {
        let text = ask(program, &["--help"]);
        let subcommands = subcommands(&text).map(|name| {
            let options = options(&ask(program, &[name, "--help"]));
            (name.to_owned(), options)
        });
        Self { options: options(&text), subcommands: subcommands.collect() }
    }

    /// Every option that the program takes somewhere.
    pub fn all(&self) -> BTreeSet<&str> {
        let all = self.options.iter().chain(self.subcommands.values().flatten());
        all.map(String::as_str).collect()
    }
}

fn ask(program: &str, arguments: &[&str]) -> String {
    Command::new(program).args(arguments).run().ok().text().to_owned()
}

/// The options in a help text: `-c`, `--config`. They begin their lines; the
/// words that explain them are indented further.
pub fn options(help: &str) -> BTreeSet<String> {
    let heads = help.lines().filter_map(|line| {
        let head = line.trim_start();
        (line.len() - head.len() <= 6 && head.starts_with('-')).then_some(head)
    });
    heads.flat_map(names).collect()
}

/// The options that a help text mentions anywhere: for one whose lines hold
/// several.
pub fn mentioned(help: &str) -> BTreeSet<String> {
    let words = help.split_whitespace().filter(|word| word.starts_with('-'));
    words.map(|word| word.trim_end_matches(',').to_owned()).collect()
}

/// The names at the front of a line like `-c, --config <FILE>  Read ...`.
fn names(head: &str) -> Vec<String> {
    let words = head.split(' ').take_while(|word| word.starts_with('-'));
    words.map(|word| word.trim_end_matches(',').trim_end_matches("...").to_owned()).collect()
}

fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| line.starts_with(' '))
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
}

#[test]
fn options_are_told_from_the_words_that_explain_them() {
    let help = "\
Options:
  -c, --config <FILE>   Read it;
                        --region is something else
      --region <REGION>
          The region. Long help puts words here:
          --no-option
  -v, --verbose...      Say more
      --hash <HASH>     One of [possible values: a, b]
";
    let found = options(help);
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["--config", "--hash", "--region", "--verbose", "-c", "-v"]);
}
