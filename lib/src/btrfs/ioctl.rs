//! The ioctls: the structures of the kernel's `linux/btrfs.h`, and nothing else.
//!
//! All of them work without privileges (Linux 4.18).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::errno::Errno;
use uuid::Uuid;

use super::{Info, c_text};

/// `BTRFS_IOCTL_MAGIC`
const MAGIC: u8 = 0x94;
/// `BTRFS_VOL_NAME_MAX + 1`
const NAME_SIZE: usize = 256;
/// `BTRFS_INO_LOOKUP_USER_PATH_MAX`
const PATH_SIZE: usize = 4080 - NAME_SIZE;
/// `BTRFS_MAX_ROOTREF_BUFFER_NUM`
const ROOTREFS_MAX: usize = 255;
/// `BTRFS_ROOT_SUBVOL_RDONLY`: the on-disk flag, which is what the ioctl gives.
const READ_ONLY: u64 = 1;

/// `struct btrfs_ioctl_get_subvol_info_args`
#[repr(C)]
struct SubvolInfo {
    treeid: u64,
    name: [u8; NAME_SIZE],
    parent_id: u64,
    dirid: u64,
    generation: u64,
    flags: u64,
    uuid: [u8; 16],
    parent_uuid: [u8; 16],
    received_uuid: [u8; 16],
    ctransid: u64,
    otransid: u64,
    stransid: u64,
    rtransid: u64,
    times: [Timespec; 4],
    reserved: [u64; 8],
}

/// `struct btrfs_ioctl_timespec`
#[repr(C)]
#[derive(Clone, Copy)]
struct Timespec {
    sec: u64,
    nsec: u32,
}

/// `struct btrfs_ioctl_get_subvol_rootref_args`
#[repr(C)]
struct Rootrefs {
    min_treeid: u64,
    rootref: [Rootref; ROOTREFS_MAX],
    num_items: u8,
    align: [u8; 7],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Rootref {
    treeid: u64,
    dirid: u64,
}

/// `struct btrfs_ioctl_ino_lookup_user_args`
#[repr(C)]
struct InoLookup {
    dirid: u64,
    treeid: u64,
    name: [u8; NAME_SIZE],
    path: [u8; PATH_SIZE],
}

/// `struct btrfs_ioctl_fs_info_args`
#[repr(C)]
struct FsInfo {
    max_id: u64,
    num_devices: u64,
    fsid: [u8; 16],
    rest: [u8; 992],
}

/// The wrappers that nix makes of the ioctls.
mod raw {
    use super::{FsInfo, InoLookup, MAGIC, Rootrefs, SubvolInfo};

    nix::ioctl_read!(fs_info, MAGIC, 31, FsInfo);
    nix::ioctl_read!(subvol_info, MAGIC, 60, SubvolInfo);
    nix::ioctl_readwrite!(subvol_rootref, MAGIC, 61, Rootrefs);
    nix::ioctl_readwrite!(ino_lookup_user, MAGIC, 62, InoLookup);
}

/// Makes a structure of the kernel's with all fields zero.
macro_rules! zeroed {
    ($type:ty) => {{
        let zeroed = std::mem::MaybeUninit::<$type>::zeroed();
        // SAFETY: the structures above hold integers and arrays of integers
        // alone, for which all bits zero is a value.
        unsafe { zeroed.assume_init() }
    }};
}

pub(super) fn info(subvolume: &File) -> io::Result<Info> {
    let mut args = zeroed!(SubvolInfo);
    // SAFETY: the descriptor is open while the file lives, and `args` is the
    // structure that this request writes, of the size that its number encodes.
    unsafe { raw::subvol_info(subvolume.as_raw_fd(), &mut args) }?;
    let some = |uuid: [u8; 16]| Some(Uuid::from_bytes(uuid)).filter(|uuid| !uuid.is_nil());
    Ok(Info {
        id: args.treeid,
        uuid: Uuid::from_bytes(args.uuid),
        parent_uuid: some(args.parent_uuid),
        received_uuid: some(args.received_uuid),
        generation: args.generation,
        ctransid: args.ctransid,
        stransid: args.stransid,
        otransid: args.otransid,
        read_only: args.flags & READ_ONLY != 0,
    })
}

pub(super) fn filesystem_id(dir: &File) -> io::Result<Uuid> {
    let mut args = zeroed!(FsInfo);
    // SAFETY: as in `info`.
    unsafe { raw::fs_info(dir.as_raw_fd(), &mut args) }?;
    Ok(Uuid::from_bytes(args.fsid))
}

/// The subvolumes directly within this one, as paths relative to it.
pub(super) fn children(subvolume: &File) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut args = zeroed!(Rootrefs);
    loop {
        // SAFETY: as in `info`.
        let more = match unsafe { raw::subvol_rootref(subvolume.as_raw_fd(), &mut args) } {
            Ok(_) => false,
            // The buffer is full, and min_treeid says where to go on.
            Err(Errno::EOVERFLOW) => true,
            Err(errno) => return Err(errno.into()),
        };
        for rootref in &args.rootref[..usize::from(args.num_items)] {
            found.extend(path_of(subvolume, *rootref)?);
        }
        if !more {
            return Ok(found);
        }
    }
}

/// Where a child lies; `None` when it went away since it was found, or when this
/// user may not look there.
fn path_of(subvolume: &File, rootref: Rootref) -> io::Result<Option<PathBuf>> {
    let mut args = zeroed!(InoLookup);
    args.dirid = rootref.dirid;
    args.treeid = rootref.treeid;
    // SAFETY: as in `info`.
    match unsafe { raw::ino_lookup_user(subvolume.as_raw_fd(), &mut args) } {
        Ok(_) => Ok(Some(PathBuf::from(c_text(&args.path)).join(c_text(&args.name)))),
        Err(Errno::ENOENT | Errno::EACCES) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

// The request numbers encode these sizes; another one would be another request.
const _: () = assert!(size_of::<SubvolInfo>() == 504);
const _: () = assert!(size_of::<Rootrefs>() == 4096);
const _: () = assert!(size_of::<InoLookup>() == 4096);
const _: () = assert!(size_of::<FsInfo>() == 1024);
