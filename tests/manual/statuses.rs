//! Exit statuses: those that a page lists are those that come.

use bts::exit::Status;
use bts_tests::program::Command;

use crate::page::{Page, page};
use crate::{PROGRAMS, WRAPPER, page_of};

/// The statuses that a page's list in `section` names.
fn statuses(page: &Page, section: &str) -> Vec<u8> {
    let items = page.items();
    let listed = items.iter().filter(|item| item.section == section);
    let codes = listed.filter(|item| item.words.len() == 1);
    codes.filter_map(|item| item.words[0].parse().ok()).collect()
}

#[test]
fn exit_statuses_are_ours_and_in_order() {
    let ours: Vec<u8> = (0..=u8::MAX).filter(|code| Status::from_code(*code).is_some()).collect();
    assert_eq!(statuses(&page("bts.7"), "FAILURE"), ours, "bts(7), and the library");
    for program in PROGRAMS.into_iter().chain([WRAPPER]) {
        let page = page_of(program);
        let listed = statuses(&page, "EXIT STATUS");
        assert!(listed.is_sorted(), "{}: {listed:?}", page.file);
        for needed in [Status::Done, Status::Usage, Status::Config] {
            assert!(listed.contains(&needed.code()), "{} does not list {needed}", page.file);
        }
        for code in listed {
            assert!(ours.contains(&code), "{}: {code} is no status of ours", page.file);
        }
    }
}

#[test]
fn programs_fail_with_statuses_that_their_pages_list() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "[s3]\nbuckett = \"x\"\n").unwrap();
    let bad = format!("-c{}", bad.display());
    let store = format!("-Sfile://{}/none", folder.path().display());
    for program in PROGRAMS {
        let listed = statuses(&page_of(program), "EXIT STATUS");
        let check = |arguments: &[&str], expected: Option<Status>| {
            let ran = Command::new(program).args(arguments).run();
            let status = u8::try_from(ran.status()).unwrap_or(u8::MAX);
            assert!(
                listed.contains(&status),
                "{program} {arguments:?} ended with {status}, its page lists {listed:?}; \
                 it said: {}",
                ran.stderr
            );
            if let Some(expected) = expected {
                assert_eq!(status, expected.code(), "{program} {arguments:?}: {}", ran.stderr);
            }
        };
        let job: &[&str] = match program {
            "bts-manifest" => &["publish"],
            _ => &[],
        };
        check(&["--no-such-option"], Some(Status::Usage));
        check(&[job, &[&bad]].concat(), Some(Status::Config));
        check(&[job, &["-c/nowhere/at/all.toml"]].concat(), Some(Status::Config));
        // Nothing on stdin; bts-plan misses its config first.
        let expected = (program != "bts-plan").then_some(Status::Data);
        check(&[job, &[&store]].concat(), expected);
    }
}
