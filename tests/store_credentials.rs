//! Where credentials are found, and that they are never shown. Each test runs
//! this program once more, as a child with an environment of its own.

#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use bts::cli::status_of;
use bts_tests::s3::{ACCESS_KEY, Fault, Op, REGION, Reach, Refusal, Rule, S3Server, SECRET_KEY};

/// Runs [`list_in_a_child`] in an environment that holds the endpoint, what is
/// given, and where to note the coverage, if it is measured.
fn list(reach: &Reach, home: &Path, environment: &[(&str, &str)]) -> Output {
    let coverage = std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE");
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "list_in_a_child", "--ignored", "--nocapture"])
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("AWS_ENDPOINT_URL_S3", reach.endpoint.as_ref().unwrap())
        .envs(environment.iter().copied())
        .envs(coverage)
        .output()
        .unwrap()
}

/// Lists the bucket as a program would, and prints what comes of it.
#[tokio::test]
#[ignore = "run by the other tests"]
async fn list_in_a_child() {
    env_logger::Builder::from_default_env().init();
    let reach = Reach {
        endpoint: std::env::var("AWS_ENDPOINT_URL_S3").ok(),
        region: Some(REGION.to_owned()),
        bucket: bts_tests::s3::BUCKET.to_owned(),
        prefix: String::new(),
        keys: None,
        ca: None,
    };
    let list = async || {
        let archive = bts::store::open(&reach.settings()).await?;
        let lists = (0..4).map(|_| archive.store.list("", false, None));
        futures::future::try_join_all(lists).await?;
        anyhow::Ok(())
    };
    match list().await {
        Ok(()) => println!("listed"),
        Err(error) => println!("status {}: {error:#}", status_of(&error)),
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn credentials_come_from_the_environment() {
    let (server, home) = (S3Server::start(), tempfile::tempdir().unwrap());
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let output = list(server.reach(), home.path(), &keys);
    assert!(said(&output).contains("listed"), "{}", said(&output));
}

#[test]
fn credentials_come_from_a_profile() {
    let (server, home) = (S3Server::start(), tempfile::tempdir().unwrap());
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let file = format!(
        "[default]\naws_access_key_id = other\naws_secret_access_key = other\n\
         [nightly]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    );
    std::fs::write(home.path().join(".aws/credentials"), file).unwrap();
    let output = list(server.reach(), home.path(), &[("AWS_PROFILE", "nightly")]);
    assert!(said(&output).contains("listed"), "{}", said(&output));
    let output = list(server.reach(), home.path(), &[]);
    assert!(said(&output).contains("status 77"), "{}", said(&output));
}

#[test]
fn credentials_come_from_a_process() {
    let (server, home) = (S3Server::start(), tempfile::tempdir().unwrap());
    let keys = format!(
        r#"{{"Version": 1, "AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET_KEY}"}}"#
    );
    let (keys_file, config) = (home.path().join("keys.json"), home.path().join("config"));
    std::fs::write(&keys_file, keys).unwrap();
    let process = format!("[default]\ncredential_process = cat {}\n", keys_file.display());
    std::fs::write(&config, process).unwrap();
    let config = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
    let output = list(server.reach(), home.path(), &config);
    assert!(said(&output).contains("listed"), "{}", said(&output));
}

/// Lets a process give the credentials, each time it runs the next of `keys`
/// (it fails for an empty one); lists, and gives back what was said and how often
/// the process ran.
fn list_by_process(server: &S3Server, keys: &[&str]) -> (String, usize) {
    let home = tempfile::tempdir().unwrap();
    let (config, runs) = (home.path().join("config"), home.path().join("runs"));
    for (run, key) in (1..).zip(keys).filter(|(_, key)| !key.is_empty()) {
        let keys = format!(
            r#"{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "{SECRET_KEY}"}}"#
        );
        std::fs::write(home.path().join(format!("{run}.json")), keys).unwrap();
    }
    let script = format!(
        "#!/bin/sh\necho run >> {runs}\nexec cat {home}/$(wc -l < {runs}).json\n",
        runs = runs.display(),
        home = home.path().display(),
    );
    let process = home.path().join("process");
    std::fs::write(&process, script).unwrap();
    std::fs::set_permissions(&process, Permissions::from_mode(0o755)).unwrap();
    let text = format!("[default]\ncredential_process = {}\n", process.display());
    std::fs::write(&config, text).unwrap();

    let config = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
    let said = said(&list(server.reach(), home.path(), &config));
    (said, std::fs::read_to_string(&runs).unwrap().lines().count())
}

/// A server to which the access key `AKIAOLD` is one that expired.
fn server_of_expired_keys() -> S3Server {
    let server = S3Server::start();
    let expired = Fault::Refuse(Refusal::EXPIRED);
    server.control().inject(Rule::any(expired).signed_by("AKIAOLD").always());
    server
}

#[test]
fn credentials_that_expired_are_fetched_again_once() {
    let server = server_of_expired_keys();
    let (said, runs) = list_by_process(&server, &["AKIAOLD", ACCESS_KEY]);
    assert!(said.contains("listed"), "{said}");
    assert_eq!(runs, 2, "{said}");
    let count = server.control().count(Op::ListObjects);
    assert!((1..=4).contains(&count.faults) && count.done == 4, "{count:?}");
}

#[test]
fn credentials_that_cannot_be_fetched_for_a_moment_are_waited_for() {
    let server = server_of_expired_keys();
    let (said, runs) = list_by_process(&server, &["AKIAOLD", "", ACCESS_KEY]);
    assert!(said.contains("listed"), "{said}");
    assert_eq!(runs, 3, "{said}");
}

#[test]
fn credentials_that_stay_expired_are_refused() {
    let (server, home) = (S3Server::start(), tempfile::tempdir().unwrap());
    server.control().inject(Rule::any(Fault::Refuse(Refusal::EXPIRED)).always());
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let said = said(&list(server.reach(), home.path(), &keys));
    assert!(said.contains("status 77") && said.contains("ExpiredToken"), "{said}");
    assert!(said.contains("tried 2 times"), "{said}");
}

#[test]
fn missing_credentials_are_refused_with_where_they_were_sought() {
    let (server, home) = (S3Server::start(), tempfile::tempdir().unwrap());
    let said = said(&list(server.reach(), home.path(), &[]));
    assert!(said.contains("status 77: no AWS credentials in the environment"), "{said}");
    assert!(said.contains("AWS_ACCESS_KEY_ID"), "{said}");
}

#[test]
fn secrets_are_not_logged_at_any_level() {
    let (server, home) = (S3Server::start(), tempfile::tempdir().unwrap());
    let token = "a-token-of-this-session";
    for secret in [SECRET_KEY, "a wrong secret"] {
        let keys = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", token),
            ("RUST_LOG", "trace"),
        ];
        let said = said(&list(server.reach(), home.path(), &keys));
        assert!(said.contains("HTTP"), "nothing was logged: {said}");
        assert_eq!(said.contains("listed"), secret == SECRET_KEY, "{said}");
        for hidden in [secret, token, "Signature="] {
            assert!(!said.contains(hidden), "{hidden} is in: {said}");
        }
    }
}
