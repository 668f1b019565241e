//! Real streams (tests/data/record makes them) and streams built by hand.

use proptest::prelude::*;
use uuid::Uuid;

use super::format::{MAGIC, attribute};
use super::{Checker, Command, Error, Identity, Problem};
use crate::exit::{HasStatus, Status};

const FULL: &[u8] = include_bytes!("../../../tests/data/full.btrfs");
const INC: &[u8] = include_bytes!("../../../tests/data/inc.btrfs");
const FULL_V2: &[u8] = include_bytes!("../../../tests/data/full-v2.btrfs");
const INC_V2: &[u8] = include_bytes!("../../../tests/data/inc-v2.btrfs");
const NO_DATA: &[u8] = include_bytes!("../../../tests/data/full-no-data.btrfs");

fn check(bytes: &[u8]) -> Result<Identity, Error> {
    let mut checker = Checker::new();
    checker.feed(bytes)?;
    checker.finish()
}

fn refused(bytes: &[u8]) -> Error {
    check(bytes).expect_err("the stream should be refused")
}

const WRITE: u16 = 15;
const MKFILE: u16 = 3;
const OURS: Uuid = Uuid::from_u128(1);
const PARENT: Uuid = Uuid::from_u128(2);

fn command(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.extend(number.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    let crc = !crc32c::crc32c_append(!0, &bytes);
    bytes[6..10].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn attribute(number: u16, value: &[u8]) -> Vec<u8> {
    let len = value.len() as u16;
    [&number.to_le_bytes(), &len.to_le_bytes(), value].concat()
}

fn header(version: u32) -> Vec<u8> {
    [&MAGIC[..], &version.to_le_bytes()].concat()
}

fn named(name: &[u8]) -> Vec<u8> {
    [
        attribute(attribute::PATH, name),
        attribute(attribute::UUID, OURS.as_bytes()),
        attribute(attribute::CTRANSID, &7u64.to_le_bytes()),
    ]
    .concat()
}

fn subvol() -> Vec<u8> {
    command(Command::SUBVOL.0, &named(b"name"))
}

fn snapshot() -> Vec<u8> {
    let parent = [
        attribute(attribute::CLONE_UUID, PARENT.as_bytes()),
        attribute(attribute::CLONE_CTRANSID, &5u64.to_le_bytes()),
    ];
    command(Command::SNAPSHOT.0, &[named(b"name"), parent.concat()].concat())
}

fn end() -> Vec<u8> {
    command(Command::END.0, &[])
}

/// Where each command of a sound stream begins; the last is END.
fn starts(stream: &[u8]) -> Vec<usize> {
    let mut starts = vec![17];
    loop {
        let start = starts[starts.len() - 1];
        let len = u32::from_le_bytes(stream[start..start + 4].try_into().unwrap()) as usize;
        if start + 10 + len >= stream.len() {
            return starts;
        }
        starts.push(start + 10 + len);
    }
}

#[test]
fn real_streams_pass_and_name_their_snapshots() {
    let full = check(FULL).unwrap();
    assert_eq!(full.snapshot_name, "data__20260117T220511Z__full");
    assert_eq!((full.version, full.parent), (1, None));
    let inc = check(INC).unwrap();
    assert_eq!(inc.snapshot_name, "data__20260124T220511Z__inc");
    let parent = inc.parent.unwrap();
    assert_eq!((parent.uuid, parent.ctransid), (full.uuid, full.ctransid));
    let full_v2 = check(FULL_V2).unwrap();
    assert_eq!(full_v2, Identity { version: 2, ..full });
    assert_eq!(check(INC_V2).unwrap(), Identity { version: 2, ..inc });
}

#[test]
fn the_snapshot_is_known_once_its_command_has_come() {
    let mut checker = Checker::new();
    let first = starts(FULL)[1];
    checker.feed(&FULL[..first - 1]).unwrap();
    assert_eq!(checker.identity(), None);
    checker.feed(&FULL[first - 1..first]).unwrap();
    assert_eq!(checker.identity(), Some(&check(FULL).unwrap()));
}

#[test]
fn the_end_command_has_the_crc_that_kernels_write() {
    assert_eq!(end()[6..], 0x9dc9_6c50_u32.to_le_bytes());
    assert!(FULL.ends_with(&end()));
}

#[test]
fn every_prefix_is_refused_where_it_ends() {
    for stream in [FULL, INC, FULL_V2, INC_V2] {
        let starts = starts(stream);
        let mut checker = Checker::new();
        for len in 0..stream.len() {
            let error = checker.clone().finish().expect_err("a prefix passed for the whole");
            assert_eq!((error.offset, error.status()), (len as u64, Status::Data), "{error}");
            let expected = match len {
                0 => Problem::Empty,
                1..17 => Problem::CutInHeader,
                _ if starts.contains(&len) => Problem::NoEnd,
                _ => Problem::CutInCommand,
            };
            assert_eq!(error.problem, expected, "{error}");
            checker.feed(&stream[len..=len]).unwrap();
        }
        checker.finish().unwrap();
    }
}

#[test]
fn a_cut_names_the_command_that_is_cut() {
    let start = starts(INC)[0];
    let error = refused(&INC[..start + 20]);
    assert_eq!(
        error.to_string(),
        "send stream, byte 37, command 2 (SNAPSHOT): the input ends in the middle of a command: \
         `btrfs send` did not finish"
    );
}

#[test]
fn a_send_that_was_restarted_anywhere_is_told_apart() {
    // Byte for byte what SIGSTOP and SIGCONT make of a real send: see `restart`.
    for cut in 1..INC.len() - 1 {
        let restarted = [&INC[..cut], INC].concat();
        // Byte by byte is slow: one cut in 17 will do.
        for slice in [restarted.len(), if cut % 17 == 0 { 1 } else { 4096 }] {
            let mut checker = Checker::new();
            let fed = restarted.chunks(slice).try_for_each(|bytes| checker.feed(bytes));
            let error = fed.and_then(|()| checker.finish().map(|_| ())).unwrap_err();
            let expected = Error { offset: cut as u64, command: None, problem: Problem::Restarted };
            assert_eq!(error, expected, "cut at {cut}");
        }
    }
    assert_eq!(Status::SendRestarted, refused(&[&INC[..99], INC].concat()).status());
}

#[test]
fn a_send_that_was_restarted_in_a_large_write_is_told_apart() {
    for cut in (20_000..60_000).step_by(997) {
        let error = refused(&[&FULL[..cut], FULL].concat());
        assert_eq!((error.offset, error.problem), (cut as u64, Problem::Restarted));
    }
}

#[test]
fn two_streams_in_a_row_are_bad_data_and_no_restart() {
    let error = refused(&[FULL, INC].concat());
    assert_eq!(error.problem, Problem::AfterEnd);
    assert_eq!((error.offset, error.status()), (FULL.len() as u64, Status::Data));
    assert_eq!(refused(&[FULL, b"\0"].concat()).problem, Problem::AfterEnd);
}

#[test]
fn damage_to_any_byte_is_refused() {
    for (at, _) in INC.iter().enumerate() {
        let mut damaged = INC.to_vec();
        damaged[at] ^= 0x10;
        let error = refused(&damaged);
        assert_eq!(error.status(), Status::Data, "byte {at}: {error}");
    }
}

#[test]
fn a_wrong_crc_names_offset_and_command() {
    let start = starts(FULL)[3];
    let mut damaged = FULL.to_vec();
    damaged[start + 12] ^= 1;
    let said = refused(&damaged).to_string();
    let place = format!("send stream, byte {start}, command ");
    assert!(said.starts_with(&place) && said.contains("its CRC-32C is "), "{said}");
}

#[test]
fn what_is_no_send_stream_is_refused_at_once() {
    for text in [&b"tar archive, perhaps"[..], b"{\"type\":\"stream\"}\n", &[0; 99]] {
        let error = refused(text);
        assert_eq!((error.offset, error.problem), (0, Problem::NotASendStream));
    }
    assert_eq!(refused(b"PK").problem, Problem::NotASendStream);
    assert_eq!(refused(b"").problem, Problem::Empty);
    for version in [0, 4, u32::MAX] {
        assert_eq!(refused(&header(version)).problem, Problem::Version(version));
    }
}

#[test]
fn streams_without_data_are_refused() {
    let error = refused(NO_DATA);
    assert_eq!((error.command, error.problem), (Some(Command::UPDATE_EXTENT), Problem::NoData));
}

#[test]
fn exactly_one_snapshot_comes_first() {
    let good = [header(1), subvol(), end()].concat();
    assert_eq!(check(&good).unwrap().snapshot_name, "name");
    let error = refused(&[header(1), end()].concat());
    assert_eq!((error.offset, error.problem), (17, Problem::FirstCommand));
    for second in [subvol(), snapshot()] {
        let error = refused(&[header(1), subvol(), second, end()].concat());
        assert_eq!(error.problem, Problem::SecondSnapshot);
        assert_eq!(error.offset, 17 + subvol().len() as u64);
    }
}

#[test]
fn extents_are_cloned_from_the_snapshot_or_its_parent_only() {
    let clone =
        |uuid: Uuid| command(Command::CLONE.0, &attribute(attribute::CLONE_UUID, uuid.as_bytes()));
    for uuid in [OURS, PARENT] {
        check(&[header(1), snapshot(), clone(uuid), end()].concat()).unwrap();
    }
    let foreign = Uuid::from_u128(3);
    let error = refused(&[header(1), snapshot(), clone(foreign), end()].concat());
    assert_eq!(error.problem, Problem::ForeignClone(foreign));
    let error = refused(&[header(1), subvol(), clone(PARENT), end()].concat());
    assert_eq!(error.problem, Problem::ForeignClone(PARENT));
}

#[test]
fn a_name_that_could_leave_its_directory_is_refused() {
    let long = [b'x'; 256];
    for name in [&b""[..], b".", b"..", b"a/b", b"../a", b"a\0", b"caf\xe9", &long] {
        let first = command(Command::SUBVOL.0, &named(name));
        let error = refused(&[header(1), first, end()].concat());
        assert!(matches!(error.problem, Problem::SnapshotName(_)), "{error}");
    }
}

#[test]
fn a_first_command_that_says_too_little_or_too_much_is_refused() {
    let uuid = attribute(attribute::UUID, OURS.as_bytes());
    for (payload, expected) in [
        (vec![], "the snapshot's name is missing"),
        (attribute(attribute::PATH, b"n"), "the snapshot's UUID is missing"),
        ([attribute(attribute::PATH, b"n"), uuid.clone()].concat(), "the snapshot's ctransid is"),
        ([named(b"n"), uuid].concat(), "an attribute is given twice"),
        ([named(b"n"), vec![1]].concat(), "an attribute is cut short"),
        ([named(b"n"), vec![9, 0, 2, 0, 1]].concat(), "an attribute is cut short"),
        (
            [attribute(attribute::PATH, b"n"), attribute(attribute::UUID, b"x")].concat(),
            "a UUID does not",
        ),
    ] {
        let error = refused(&[header(1), command(Command::SUBVOL.0, &payload), end()].concat());
        assert!(error.problem.to_string().starts_with(expected), "{error}");
    }
    let orphan = command(Command::SNAPSHOT.0, &named(b"n"));
    let error = refused(&[header(1), orphan].concat());
    assert_eq!(error.problem, Problem::Malformed("the UUID to clone from is missing"));
}

#[test]
fn commands_that_the_version_does_not_have_are_refused() {
    for (version, known, unknown) in [(1, 20, 23), (2, 25, 26), (3, 26, 27)] {
        check(&[header(version), subvol(), command(known, b""), end()].concat()).unwrap();
        for number in [0, unknown, 9999] {
            let stream = [header(version), subvol(), command(number, b""), end()].concat();
            assert_eq!(refused(&stream).problem, Problem::UnknownCommand(version));
        }
    }
    let error = refused(&[header(1), subvol(), command(27, b"")].concat());
    assert!(error.to_string().contains("command 27 (unknown)"), "{error}");
}

#[test]
fn payloads_are_long_only_where_the_version_allows_it() {
    let long = vec![0x5a; 200 << 10];
    let error = refused(&[header(1), subvol(), command(WRITE, &long), end()].concat());
    assert_eq!(error.problem, Problem::Length { len: 200 << 10, max: 64 << 10 });
    check(&[header(2), subvol(), command(WRITE, &long), end()].concat()).unwrap();
    let clone = command(Command::CLONE.0, &long);
    let error = refused(&[header(2), subvol(), clone, end()].concat());
    assert_eq!(error.problem, Problem::Length { len: 200 << 10, max: 64 << 10 });
    let endless = [&u32::MAX.to_le_bytes()[..], &[15, 0, 0, 0, 0, 0]].concat();
    let error = refused(&[header(2), subvol(), endless].concat());
    assert_eq!(error.problem, Problem::Length { len: u32::MAX, max: 16 << 20 });
}

#[test]
fn a_stream_within_a_file_is_data_like_any_other() {
    let nested = command(WRITE, &[INC, INC].concat());
    let stream = [header(1), subvol(), nested, end()].concat();
    check(&stream).unwrap();
    let error = refused(&stream[..stream.len() - 50]);
    assert_eq!(error.problem, Problem::CutInCommand);
    let mut damaged = stream.clone();
    damaged[stream.len() / 2] ^= 1;
    assert_eq!(refused(&damaged).status(), Status::Data);
}

#[test]
fn a_refused_stream_stays_refused() {
    let mut checker = Checker::new();
    let error = checker.feed(b"not a send stream").unwrap_err();
    assert_eq!(checker.feed(FULL).unwrap_err(), error);
    assert_eq!(checker.finish().unwrap_err(), error);
}

fn in_slices(stream: &[u8], cuts: &[prop::sample::Index]) -> Result<Identity, Error> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    let mut checker = Checker::new();
    cuts.windows(2).try_for_each(|pair| checker.feed(&stream[pair[0]..pair[1]]))?;
    checker.finish()
}

/// A header and commands whose CRCs are right but whose contents are arbitrary.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..80);
    let number = prop_oneof![0..30u16, Just(MKFILE), Just(Command::CLONE.0)];
    let commands = prop::collection::vec((number, payload), 0..6);
    (1..4u32, commands).prop_map(|(version, commands)| {
        let commands = commands.iter().flat_map(|(number, payload)| command(*number, payload));
        header(version).into_iter().chain(subvol()).chain(commands).collect()
    })
}

proptest! {
    #[test]
    fn slices_make_no_difference(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        damage in prop::option::of((any::<prop::sample::Index>(), 1..=255u8)),
        stream in prop::sample::select(vec![INC, FULL_V2, NO_DATA]),
    ) {
        let mut stream = stream.to_vec();
        if let Some((at, flip)) = damage {
            let at = at.index(stream.len());
            stream[at] ^= flip;
            // The format has no CRC over its version: 1 can turn into 2 unseen.
            prop_assert!(check(&stream).is_err() || at == 13);
        }
        prop_assert_eq!(in_slices(&stream, &cuts), check(&stream));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_pass(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        after_header in any::<bool>(),
    ) {
        let start = if after_header { [header(2), subvol()].concat() } else { vec![] };
        prop_assert!(check(&[start, bytes].concat()).is_err());
    }

    #[test]
    fn arbitrary_commands_never_panic(stream in plausible()) {
        let _ = check(&stream);
    }
}
