//! Files as they come: the same for the same seed, and every odd case among
//! them.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use rustix::fs::{CWD, FallocateFlags, FileType, Mode, XattrFlags};

/// Fills and changes a folder.
#[derive(Debug)]
pub struct Dataset {
    dir: PathBuf,
    random: StdRng,
}

/// What one file of the bulk holds, in bytes.
const BULK_FILE: u64 = 24 << 20;

impl Dataset {
    /// Works in `dir`, which exists. The same `seed` makes the same files.
    pub fn new(dir: &Path, seed: u64) -> Self {
        Self { dir: dir.to_path_buf(), random: StdRng::seed_from_u64(seed) }
    }

    /// Every odd case once, a few hundred small files and `bulk` bytes that no
    /// compression makes smaller.
    pub fn fill(&mut self, bulk: u64) -> &mut Self {
        self.small_files();
        self.bulk("bulk", bulk);
        self.names();
        self.links();
        self.metadata();
        self.extents();
        self
    }

    /// Edits, deletes, renames, links: what happens between two backups.
    pub fn change(&mut self) -> &mut Self {
        self.change_contents();
        self.change_tree();
        self.change_metadata();
        self
    }

    /// A little of everything, and `bulk` new bytes; as often as one likes.
    pub fn churn(&mut self, bulk: u64) -> &mut Self {
        let folder = format!("churn-{:x}", self.random.next_u64());
        for number in 0..20 {
            let len = self.random.random_range(0..9000);
            self.write(format!("{folder}/{number}"), len);
        }
        self.bulk(&format!("{folder}/bulk"), bulk);
        fs::hard_link(self.at(&folder).join("0"), self.at(&folder).join("hard")).unwrap();
        clone(&self.at(&folder).join("bulk/0"), &self.at(&folder).join("reflink"));
        let mut others: Vec<_> = fs::read_dir(&self.dir).unwrap().flatten().collect();
        others.retain(|it| it.file_name().to_string_lossy().starts_with("churn-"));
        if others.len() > 3 {
            let at = self.random.random_range(0..others.len());
            fs::remove_dir_all(others.swap_remove(at).path()).unwrap();
        }
        self
    }

    fn at(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.dir.join(name.as_ref())
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    fn write(&mut self, name: impl AsRef<OsStr>, len: usize) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, self.bytes(len)).unwrap();
        path
    }

    fn small_files(&mut self) {
        // Around the sizes where Btrfs stores a file within its metadata.
        for len in [0, 1, 2047, 2048, 4095, 4096, 4097, 70_000] {
            self.write(format!("sizes/{len}"), len);
        }
        for number in 0..300 {
            let len = self.random.random_range(0..6000);
            self.write(format!("many/{}/{number}", number % 7), len);
        }
    }

    /// Files in a new `folder` that hold `bulk` bytes, which no compression makes
    /// smaller.
    pub fn bulk(&mut self, folder: &str, bulk: u64) {
        fs::create_dir_all(self.at(folder)).unwrap();
        for number in 0..bulk.div_ceil(BULK_FILE) {
            let mut file = File::create(self.at(format!("{folder}/{number}"))).unwrap();
            let mut left = BULK_FILE.min(bulk - number * BULK_FILE);
            while left > 0 {
                let piece = self.bytes(left.min(1 << 20) as usize);
                file.write_all(&piece).unwrap();
                left -= piece.len() as u64;
            }
        }
    }

    fn names(&mut self) {
        self.write("names/with\nnewline", 10);
        self.write(OsStr::from_bytes(b"names/not-utf-8-\xff\xfe"), 10);
        self.write("names/quotes ' \" \\ $HOME * %41+", 10);
        self.write("names/-rf", 10);
        self.write("names/ünïcödé ☃", 10);
        self.write(format!("names/{}", "x".repeat(255)), 10);
        fs::create_dir_all(self.at("empty/directory")).unwrap();
    }

    fn links(&mut self) {
        let source = self.write("links/source", 5000);
        for name in ["hard-1", "hard-2", "hard-gone"] {
            fs::hard_link(&source, self.at("links").join(name)).unwrap();
        }
        symlink("source", self.at("links/symlink")).unwrap();
        symlink("/nowhere/at/all", self.at("links/dangling")).unwrap();
        symlink("../names", self.at("links/to-a-folder")).unwrap();
    }

    fn metadata(&mut self) {
        let path = self.write("metadata/xattrs", 100);
        set_xattr(&path, "user.text", b"value");
        set_xattr(&path, "user.binary", &[0, 255, 10]);
        set_xattr(&path, "user.gone-later", b"1");
        // CAP_NET_BIND_SERVICE, as setcap(8) writes it.
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let path = self.write("metadata/capability", 100);
        set_xattr(&path, "security.capability", &capability);
        let path = self.write("metadata/acl", 100);
        set_xattr(&path, "system.posix_acl_access", &acl());
        let path = self.write("metadata/setuid", 100);
        chown(&path, Some(12_345), Some(54_321)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o4711)).unwrap();
        for (name, time) in [
            ("before-1970", SystemTime::UNIX_EPOCH - Duration::new(86_400, 5)),
            ("nanoseconds", SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789)),
            ("after-2038", SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800)),
        ] {
            let path = self.write(format!("metadata/{name}"), 10);
            File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        for (name, kind) in [("fifo", FileType::Fifo), ("device", FileType::CharacterDevice)] {
            let null = rustix::fs::makedev(1, 3);
            let path = self.at("metadata").join(name);
            rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), null).unwrap();
        }
    }

    fn extents(&mut self) {
        let source = self.write("extents/source", 3 << 20);
        clone(&source, &self.at("extents/reflink"));
        let sparse = File::create(self.at("extents/sparse")).unwrap();
        sparse.write_all_at(b"head", 0).unwrap();
        sparse.write_all_at(b"middle", 40 << 20).unwrap();
        sparse.set_len(64 << 20).unwrap();
        let reserved = File::create(self.at("extents/preallocated")).unwrap();
        rustix::fs::fallocate(&reserved, FallocateFlags::empty(), 0, 2 << 20).unwrap();
        reserved.write_all_at(b"used", 1 << 20).unwrap();
    }

    fn change_contents(&mut self) {
        for number in [0, 1] {
            let piece = self.bytes(300_000);
            let path = self.at(format!("bulk/{number}"));
            if let Ok(file) = OpenOptions::new().write(true).open(path) {
                file.write_all_at(&piece, 1_000_001).unwrap();
            }
        }
        let mut appended = OpenOptions::new().append(true).open(self.at("sizes/70000")).unwrap();
        appended.write_all(b"more").unwrap();
        File::options().write(true).open(self.at("sizes/4097")).unwrap().set_len(1).unwrap();
        let edited = OpenOptions::new().write(true).open(self.at("extents/reflink")).unwrap();
        edited.write_all_at(b"no longer the same", 1 << 20).unwrap();
        clone(&self.at("extents/source"), &self.at("extents/later reflink"));
        let sparse = OpenOptions::new().write(true).open(self.at("extents/sparse")).unwrap();
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&sparse, hole, 0, 4096).unwrap();
    }

    fn change_tree(&mut self) {
        fs::remove_dir_all(self.at("many/3")).unwrap();
        fs::rename(self.at("many/4"), self.at("renamed folder")).unwrap();
        for name in ["many/5/5", "links/hard-gone", "names/-rf"] {
            fs::remove_file(self.at(name)).unwrap();
        }
        // Two names change places, and a folder takes a file's.
        fs::rename(self.at("sizes/1"), self.at("swap")).unwrap();
        fs::rename(self.at("sizes/2048"), self.at("sizes/1")).unwrap();
        fs::rename(self.at("swap"), self.at("sizes/2048")).unwrap();
        fs::remove_file(self.at("sizes/4096")).unwrap();
        self.write("sizes/4096/now a folder", 10);
        fs::hard_link(self.at("links/source"), self.at("renamed folder/hard-3")).unwrap();
        self.write("names/new\nnewline", 10);
        fs::create_dir(self.at("empty/another")).unwrap();
        fs::remove_dir(self.at("empty/directory")).unwrap();
    }

    fn change_metadata(&mut self) {
        let path = self.at("metadata/xattrs");
        set_xattr(&path, "user.text", b"another value");
        rustix::fs::removexattr(&path, "user.gone-later").unwrap();
        fs::set_permissions(self.at("metadata/fifo"), Permissions::from_mode(0o600)).unwrap();
        chown(self.at("metadata/setuid"), Some(1), None).unwrap();
    }
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// `u::rw-,u:1000:r--,g::r--,m::r--,o::---` as setfacl(1) writes it: version 2,
/// then tag, permissions and id of each entry.
fn acl() -> Vec<u8> {
    let nobody = u32::MAX;
    let entries =
        [(1u16, 6u16, nobody), (2, 4, 1000), (4, 4, nobody), (16, 4, nobody), (32, 0, nobody)];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// A copy that shares its extents with the source.
fn clone(source: &Path, copy: &Path) {
    let copy = File::create(copy).unwrap();
    rustix::fs::ioctl_ficlone(&copy, File::open(source).unwrap()).unwrap();
}
