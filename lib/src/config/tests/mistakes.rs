//! What people get wrong, and what they are told.

/// A mistake, and the one line that it gets.
pub(super) const MISTAKES: &[(&str, &str)] = &[
    ("[s3]\nbuckt = \"b\"", "c.toml, line 2: unknown key s3.buckt: did you mean bucket?"),
    (
        "[s3]\n\n\nretain = 3",
        "c.toml, line 4: unknown key s3.retain: retain belongs in section [snapshots]",
    ),
    ("[s3]\nzzz = 1", "c.toml, line 2: unknown key s3.zzz: see btrfs-to-s3.toml(5)"),
    ("bucket = \"b\"", "c.toml, line 1: unknown key bucket: bucket belongs in section [s3]"),
    ("buckets = 1", "c.toml, line 1: unknown key buckets: did you mean bucket?"),
    (
        "# hello\n[snapshot]\nretain = 2",
        "c.toml, line 2: unknown section [snapshot]: did you mean [snapshots]?",
    ),
    ("[backup]", "c.toml, line 1: unknown section [backup]: see btrfs-to-s3.toml(5)"),
    ("s3 = \"x\"", "c.toml, line 1: s3 is a section: write [s3], and its keys below it"),
    ("[[s3]]", "c.toml, line 1: s3 is a section: write [s3], and its keys below it"),
    (
        "[s3]\nconcurrency = \"4\"",
        "c.toml, line 2: s3.concurrency is \"4\": write a whole number from 1 to 64",
    ),
    (
        "[s3]\nconcurrency = 0",
        "c.toml, line 2: s3.concurrency is 0: write a whole number from 1 to 64",
    ),
    (
        "[s3]\nconcurrency = 65",
        "c.toml, line 2: s3.concurrency is 65: write a whole number from 1 to 64",
    ),
    (
        "[s3]\nconcurrency = 99999999999999999999999",
        "c.toml, line 2: s3.concurrency is 99999999999999999999999: write a whole number from 1 to \
         64",
    ),
    (
        "[snapshots]\nretain = 0",
        "c.toml, line 2: snapshots.retain is 0: write a whole number from 1 to 10000",
    ),
    (
        "[s3]\nchunk_size_bytes = 1000",
        "c.toml, line 2: s3.chunk_size_bytes is 1000: write a size from 1 MiB to 5 TiB, which is \
         S3's limit for an object",
    ),
    (
        "[s3]\nchunk_size_bytes = \"6 TiB\"",
        "c.toml, line 2: s3.chunk_size_bytes is \"6 TiB\": write a size from 1 MiB to 5 TiB, which \
         is S3's limit for an object",
    ),
    (
        "[s3]\nchunk_size_bytes = \"many\"",
        "c.toml, line 2: s3.chunk_size_bytes is \"many\": write a whole number of bytes, or one \
         with a unit like \"200 GiB\"",
    ),
    (
        "[s3]\nchunk_size_bytes = 1.5",
        "c.toml, line 2: s3.chunk_size_bytes is 1.5: write a size like \"200 GiB\"",
    ),
    (
        "[schedule]\nrun_at = \"25:00\"",
        "c.toml, line 2: schedule.run_at is \"25:00\": write a time of day like \"02:00\"",
    ),
    (
        "[schedule]\nrun_at = 2",
        "c.toml, line 2: schedule.run_at is 2: write a time of day like \"02:00\"",
    ),
    (
        "[global]\nstate_path = \"state.json\"",
        "c.toml, line 2: global.state_path is \"state.json\": write an absolute path, one that \
         begins with /",
    ),
    (
        "[global]\nspool_dir = \"/srv/../etc\"",
        "c.toml, line 2: global.spool_dir is \"/srv/../etc\": write the path without ..",
    ),
    (
        "[global]\nstate_path = true",
        "c.toml, line 2: global.state_path is true: write an absolute path in quotes",
    ),
    (
        "[global]\nlog_level = \"loud\"",
        "c.toml, line 2: global.log_level is \"loud\": write \"off\", \"error\", \"warn\", \
         \"info\", \"debug\" or \"trace\"",
    ),
    (
        "[global]\nstore = \"ftp://x\"",
        "c.toml, line 2: global.store is \"ftp://x\": write s3://BUCKET/PREFIX or \
         file:///DIRECTORY",
    ),
    (
        "[global]\nstore = \"file:///a\"\n[s3]\nbucket = \"b\"",
        "c.toml: global.store and s3.bucket both name a store: leave one of them out",
    ),
    (
        "[s3]\nbucket = \"s3://b\"",
        "c.toml, line 2: s3.bucket is \"s3://b\": write the bucket's name alone; what comes after \
         it is s3.prefix",
    ),
    (
        "[s3]\nbucket = \"\"",
        "c.toml, line 2: s3.bucket is \"\": write something, or leave the key out",
    ),
    ("[s3]\nregion = 1", "c.toml, line 2: s3.region is 1: write a text in quotes"),
    (
        "[s3]\nendpoint = \"https://me:pw@host\"",
        "c.toml, line 2: s3.endpoint is \"https://me:pw@host\": write a URL like \
         https://s3.example.org, without user and password",
    ),
    (
        "[s3]\nprefix = \"a\\nb\"",
        "c.toml, line 2: s3.prefix is \"a\\nb\": leave out the control character",
    ),
    (
        "[s3]\nstorage_class_chunks = \"deep_archive\"",
        "c.toml: s3.storage_class_chunks is \"deep_archive\", which is no storage class: did you \
         mean \"DEEP_ARCHIVE\"?",
    ),
    (
        "[s3]\nstorage_class_manifest = \"COLD\"",
        "c.toml: s3.storage_class_manifest is \"COLD\", which is no storage class: S3 knows \
         STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER, \
         DEEP_ARCHIVE, REDUCED_REDUNDANCY, EXPRESS_ONEZONE, OUTPOSTS, SNOW, FSX_OPENZFS; other \
         servers' classes need s3.endpoint",
    ),
    (
        "[s3]\nstorage_class_chunks = \"DEEP ARCHIVE\"",
        "c.toml, line 2: s3.storage_class_chunks is \"DEEP ARCHIVE\": write a storage class like \
         \"STANDARD\" or \"DEEP_ARCHIVE\"",
    ),
    (
        "[s3]\nspool_enabled = \"yes\"",
        "c.toml, line 2: s3.spool_enabled is \"yes\": write true or false",
    ),
    (
        "[s3]\nsse = \"kms\"",
        "c.toml, line 2: s3.sse is \"kms\": write \"AES256\", \"aws:kms\" or \"none\"",
    ),
    (
        "[s3]\nsse_kms_key_id = \"alias/x\"",
        "c.toml: s3.sse_kms_key_id is set, but s3.sse is not \"aws:kms\"",
    ),
    (
        "[s3]\nchecksum = \"sha1\"",
        "c.toml, line 2: s3.checksum is \"sha1\": write \"auto\", \"crc32\" or \"md5\"",
    ),
    (
        "[s3]\nconditional_writes = true",
        "c.toml, line 2: s3.conditional_writes is true: write \"auto\", \"on\" or \"off\"",
    ),
    (
        "[s3]\nobject_lock_days = 30",
        "c.toml: s3.object_lock_days is not supported by this version: leave the key out",
    ),
    (
        "[s3]\nobject_lock_mode = \"COMPLIANCE\"",
        "c.toml: s3.object_lock_mode is not supported by this version: leave the key out",
    ),
    (
        "[pipeline]\nfilter = [[\"age\", \"-r\", \"x\"]]",
        "c.toml: pipeline.filter is not supported by this version: leave the key out",
    ),
    (
        "[pipeline]\nunfilter = [[\"age\", \"-d\"]]",
        "c.toml: pipeline.unfilter is not supported by this version: leave the key out",
    ),
    (
        "[pipeline]\nfilter = \"age\"",
        "c.toml, line 2: pipeline.filter is \"age\": write a list of commands like [[\"zstd\", \
         \"-3\"]]",
    ),
    (
        "[pipeline]\nhash = \"md5\"",
        "c.toml, line 2: pipeline.hash is \"md5\": write \"sha256\" or \"blake3\"",
    ),
    (
        "[restore]\nrestore_tier = \"Fast\"",
        "c.toml, line 2: restore.restore_tier is \"Fast\": write \"Standard\", \"Bulk\" or \
         \"Expedited\"",
    ),
    (
        "[subvolumes]\npaths = \"/srv\"",
        "c.toml, line 2: subvolumes.paths is \"/srv\": write a list of absolute paths like \
         [\"/srv/data\"]",
    ),
    (
        "[subvolumes]\npaths = [\n  \"srv\",\n]",
        "c.toml, line 2: subvolumes.paths is [ …: write an absolute path, one that begins with /",
    ),
    (
        "[subvolumes]\npaths = [\"/\"]",
        "c.toml: subvolumes.paths: \"/\" has no name: give it one, as in names = { \"/\" = \
         \"root\" }",
    ),
    (
        "[subvolumes]\npaths = [\"/srv/my data\"]",
        "c.toml: subvolumes.paths: \"/srv/my data\" needs another name (\"my data\" is not a \
         subvolume's name: 1 to 200 of A-Z a-z 0-9 . _ -, and not . or ..): give it one, as in \
         names = { \"/srv/my data\" = \"data\" }",
    ),
    (
        "[subvolumes]\npaths = [\"/a/data\", \"/b/data\"]",
        "c.toml: subvolumes.paths: \"/a/data\" and \"/b/data\" would both be called data: give \
         one of them another name, as in names = { \"/b/data\" = \"data2\" }",
    ),
    (
        "[subvolumes]\npaths = [\"/data\", \"/data/\"]",
        "c.toml: subvolumes.paths holds \"/data\" twice",
    ),
    (
        "[subvolumes]\npaths = [\"/data\"]\nnames = { \"/dta\" = \"x\" }",
        "c.toml: subvolumes.names: \"/dta\" is not in subvolumes.paths: add it there, or leave its \
         name out",
    ),
    (
        "[subvolumes]\npaths = [\"/data\"]\nnames = { \"/data\" = \"a/b\" }",
        "c.toml: subvolumes.names: \"/data\": \"a/b\" is not a subvolume's name: 1 to 200 of A-Z \
         a-z 0-9 . _ -, and not . or ..",
    ),
    (
        "[subvolumes]\npaths = [\"/data\"]\nnames = [\"x\"]",
        "c.toml, line 3: subvolumes.names is [\"x\"]: write a table of paths and names like { \
         \"/\" = \"root\" }",
    ),
    (
        "[subvolumes]\npaths = [\"/data\"]\naccept_nested = [\"/dat/vm\"]",
        "c.toml: subvolumes.accept_nested: \"/dat/vm\" lies in none of subvolumes.paths",
    ),
];
