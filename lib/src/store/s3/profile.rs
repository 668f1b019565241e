//! Keys from AWS's profile files.
//!
//! <https://docs.aws.amazon.com/cli/latest/topic/config-vars.html>. Rusoto's own
//! reader cuts tokens off at their first `=`, and panics on a line without one.
//! Profiles that assume roles or log in by SSO are refused with a way out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind::NotFound;
use std::path::PathBuf;
use std::process::Stdio;

use rusoto_core::credential::{AwsCredentials, CredentialsError};
use serde::Deserialize;
use tokio::process::Command;

type Result<T> = std::result::Result<T, CredentialsError>;

/// The settings of one profile in one file.
type Profile = BTreeMap<String, String>;

/// The keys of the profile that `AWS_PROFILE` names, or of `default`.
///
/// Keys in the credentials file go before a `credential_process`, that goes
/// before keys in the config file; as AWS's own programs do.
///
/// # Errors
/// When a file cannot be read, or holds no keys for the profile.
pub(super) async fn credentials() -> Result<AwsCredentials> {
    let name = variable("AWS_PROFILE").and_then(|name| name.into_string().ok());
    let name = name.as_deref().unwrap_or("default");
    let shared = read("AWS_SHARED_CREDENTIALS_FILE", "credentials", name).await?;
    let config = read("AWS_CONFIG_FILE", "config", name).await?;
    if let Some(keys) = keys(&shared) {
        return Ok(keys);
    }
    let process = "credential_process";
    if let Some(command) = config.get(process).or(shared.get(process)) {
        return run(command).await;
    }
    keys(&config).ok_or_else(|| {
        let indirect = |key: &String| key == "role_arn" || key.starts_with("sso_");
        let hint = match shared.keys().chain(config.keys()).any(indirect) {
            true => {
                ": write credential_process = aws configure export-credentials --format process"
            }
            false => "",
        };
        CredentialsError::new(format!("profile {name} holds no keys{hint}"))
    })
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Reads what a file says of `profile`; nothing when there is no file.
async fn read(variable_name: &str, usual: &str, profile: &str) -> Result<Profile> {
    let home = || std::env::home_dir().map(|home| home.join(".aws").join(usual));
    let Some(path) = variable(variable_name).map(PathBuf::from).or_else(home) else {
        return Ok(Profile::new());
    };
    match tokio::fs::read_to_string(&path).await {
        Ok(text) => Ok(parse(&text, profile)),
        Err(error) if error.kind() == NotFound => Ok(Profile::new()),
        Err(error) => Err(CredentialsError::new(format!("{}: {error}", path.display()))),
    }
}

/// What `text` says of `profile`: `[name]` or `[profile name]`, then `key = value`
/// lines. Lines that begin with a blank are settings within settings.
fn parse(text: &str, profile: &str) -> Profile {
    let mut settings = Profile::new();
    let mut within = false;
    for line in text.lines() {
        if let Some(section) = line.trim().strip_prefix('[').and_then(|it| it.split(']').next()) {
            let name = section.trim();
            within = name.strip_prefix("profile ").unwrap_or(name).trim() == profile;
        } else if within
            && !line.starts_with(['#', ';', ' ', '\t'])
            && let Some((key, value)) = line.split_once('=')
        {
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

fn keys(profile: &Profile) -> Option<AwsCredentials> {
    let access = profile.get("aws_access_key_id")?;
    let secret = profile.get("aws_secret_access_key")?;
    let token = profile.get("aws_session_token").cloned();
    Some(AwsCredentials::new(access, secret, token, None))
}

/// What a `credential_process` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
}

async fn run(command: &str) -> Result<AwsCredentials> {
    let failed = |why: String| CredentialsError::new(format!("credential_process {why}"));
    let words = shlex::split(command).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("is no command".to_owned()));
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(format!("{program} does not run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("{program} failed: {}", output.status)));
    }
    printed(&output.stdout).map_err(|why| failed(format!("{program} {why}")))
}

/// Errors tell where, never what: the text holds secrets.
fn printed(json: &[u8]) -> std::result::Result<AwsCredentials, String> {
    let wrong = |error: serde_json::Error| {
        format!("printed something else than keys (line {})", error.line())
    };
    let Printed { version } = serde_json::from_slice(json).map_err(wrong)?;
    if version != 1 {
        return Err(format!("prints version {version}, and only 1 is known"));
    }
    serde_json::from_slice(json).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_and_read_to_the_letter() {
        let text = "; comment\naws_access_key_id = nobody\n[default]\naws_access_key_id=a\n\
                    [ profile other ]  # comment\nAWS_ACCESS_KEY_ID = b\nno value\n\
                    aws_session_token = x/+==\ns3 =\n  region = nested\n# region = no\n";
        assert_eq!(parse(text, "default"), [("aws_access_key_id".into(), "a".into())].into());
        let other = parse(text, "other");
        assert_eq!(other["aws_access_key_id"], "b");
        assert_eq!(other["aws_session_token"], "x/+==");
        assert_eq!(other.len(), 3, "{other:?}");
        assert!(parse(text, "missing").is_empty());
    }

    #[test]
    fn a_process_that_prints_no_keys_is_told_without_showing_what_it_printed() {
        for json in ["", "{}", "\"hush\"", "{\"Version\":1}", "{\"Version\":\"hush\"}"] {
            let error = printed(json.as_bytes()).unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
        let json = r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"s","SessionToken":"t",
                       "Expiration":"2999-01-01T00:00:00Z"}"#;
        let keys = printed(json.as_bytes()).unwrap();
        assert_eq!(keys.token().as_deref(), Some("t"));
        assert!(keys.expires_at().is_some());
        assert!(printed(json.replace("1,", "2,").as_bytes()).is_err());
    }
}
