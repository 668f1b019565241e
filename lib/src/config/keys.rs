//! Every key there is: its section, its default, its meaning, and how its value
//! is read. The one place to look, and the one to change.

use log::LevelFilter;

use super::VerifyMode;
use super::draft::Draft;
use super::value::{Read, Value, wrong};
use crate::record::Hash;
use crate::store::Tier;
use crate::store::limits::OBJECT_SIZE_MAX;
use crate::store::s3::{ChecksumMode, ConditionalWrites};

/// One key.
pub(super) struct Key {
    /// The section that it stands in.
    pub(super) section: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// Its value where nobody says another, as the environment would spell it.
    pub(super) default: Option<&'static str>,
    /// Reads a value into the draft.
    pub(super) set: fn(&mut Draft, Value<'_>) -> Read<()>,
}

/// The smallest chunk. Smaller ones make more requests than sense; the last
/// chunk of a backup may be smaller.
const CHUNK_MIN: u64 = 1 << 20;

/// A hundred years: more is a slip of the keyboard.
const DAYS_MAX: u32 = 36_500;

/// The key `$section.$name`, whose field in the draft has the same name and gets
/// what `$read` makes of its value.
macro_rules! key {
    ($section:ident.$name:ident, $default:expr, $read:expr) => {
        Key {
            section: stringify!($section),
            name: stringify!($name),
            default: $default,
            set: |draft, value| {
                let read: fn(Value<'_>) -> Read<_> = $read;
                draft.$section.$name = read(value)?;
                Ok(())
            },
        }
    };
}

/// All keys, in the order in which the manual shows them.
pub(super) const KEYS: &[Key] = &[
    key!(global.log_level, None, |v| Ok(Some(level(v)?))),
    key!(global.state_path, Some("/var/lib/btrfs-to-s3/state.json"), |v| v.path()),
    key!(global.lock_path, Some("/run/lock/btrfs-to-s3.lock"), |v| v.path()),
    key!(global.spool_dir, None, |v| Ok(Some(v.path()?))),
    key!(global.spool_size_bytes, Some("0"), |v| v.size()),
    key!(global.store, None, |v| Ok(Some(store(v)?))),
    key!(schedule.full_every_days, Some("180"), |v| v.number(1..=DAYS_MAX)),
    key!(schedule.incremental_every_days, Some("7"), |v| v.number(1..=DAYS_MAX)),
    key!(schedule.run_at, Some("02:00"), |v| v.time_of_day()),
    key!(snapshots.base_dir, None, |v| Ok(Some(v.path()?))),
    key!(snapshots.retain, Some("2"), |v| v.number(1..=10_000)),
    key!(snapshots.send_args, None, send_args),
    key!(subvolumes.paths, None, |v| v.paths()),
    key!(subvolumes.names, None, |v| v.names()),
    key!(subvolumes.accept_nested, None, |v| v.paths()),
    key!(s3.bucket, None, |v| Ok(Some(bucket(v)?))),
    key!(s3.region, None, |v| Ok(Some(v.some_text()?))),
    key!(s3.prefix, None, |v| Ok(v.text()?.trim_matches('/').to_owned())),
    key!(s3.endpoint, None, |v| Ok(Some(endpoint(v)?))),
    key!(s3.chunk_size_bytes, Some("200 GiB"), chunk_size),
    key!(s3.storage_class_chunks, Some("DEEP_ARCHIVE"), storage_class),
    key!(s3.storage_class_manifest, Some("STANDARD"), storage_class),
    key!(s3.concurrency, Some("4"), |v| v.number(1..=64)),
    key!(s3.spool_enabled, Some("false"), |v| v.truth()),
    key!(s3.sse, Some("AES256"), sse),
    key!(s3.sse_kms_key_id, None, |v| Ok(Some(v.some_text()?))),
    key!(s3.checksum, Some("auto"), |v| v.one_of(CHECKSUMS)),
    key!(s3.conditional_writes, Some("auto"), |v| v.one_of(CONDITIONAL_WRITES)),
    key!(s3.object_lock_days, None, |v| Ok(Some(v.number(1..=DAYS_MAX)?))),
    key!(s3.object_lock_mode, None, |v| Ok(Some(v.one_of(LOCK_MODES)?.to_owned()))),
    key!(pipeline.hash, Some("sha256"), |v| v.one_of(HASHES)),
    key!(pipeline.filter, None, |v| v.commands()),
    key!(pipeline.unfilter, None, |v| v.commands()),
    key!(retention.keep_generations, None, |v| Ok(Some(v.number(1..=10_000)?))),
    key!(retention.min_age_days, None, |v| Ok(Some(v.number(0..=DAYS_MAX)?))),
    key!(restore.target_base_dir, None, |v| Ok(Some(v.path()?))),
    key!(restore.verify_mode, Some("full"), |v| v.one_of(VERIFY_MODES)),
    key!(restore.sample_max_files, Some("1000"), |v| v.number(1..=u32::MAX)),
    key!(restore.restore_days, Some("14"), |v| v.number(1..=DAYS_MAX)),
    key!(restore.wait_for_restore, Some("true"), |v| v.truth()),
    key!(restore.restore_timeout_seconds, Some("259200"), |v| v.number(0..=u64::from(u32::MAX))),
    key!(restore.restore_tier, Some("Standard"), |v| v.one_of(TIERS)),
];

const CHECKSUMS: &[(&str, ChecksumMode)] =
    &[("auto", ChecksumMode::Auto), ("crc32", ChecksumMode::Crc32), ("md5", ChecksumMode::Md5)];

const CONDITIONAL_WRITES: &[(&str, ConditionalWrites)] = &[
    ("auto", ConditionalWrites::Auto),
    ("on", ConditionalWrites::On),
    ("off", ConditionalWrites::Off),
];

const HASHES: &[(&str, Hash)] = &[("sha256", Hash::Sha256), ("blake3", Hash::Blake3)];

const VERIFY_MODES: &[(&str, VerifyMode)] =
    &[("full", VerifyMode::Full), ("sample", VerifyMode::Sample), ("none", VerifyMode::None)];

const TIERS: &[(&str, Tier)] =
    &[("Standard", Tier::Standard), ("Bulk", Tier::Bulk), ("Expedited", Tier::Expedited)];

const LOCK_MODES: &[(&str, &str)] = &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")];

/// The existing program's files say `INFO` or `WARNING`.
fn level(value: Value<'_>) -> Read<LevelFilter> {
    match value.text()?.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::Off),
        "critical" | "error" => Ok(LevelFilter::Error),
        "warning" | "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => wrong("write \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\""),
    }
}

fn store(value: Value<'_>) -> Read<crate::store::Url> {
    let remedy = "write s3://BUCKET/PREFIX or file:///DIRECTORY";
    value.text()?.parse().or_else(|_| wrong(remedy))
}

/// What `btrfs send` may be told: anything else changes what a stream holds.
fn send_args(value: Value<'_>) -> Read<Vec<String>> {
    let args = value.texts()?;
    let mut rest = args.as_slice();
    let (mut version, mut compressed) = ("1", false);
    while let [first, others @ ..] = rest {
        rest = match (first.as_str(), others) {
            ("--compressed-data", _) => {
                compressed = true;
                others
            }
            ("--proto", [given, others @ ..]) if ["1", "2"].contains(&given.as_str()) => {
                version = given;
                others
            }
            _ => {
                return wrong(
                    "only \"--proto\", \"1\" or \"2\", and \"--compressed-data\" may be there",
                );
            }
        };
    }
    // btrfs-progs refuses the two together (measured, 6.2), but only once the
    // snapshot has been made.
    if compressed && version == "1" && args.iter().any(|arg| arg == "--proto") {
        return wrong("--compressed-data needs \"--proto\", \"2\"");
    }
    Ok(args)
}

fn bucket(value: Value<'_>) -> Read<String> {
    let bucket = value.some_text()?;
    if bucket.contains(['/', ':', ' ']) {
        return wrong("write the bucket's name alone; what comes after it is s3.prefix");
    }
    Ok(bucket)
}

fn endpoint(value: Value<'_>) -> Read<String> {
    let endpoint = value.text()?;
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    // A password in a URL would find its way into log lines.
    match host {
        Some(host) if !host.is_empty() && !host.contains('@') => Ok(endpoint),
        _ => wrong("write a URL like https://s3.example.org, without user and password"),
    }
}

fn chunk_size(value: Value<'_>) -> Read<u64> {
    let size = value.size()?;
    if !(CHUNK_MIN..=OBJECT_SIZE_MAX).contains(&size) {
        return wrong("write a size from 1 MiB to 5 TiB, which is S3's limit for an object");
    }
    Ok(size)
}

fn storage_class(value: Value<'_>) -> Read<String> {
    let class = value.text()?;
    if class.is_empty() || !class.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return wrong("write a storage class like \"STANDARD\" or \"DEEP_ARCHIVE\"");
    }
    Ok(class)
}

fn sse(value: Value<'_>) -> Read<Option<String>> {
    let sse = [("AES256", Some("AES256")), ("aws:kms", Some("aws:kms")), ("none", None)];
    Ok(value.one_of(&sse)?.map(str::to_owned))
}
