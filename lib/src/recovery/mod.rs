//! `RESTORE.txt`: how to bring a backup back without this toolkit.
//!
//! Promises a text for people that bash takes as it is, with the commands for
//! exactly one chain: prose is comments, and every name in a command is quoted.
//! Its bytes depend on the chain and the archive's URL alone. It needs `aws` (a
//! directory: `cp`), `sha256sum` or `b3sum`, `cat` and `btrfs`.
//!
//! Nothing of how the archive is reached is in it beside bucket and directory: no
//! credentials, no endpoint.

mod shell;

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::chain::Link;
use crate::manifest::{ChunkEntry, Manifest};
use crate::size::human;
use crate::store::Url;
use shell::quoted;

/// The object's name, beside the manifest.
pub const FILE: &str = "RESTORE.txt";

/// The text for a chain, its full first; `None` where a chunk has no digest or
/// there is no backup.
pub fn text(url: &Url, chain: &[Link]) -> Option<String> {
    let newest = chain.last()?;
    let mut text = introduction(url, newest, chain);
    text += &match url {
        Url::S3 { bucket, .. } => settings(newest, chain, "bucket", bucket) + S3_SETTINGS,
        Url::Dir(path) => settings(newest, chain, "archive", path.to_str()?),
    };
    text += WHAT_THERE_IS;
    for (number, link) in (1..).zip(chain) {
        text += &chunks(number, &link.manifest)?;
    }
    text += &order(chain.len());
    text += match url {
        Url::S3 { .. } => S3_FETCH,
        Url::Dir(_) => DIR_FETCH,
    };
    text += RECEIVE;
    text += &finish(newest);
    Some(text)
}

fn introduction(url: &Url, newest: &Link, chain: &[Link]) -> String {
    let bytes: u64 = chain.iter().fold(0, |sum, it| sum.saturating_add(it.manifest.total_bytes));
    let objects: usize = chain.iter().map(|link| link.manifest.chunks.len()).sum();
    format!(
        "\
# How to bring back the subvolume {name} as it was at {time}
# without the programs that backed it up.
#
# Backups in the chain: {backups}. Chunks: {objects}. To download: {bytes} bytes ({human}).
#
# You need a machine with Btrfs, root, bash, and these programs: {programs}.
# All that follows are commands for bash. Set the names in step 1 (as variables
# in the environment, or here), then run this file:
#
#     bash {FILE}
#
# or copy the steps into one shell of bash, one after the other. It stops at the
# first thing that goes wrong. To begin again, first delete what it received:
#
#     btrfs subvolume delete \"$staging\"/* && rmdir \"$staging\"

set -euo pipefail
",
        name = newest.subvolume,
        time = newest.manifest.created_at,
        backups = chain.len(),
        human = human(bytes),
        programs = programs(url, chain),
    )
}

fn programs(url: &Url, chain: &[Link]) -> String {
    let get = match url {
        Url::S3 { .. } => "aws (Amazon's command line)",
        Url::Dir(_) => "cp",
    };
    let chunks = chain.iter().flat_map(|link| &link.manifest.chunks);
    let tools: BTreeSet<_> = chunks.filter_map(tool).map(|(tool, _)| tool).collect();
    let tools = Vec::from_iter(tools);
    format!("{get}, cat, {}, btrfs", tools.join(", "))
}

fn settings(newest: &Link, chain: &[Link], variable: &str, place: &str) -> String {
    let largest = chain.iter().flat_map(|link| &link.manifest.chunks).map(|chunk| chunk.size).max();
    let what = match variable {
        "bucket" => "The bucket.",
        _ => "The directory that holds the archive: here, the one that it was written to.",
    };
    format!(
        "
# ---- 1. Where things are

# {what}
{variable}=${{{variable}:-{place}}}
# What to make: a path on Btrfs that does not exist yet.
target=${{target:-/mnt/{name}.restored}}
# Where the snapshots are received, only for root; it must not exist yet, and lie on
# the same filesystem. No subvolume there may come from these backups already.
staging=${{staging:-$target.staging}}
# Room for one chunk, {largest} bytes ({human}) at most.
work=${{work:-/var/tmp}}
",
        place = quoted(place),
        name = newest.subvolume,
        largest = largest.unwrap_or(0),
        human = human(largest.unwrap_or(0)),
    )
}

const S3_SETTINGS: &str = "\
# How many days thawed copies stay, how fast they come (Standard: within 12 hours,
# Bulk: within 48, from DEEP_ARCHIVE), how many seconds to wait between two looks.
days=${days:-14} tier=${tier:-Standard} pause=${pause:-600}
# The bucket's region, credentials, and for a server other than Amazon's its URL:
# export AWS_DEFAULT_REGION=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
# export AWS_ENDPOINT_URL_S3=https://…
";

const WHAT_THERE_IS: &str = r#"
for path in "$target" "$staging"; do
    [[ ! -e $path ]] || { printf '%s exists\n' "$path" >&2; exit 1; }
done

# ---- 2. What there is: for each chunk the tool that checks it, its digest, its key

"#;

/// A function that hands each chunk to a command, in the order of the stream.
fn chunks(number: usize, manifest: &Manifest) -> Option<String> {
    let mut text = format!(
        "# {}, {}, {} bytes\nbackup_{number}() {{\n",
        manifest.kind.word(),
        manifest.created_at,
        manifest.total_bytes
    );
    for (at, chunk) in manifest.chunks.iter().enumerate() {
        let and = if at == 0 { "" } else { " &&\n" };
        let (tool, digest) = tool(chunk)?;
        write!(text, "{and}    \"$@\" {tool} {digest} {}", quoted(&chunk.key)).ok()?;
    }
    text += "\n}\n";
    Some(text)
}

/// The names of those functions, in the order in which they are received.
fn order(backups: usize) -> String {
    let names: Vec<_> = (1..=backups).map(|number| format!("backup_{number}")).collect();
    format!("backups=({})\n", names.join(" "))
}

/// The program that checks a chunk, and what it must come to.
fn tool(chunk: &ChunkEntry) -> Option<(&'static str, String)> {
    let sha256 = chunk.digests.sha256.map(|digest| ("sha256sum", digest.to_string()));
    sha256.or_else(|| chunk.digests.blake3.map(|digest| ("b3sum", digest.to_string())))
}

const S3_FETCH: &str = r#"
# ---- 3. Thaw what lies in an archive class, all of it at once, and wait

# Looks for a chunk, and asks for it where it must be thawed.
thaw() {
    local class said
    class=$(aws s3api head-object --bucket "$bucket" --key "$3" \
        --query StorageClass --output text) || return
    [[ $class == GLACIER || $class == DEEP_ARCHIVE ]] || return 0
    said=$(aws s3api restore-object --bucket "$bucket" --key "$3" --restore-request \
        "Days=$days,GlacierJobParameters={Tier=$tier}" 2>&1) && return
    [[ $said == *RestoreAlreadyInProgress* ]] || { printf '%s: %s\n' "$3" "$said" >&2; return 1; }
}

# Waits until a chunk can be read.
thawed() {
    local state
    while :; do
        state=$(aws s3api head-object --bucket "$bucket" --key "$3" \
            --query '[StorageClass, Restore]' --output text) || return
        case $state in
            *'ongoing-request="false"'*) return ;;
            GLACIER[[:space:]]* | DEEP_ARCHIVE[[:space:]]*) sleep "$pause" ;;
            *) return 0 ;;
        esac
    done
}

for backup in "${backups[@]}"; do "$backup" thaw; done
for backup in "${backups[@]}"; do "$backup" thawed; done

# ---- 4. Download, check, receive: chunk by chunk, backup by backup

# Downloads a chunk, passes it on when its digest is right, deletes it.
fetch() {
    local status=0
    aws s3 cp --only-show-errors "s3://$bucket/$3" "$chunks/chunk" >&2 &&
        printf '%s  %s\n' "$2" "$chunks/chunk" | "$1" --check --quiet - >&2 &&
        cat -- "$chunks/chunk" || status=$?
    rm -f -- "$chunks/chunk"
    return "$status"
}
"#;

const DIR_FETCH: &str = r#"
# ---- 3. Copy, check, receive: chunk by chunk, backup by backup

# Copies a chunk, passes it on when its digest is right, deletes it.
fetch() {
    local status=0
    cp -- "$archive/$3" "$chunks/chunk" &&
        printf '%s  %s\n' "$2" "$chunks/chunk" | "$1" --check --quiet - >&2 &&
        cat -- "$chunks/chunk" || status=$?
    rm -f -- "$chunks/chunk"
    return "$status"
}
"#;

const RECEIVE: &str = r#"
chunks=$(mktemp -d -- "$work/restore-chunks.XXXXXX")
trap 'rm -rf -- "$chunks"' EXIT
mkdir -m 700 -- "$staging"
for backup in "${backups[@]}"; do
    "$backup" fetch | btrfs receive -C "$staging"
done
"#;

fn finish(newest: &Link) -> String {
    format!(
        "
# What was received is read-only. A writable copy of the last one is the result;
# the others can go when you have looked at it (btrfs subvolume delete).
btrfs subvolume snapshot \"$staging\"/{} \"$target\"
",
        quoted(newest.manifest.stream_name())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Selected, resolve};
    use crate::record::Hash;
    use crate::testing::{Backup, Place};

    async fn chain(hash: Hash) -> Vec<Link> {
        let place = Place::new();
        let full = place.publish(&Backup { hash, ..Backup::new(1, None) }).await;
        place.publish(&Backup { hash, ..Backup::new(2, Some(&full)) }).await;
        let newest = Selected::Newest("data".parse().unwrap());
        resolve(&place.archive, &newest, false).await.unwrap()
    }

    fn written(url: &str, chain: &[Link]) -> String {
        text(&url.parse().unwrap(), chain).unwrap()
    }

    #[tokio::test]
    async fn it_names_every_chunk_of_the_chain_with_the_tool_that_checks_it() {
        for (hash, tool, other) in
            [(Hash::Sha256, "sha256sum", "b3sum"), (Hash::Blake3, "b3sum", "sha256sum")]
        {
            let chain = chain(hash).await;
            let text = written("s3://bucket/host", &chain);
            for chunk in chain.iter().flat_map(|link| &link.manifest.chunks) {
                let digest = chunk.digests.one().unwrap().1;
                let line = format!("    \"$@\" {tool} {digest} '{}'", chunk.key);
                assert_eq!(text.matches(&line).count(), 1, "{line} in {text}");
            }
            assert!(!text.contains(other), "{text}");
            assert!(text.contains("\nbackups=(backup_1 backup_2)\n"), "{text}");
        }
    }

    #[tokio::test]
    async fn no_name_escapes_from_its_quotes() {
        let mut chain = chain(Hash::Sha256).await;
        let odd = "a'; touch /tmp/x #${x} `id`";
        chain[0].manifest.chunks[0].key = format!("host/{odd}");
        chain[1].manifest.snapshot.path = format!("/snap/{odd}").replace("/tmp/", "");
        for url in ["s3://b/it's }", "file:///it's }/$(id)"] {
            let text = written(url, &chain);
            let said = std::process::Command::new("bash").arg("-n").arg("-c").arg(&text).output();
            assert!(said.unwrap().status.success(), "{text}");
            // Only the functions and the variables, and then what they come to.
            let end = text.find("# ---- 3.").unwrap();
            let script = format!(
                "target=/none\n{}\necho \"${{archive-}}\"\nbackup_1 printf '%s|%s|%s\\n'",
                &text[..end]
            );
            let ran = std::process::Command::new("bash").arg("-c").arg(&script).output().unwrap();
            let out = String::from_utf8(ran.stdout).unwrap();
            assert!(out.contains(&format!("|host/{odd}\n")), "{out}");
            assert_eq!(out.starts_with("/it's }/$(id)\n"), url.starts_with("file"), "{out}");
        }
    }

    #[tokio::test]
    async fn it_is_a_function_of_the_chain_and_knows_nothing_of_how_the_archive_is_reached() {
        let chain = chain(Hash::Sha256).await;
        let text = written("s3://bucket/host", &chain);
        assert_eq!(text, written("s3://bucket/host", &chain.clone()));
        assert!(!text.contains("export AWS_ENDPOINT_URL_S3=http://"));
        assert!(written("file:///mnt/usb", &chain).find("aws").is_none());
    }
}
