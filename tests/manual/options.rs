//! Options: what a page describes is what `--help` prints.

use std::collections::{BTreeMap, BTreeSet};

use bts_tests::program::{Command, wrapper};

use crate::help::{Help, mentioned};
use crate::page::{Item, Page, flags, words};
use crate::{PROGRAMS, WRAPPER, page_of, strings};

/// The options that a page describes: under no subsection, and under each.
fn described(page: &Page) -> BTreeMap<Option<String>, BTreeSet<String>> {
    let subsections = page.subsections("DESCRIPTION").map(|title| Some(title.to_owned()));
    let mut described: BTreeMap<_, BTreeSet<_>> =
        subsections.chain([None]).map(|title| (title, BTreeSet::new())).collect();
    for Item { section, subsection, words, .. } in page.items() {
        if section == "DESCRIPTION" {
            described.entry(subsection).or_default().extend(flags(&words));
        }
    }
    described
}

#[test]
fn pages_describe_exactly_the_options_that_help_prints() {
    for program in PROGRAMS {
        let (help, mut described) = (Help::of(program), described(&page_of(program)));
        let shared = described.remove(&None).unwrap();
        assert_eq!(shared, help.options, "{program}: the page, and --help");
        assert_eq!(
            strings(described.keys().flatten().map(String::as_str)),
            strings(help.subcommands.keys().map(String::as_str)),
            "{program}: the page's subsections, and the subcommands"
        );
        for (subcommand, taken) in &help.subcommands {
            let own = &described[&Some(subcommand.clone())];
            let all: BTreeSet<_> = shared.union(own).cloned().collect();
            // --version is the program's alone.
            let taken: BTreeSet<_> = taken.union(&shared).cloned().collect();
            assert_eq!(all, taken, "{program} {subcommand}: the page, and --help");
        }
    }
}

#[test]
fn the_wrappers_page_describes_exactly_the_options_that_its_help_prints() {
    let help = mentioned(wrapper().arg("--help").run().ok().text());
    let described: BTreeSet<_> = described(&page_of(WRAPPER)).into_values().flatten().collect();
    assert_eq!(described, help, "the page, and --help");
}

#[test]
fn every_option_of_a_program_stands_in_its_synopsis() {
    for program in PROGRAMS.into_iter().chain([WRAPPER]) {
        let page = page_of(program);
        let lines = page.section("SYNOPSIS");
        let words: Vec<_> =
            lines.iter().flat_map(|line| words(line.trim_start_matches('.'))).collect();
        let synopsis = flags(&words);
        let described: BTreeSet<_> = described(&page).into_values().flatten().collect();
        let shared = shared_options();
        let own: BTreeSet<_> = described.difference(&shared).cloned().collect();
        let shown: BTreeSet<_> = synopsis.difference(&shared).cloned().collect();
        assert_eq!(shown, own, "{}: SYNOPSIS, and DESCRIPTION", page.file);
    }
}

/// The fields that a program takes for `--print0`, by what it says to another.
fn print0_fields(program: &str, arguments: &[&str]) -> BTreeSet<String> {
    let ran = Command::new(program).args(arguments).arg("--print0=none-such").run();
    let said = ran.expect_status(64).stderr;
    let list = ["here it takes ", "possible values: "]
        .iter()
        .find_map(|before| said.split_once(before))
        .unwrap_or_else(|| panic!("{program} {arguments:?} does not say what it takes: {said}"));
    let list = list.1.split(['\n', ']']).next().unwrap_or_default();
    strings(list.split(", "))
}

#[test]
fn the_fields_of_print0_are_described_and_no_others() {
    let taken = |program: &str| match program {
        "bts-plan" => [
            &[][..],
            &["--settle"],
            &["--unfinished"],
            &["--settings"],
            &["--restore=x"],
            &["--place", "--subvolume=x"],
        ]
        .iter()
        .flat_map(|arguments| print0_fields(program, arguments))
        .collect(),
        _ => print0_fields(program, &["chain", "--subvolume=x"]),
    };
    for program in ["bts-plan", "bts-manifest"] {
        let items = page_of(program).items();
        let item = items.iter().find(|item| flags(&item.words).contains("--print0")).unwrap();
        let fields = item.body.iter().filter_map(|line| line.strip_prefix(".Cm "));
        let described = strings(
            fields
                .flat_map(str::split_whitespace)
                .filter(|word| word.starts_with(char::is_alphabetic)),
        );
        assert_eq!(described, taken(program), "{program}: its page, and what it takes");
    }
}

fn shared_options() -> BTreeSet<String> {
    let names = "-c --config -S --store --region --endpoint --retry-for -q --quiet -v --verbose \
                 -h --help -V --version";
    strings(names.split(' '))
}

#[test]
fn shared_options_are_described_in_the_same_words_everywhere() {
    let text = |program: &str| {
        let page = page_of(program);
        let lines = page.lines().join("\n");
        let begin = lines.find(".It Fl c Ar file").expect("-c is described");
        let end = begin + lines[begin..].find("\n.El").expect("a list ends");
        lines[begin..end].to_owned()
    };
    for program in PROGRAMS {
        assert_eq!(text(program), text("bts-put"), "{program}, and bts-put");
    }
}
