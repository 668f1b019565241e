//! The numbers of the format: header, commands, attributes, bounds.
//!
//! From the kernel's `fs/btrfs/send.h` and `fs/btrfs/send.c`.

use std::fmt;

/// What every send stream begins with, the NUL included.
pub(super) const MAGIC: &[u8; 13] = b"btrfs-stream\0";

/// The stream's header: the magic and a u32 version.
pub(super) const HEADER_LEN: usize = MAGIC.len() + 4;

/// A command's header: u32 length of the payload, u16 command, u32 CRC-32C.
pub(super) const COMMAND_HEADER_LEN: usize = 10;

/// The highest version that a kernel makes (3 with `CONFIG_BTRFS_EXPERIMENTAL`).
pub(super) const VERSION_MAX: u32 = 3;

/// The longest payload that is held in memory, in bytes: that of a SUBVOL,
/// SNAPSHOT or CLONE command, which hold two paths and a few numbers.
const KEPT_MAX: u32 = 64 << 10;

/// The longest payload of a command, in bytes. Version 1 bounds a command by
/// 64 KiB. From version 2 on the format sets no limit; kernels write up to
/// 144 KiB, rounded up to a page. The bound is there to know garbage for what it is.
pub(super) fn payload_max(version: u32, command: Command) -> u32 {
    if version == 1 || is_kept(command) { KEPT_MAX } else { 16 << 20 }
}

/// Whether the command's payload is read, and so held in memory until its CRC
/// was found right.
pub(super) fn is_kept(command: Command) -> bool {
    matches!(command, Command::SUBVOL | Command::SNAPSHOT | Command::CLONE)
}

/// A command of the send stream, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command(pub u16);

impl Command {
    /// Names the snapshot of a full stream.
    pub const SUBVOL: Self = Self(1);
    /// Names the snapshot of an incremental stream, and its parent.
    pub const SNAPSHOT: Self = Self(2);
    /// Shares an extent with another file.
    pub const CLONE: Self = Self(16);
    /// The stream is complete.
    pub const END: Self = Self(21);
    /// Stands where WRITE would, in a stream without data.
    pub const UPDATE_EXTENT: Self = Self(22);

    /// The command's name in `fs/btrfs/send.h`; `None` for a number that no
    /// version uses.
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(usize::from(self.0)).copied().filter(|name| !name.is_empty())
    }

    /// Whether the format's `version` has this command. A stream that holds
    /// another cannot be shown to be a whole backup, and no `btrfs receive`
    /// that reads this version could apply it.
    pub(super) fn is_in(self, version: u32) -> bool {
        let highest = match version {
            1 => Self::UPDATE_EXTENT,
            2 => ENCODED_WRITE,
            _ => ENABLE_VERITY,
        };
        (1..=highest.0).contains(&self.0)
    }
}

const ENCODED_WRITE: Command = Command(25);
const ENABLE_VERITY: Command = Command(26);

/// The commands' names by their numbers; there is no command 0.
const NAMES: [&str; 27] = [
    "",
    "SUBVOL",
    "SNAPSHOT",
    "MKFILE",
    "MKDIR",
    "MKNOD",
    "MKFIFO",
    "MKSOCK",
    "SYMLINK",
    "RENAME",
    "LINK",
    "UNLINK",
    "RMDIR",
    "SET_XATTR",
    "REMOVE_XATTR",
    "WRITE",
    "CLONE",
    "TRUNCATE",
    "CHMOD",
    "CHOWN",
    "UTIMES",
    "END",
    "UPDATE_EXTENT",
    "FALLOCATE",
    "FILEATTR",
    "ENCODED_WRITE",
    "ENABLE_VERITY",
];

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name().unwrap_or("unknown"))
    }
}

/// An attribute of a command, by its number.
pub(super) mod attribute {
    /// The snapshot's UUID (its received UUID where it has one).
    pub(in super::super) const UUID: u16 = 1;
    /// The snapshot's ctransid.
    pub(in super::super) const CTRANSID: u16 = 2;
    /// The snapshot's name.
    pub(in super::super) const PATH: u16 = 15;
    /// A file's contents. From version 2 on it has no length and runs to the
    /// end of its command.
    pub(in super::super) const DATA: u16 = 19;
    /// The parent's UUID, or that of the snapshot to clone from.
    pub(in super::super) const CLONE_UUID: u16 = 20;
    /// The ctransid that goes with it.
    pub(in super::super) const CLONE_CTRANSID: u16 = 21;
}
