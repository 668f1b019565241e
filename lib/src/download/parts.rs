//! The BLAKE3 digests of parts: from the records of an upload, or from the
//! object that a manifest names.

use bytes::Bytes;

use super::list::{Sheet, Wanted};
use super::{Check, Options};
use crate::manifest::{Invalid, MANIFEST_MAX, PartDigests};
use crate::record::{Backup, Digest};
use crate::store::limits::PART_SIZE_MAX;
use crate::store::{Archive, read_small};

/// The length of a digest, in bytes.
const DIGEST_LEN: usize = 32;

/// What vouches for the parts of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The size of every part but the last, in bytes; never 0.
    pub part_size: u64,
    /// The digests, one after the other.
    pub digests: Bytes,
}

impl Parts {
    /// Takes the digests of an object of `size` bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(part_size: u64, size: u64, digests: &[Digest]) -> Result<Self, String> {
        let count = digests.len() as u64;
        if !sound(part_size) || PartDigests::expected(part_size, [size]) != Some(count) {
            return Err(format!(
                "{count} part digests do not fit {size} bytes in parts of {part_size}"
            ));
        }
        let digests = digests.iter().flat_map(|digest| digest.0).collect();
        Ok(Self { part_size, digests })
    }

    /// The digest of the part with this number, counted from 0.
    pub(super) fn digest(&self, number: u64) -> Option<Digest> {
        let from = usize::try_from(number).ok()?.checked_mul(DIGEST_LEN)?;
        let bytes = self.digests.get(from..from.checked_add(DIGEST_LEN)?)?;
        bytes.try_into().ok().map(Digest)
    }
}

/// Parts have to fit into memory, whatever a record says.
fn sound(part_size: u64) -> bool {
    (1..=PART_SIZE_MAX).contains(&part_size)
}

/// Where the digests of a backup's parts lie, as its record says it.
///
/// # Errors
/// What is wrong with the record.
pub(super) fn sheet(backup: &Backup) -> Result<Option<Sheet>, String> {
    match (&backup.parts_key, backup.part_size, backup.parts_sha256) {
        (None, None, None) => Ok(None),
        (Some(key), Some(part_size), Some(sha256)) if sound(part_size) => {
            let key = key.parse().map_err(|bad| format!("parts_key: {bad}"))?;
            Ok(Some(Sheet { key, part_size, sha256, items: 0..0 }))
        }
        (Some(_), Some(part_size), Some(_)) => {
            Err(format!("part_size: {part_size} bytes, and S3 takes parts up to {PART_SIZE_MAX}"))
        }
        _ => Err("of part_size, parts_key and parts_sha256 some are missing".to_owned()),
    }
}

/// Reads the digests that lie in the archive into the items of `wanted`.
///
/// # Errors
/// [`Invalid`] when they are missing, or not what their record says; where every
/// chunk is checked as a whole, that is only warned of.
pub(super) async fn load(
    archive: &Archive,
    wanted: &mut Wanted,
    options: &Options,
) -> anyhow::Result<()> {
    for sheet in std::mem::take(&mut wanted.sheets) {
        let digests = match read(archive, &sheet, wanted).await? {
            Ok(digests) => digests,
            Err(wrong) if options.check == Check::Chunk => {
                log::warn!("{wrong}: only the digests of whole chunks are checked");
                continue;
            }
            Err(wrong) => {
                let what = format!(
                    "{}: nothing was fetched; with --check chunk the digests of whole chunks do",
                    wrong.what
                );
                return Err(Invalid { what, ..wrong }.into());
            }
        };
        let mut left = digests;
        for item in &mut wanted.items[sheet.items] {
            // Their number was compared: there are enough.
            let count = item.size.div_ceil(sheet.part_size) as usize;
            let digests = left.split_to((count * DIGEST_LEN).min(left.len()));
            item.parts = Some(Parts { part_size: sheet.part_size, digests });
        }
    }
    Ok(())
}

/// The digests, or what is wrong with them.
async fn read(
    archive: &Archive,
    sheet: &Sheet,
    wanted: &Wanted,
) -> anyhow::Result<Result<Bytes, Invalid>> {
    use sha2::Digest as _;
    let url = archive.store.locate(sheet.key.as_str());
    let invalid = |field: &str, what: String| Ok(Err(Invalid::new(&url, field, what)));
    let sizes = wanted.items[sheet.items.clone()].iter().map(|item| item.size);
    let expected = PartDigests::expected(sheet.part_size, sizes)
        .and_then(|count| count.checked_mul(DIGEST_LEN as u64));
    let Some(expected) = expected.filter(|&len| len <= MANIFEST_MAX) else {
        let what = format!("more digests than the {MANIFEST_MAX} bytes that are read");
        return invalid("part_size", what);
    };
    let Some(small) = read_small(&*archive.store, &sheet.key, MANIFEST_MAX).await? else {
        return invalid("", "it does not exist".to_owned());
    };
    let len = small.bytes.len();
    if len as u64 != expected {
        return invalid("size", format!("{len} bytes, and the parts need {expected}"));
    }
    let found = Digest(sha2::Sha256::digest(&small.bytes).into());
    if found != sheet.sha256 {
        return invalid("sha256", format!("{found}, and {} was recorded", sheet.sha256));
    }
    Ok(Ok(small.bytes))
}
