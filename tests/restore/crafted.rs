//! Streams that somebody else wrote.

use std::fs;
use std::path::Path;

use bts_tests::Host;
use bts_tests::program::shell;

/// The commands and attributes that are used here (`linux/fs/btrfs/send.h`).
const SUBVOL: u16 = 1;
const MKFILE: u16 = 3;
const SYMLINK: u16 = 8;
const WRITE: u16 = 15;
const END: u16 = 21;
const UUID: u16 = 1;
const CTRANSID: u16 = 2;
const INODE: u16 = 3;
const PATH: u16 = 15;
const PATH_LINK: u16 = 17;
const OFFSET: u16 = 18;
const DATA: u16 = 19;

fn command(command: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let payload = attributes.iter().flat_map(|(kind, value)| {
        let length = u16::try_from(value.len()).unwrap();
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), value].concat()
    });
    let payload: Vec<u8> = payload.collect();
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let head = |crc: u32| [&length[..], &command.to_le_bytes(), &crc.to_le_bytes()].concat();
    let mut bytes = [head(0), payload].concat();
    let crc = !crc32c::crc32c_append(!0, &bytes);
    bytes[6..10].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A stream that is sound in itself, and writes a file through a symlink.
fn stream(link: &Path) -> Vec<u8> {
    let number = 1_u64.to_le_bytes();
    [
        [b"btrfs-stream\0".as_slice(), &1_u32.to_le_bytes()].concat(),
        command(SUBVOL, &[(PATH, b"crafted"), (UUID, &[7; 16]), (CTRANSID, &number)]),
        command(
            SYMLINK,
            &[(PATH, b"way out"), (INODE, &number), (PATH_LINK, link.to_str().unwrap().as_bytes())],
        ),
        command(MKFILE, &[(PATH, b"way out/planted"), (INODE, &number)]),
        command(WRITE, &[(PATH, b"way out/planted"), (OFFSET, &0_u64.to_le_bytes()), (DATA, b"!")]),
        command(END, &[]),
    ]
    .concat()
}

#[test]
fn a_stream_cannot_write_through_a_symlink_out_of_its_snapshot() {
    let Some(host) = Host::or_skip(&["data"]) else { return };
    let victim = host.fs().outside().join("victim");
    let file = host.fs().outside().join("crafted");
    fs::create_dir(&victim).unwrap();
    fs::write(&file, stream(&victim)).unwrap();
    let publish = r#"bts-chunk -c "$CONFIG" <"$CRAFTED" |
        bts-put -c "$CONFIG" --backup subvol/data/full/20260117T220511Z-0a1b2c3d |
        bts-manifest publish -c "$CONFIG""#;
    shell(publish).env("CONFIG", host.config()).env("CRAFTED", &file).run().ok();

    let ran = host.restore("data", "restored").run();
    assert_eq!(ran.status(), 74, "{}", ran.stderr);
    let ran = ran.says("btrfs receive failed").says("planted");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{}", ran.stderr);
    assert_eq!(host.fs().names(""), ["data", "snapshots"], "{}", ran.stderr);

    // Without -C it does write there: the stream is what it seems to be.
    fs::create_dir(host.path("unsafe")).unwrap();
    let receive = r#"btrfs -q receive "$DIR" <"$CRAFTED""#;
    shell(receive).env("DIR", host.path("unsafe")).env("CRAFTED", &file).run();
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}
