//! An S3 server for tests that kill it. See `bts_tests::s3::run_server`.

fn main() {
    bts_tests::s3::run_server(std::env::args().skip(1));
}
