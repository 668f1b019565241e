//! Sections, references between pages, and what mandoc has to say.

use std::collections::BTreeSet;
use std::process::Command;

use crate::page::{self, Page, page};
use crate::{PROGRAMS, WRAPPER, page_of};

#[test]
fn program_pages_have_the_sections_that_people_look_for() {
    for program in PROGRAMS.into_iter().chain([WRAPPER]) {
        let page = page_of(program);
        let sections = page.sections();
        for needed in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "ENVIRONMENT",
            "EXIT STATUS",
            "EXAMPLES",
            "SEE ALSO",
        ] {
            assert!(sections.contains(&needed), "{} has no section {needed}", page.file);
        }
    }
}

#[test]
fn the_overview_refers_to_every_page_and_every_reference_leads_somewhere() {
    let pages: BTreeSet<(String, String)> = page::all()
        .iter()
        .map(|page| (page.name().0.to_owned(), page.name().1.to_owned()))
        .collect();
    let ours = |name: &str| name.starts_with("bts") || name.starts_with("btrfs-to-s3");
    let overview = Page::references(&page("bts.7").section("SEE ALSO"));
    let mut missing = pages.clone();
    missing.retain(|page| page.0 != "bts" && !overview.contains(page));
    assert!(missing.is_empty(), "bts(7) does not refer to {missing:?}");
    for page in page::all() {
        for reference in Page::references(&page.lines()) {
            let fine = !ours(&reference.0) || pages.contains(&reference);
            assert!(fine, "{} refers to {reference:?}, which is not there", page.file);
        }
    }
}

#[test]
fn mandoc_has_nothing_to_say_about_any_page() {
    let version = Command::new("mandoc").arg("-Tlint").arg("/dev/null").output();
    if version.is_err() {
        println!("skipped: there is no mandoc here");
        return;
    }
    for page in page::all() {
        let mut lint = Command::new("mandoc");
        let said = lint.args(["-Tlint", "-Wwarning"]).arg(&page.path).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout);
        assert!(said.is_empty(), "{said}");
    }
}
