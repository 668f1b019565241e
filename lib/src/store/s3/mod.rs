//! A store on an S3 server.

/// How the server checks what it stores (`[s3] checksum`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumMode {
    /// CRC-32 where the server takes it, else MD5.
    #[default]
    Auto,
    /// CRC-32, or fail.
    Crc32,
    /// Content-MD5.
    Md5,
}

/// Whether conditional writes are used (`[s3] conditional_writes`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// Where the server is proven to honour them.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never: look first, write after.
    Off,
}
