//! What people copy: the commands in examples use options that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::help::Help;
use crate::page;
use crate::{PROGRAMS, strings};

/// The long options behind each of our programs in a command line.
fn used_options(command: &str) -> Vec<(String, Vec<String>)> {
    let mut used = Vec::new();
    for stage in command.split(['|', ';', '&', '(', ')', '`']) {
        let words: Vec<_> = stage.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| PROGRAMS.contains(word)) else { continue };
        // Behind a bare -- stand the words of another program.
        let arguments = words[at + 1..].iter().take_while(|word| **word != "--");
        let options = arguments.filter(|word| is_long_option(word));
        used.push((words[at].to_owned(), options.map(|word| (*word).to_owned()).collect()));
    }
    used
}

fn is_long_option(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| name.starts_with(char::is_alphabetic))
}

#[test]
fn examples_use_only_options_that_exist() {
    let helps: BTreeMap<_, _> =
        PROGRAMS.into_iter().map(|program| (program, Help::of(program))).collect();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("there is a README.md");
    let mut commands: Vec<_> = readme
        .replace("\\\n", " ")
        .lines()
        .map(|line| ("README.md".to_owned(), line.to_owned()))
        .collect();
    for page in page::all() {
        let shown = page.commands().into_iter();
        commands.extend(shown.map(|command| (page.file.clone(), command)));
    }
    let mut seen = BTreeSet::new();
    for (file, command) in commands {
        for (program, options) in used_options(&command) {
            let all = helps[program.as_str()].all();
            for option in options {
                let name = option.split('=').next().unwrap_or(&option);
                assert!(all.contains(name), "{file}: {program} has no {name}: {command}");
            }
            seen.insert(program);
        }
    }
    assert_eq!(seen, strings(PROGRAMS), "programs that an example shows, and all of them");
}

/// The names before the first `:` of a line like "- `http`, `hyper`: why".
fn named(line: &str) -> impl Iterator<Item = &str> {
    let names =
        line.strip_prefix("- ").and_then(|line| line.split_once("`: ")).map(|(names, _)| names);
    names.into_iter().flat_map(|names| names.split(", ")).map(|name| name.trim_matches('`'))
}

#[test]
fn the_readme_says_of_every_crate_why_it_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let listed = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let listed = listed.take_while(|line| !line.starts_with('['));
    let listed: BTreeSet<_> =
        listed.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, readme) = readme.split_once("## Why these crates").expect("the section is there");
    let mut explained: BTreeSet<_> = readme.lines().flat_map(named).collect();
    explained.insert("bts");
    assert_eq!(explained, listed, "README.md, and [workspace.dependencies]");
}
