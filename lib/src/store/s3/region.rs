//! Where a bucket's server is.

use hyper::Uri;
use rusoto_core::Region;

use crate::exit::Failure;
use crate::store::Settings;

/// The region that S3-compatible servers assume when none is named.
const DEFAULT: &str = "us-east-1";

/// The region and endpoint that the settings come to.
///
/// Rusoto's list of regions ends in 2021: names that it does not know become
/// custom regions with AWS's own endpoint.
///
/// # Errors
/// No region and no endpoint; a name or a URL that cannot be one.
pub(super) fn region(settings: &Settings, bucket: &str) -> Result<Region, Failure> {
    let name = match (&settings.region, &settings.endpoint) {
        (Some(name), _) => name.as_str(),
        (None, Some(_)) => DEFAULT,
        (None, None) => {
            return Err(Failure::config(format!(
                "bucket {bucket} has no region: give --region, AWS_REGION or [s3] region \
                 (or --endpoint for a server other than AWS)"
            )));
        }
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Failure::config(format!("{name:?} is no region; write one like eu-central-1")));
    }
    let endpoint = match &settings.endpoint {
        Some(url) => checked(url)?,
        None => match name.parse() {
            Ok(region) => return Ok(region),
            Err(_) if name.starts_with("cn-") => format!("https://s3.{name}.amazonaws.com.cn"),
            Err(_) => format!("https://s3.{name}.amazonaws.com"),
        },
    };
    Ok(Region::Custom { name: name.to_owned(), endpoint })
}

/// The endpoint without a `/` at its end: the path of a request follows it.
fn checked(url: &str) -> Result<String, Failure> {
    let bad = |why: &str| Failure::config(format!("the endpoint {url:?} {why}"));
    let uri: Uri = url.parse().map_err(|error| bad(&format!("is no URL: {error}")))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
        _ => return Err(bad("is not like https://HOST[:PORT]")),
    }
    if uri.query().is_some() || uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Err(bad("holds more than a host, a port and a path"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come_to(region: Option<&str>, endpoint: Option<&str>) -> Result<Region, Failure> {
        let settings = Settings {
            url: "s3://archive".parse().unwrap(),
            region: region.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            sse: None,
            sse_kms_key_id: None,
            checksum: Default::default(),
            conditional_writes: Default::default(),
            retry_for: Default::default(),
        };
        super::region(&settings, "archive")
    }

    fn custom(name: &str, endpoint: &str) -> Region {
        Region::Custom { name: name.to_owned(), endpoint: endpoint.to_owned() }
    }

    #[test]
    fn regions_that_rusoto_knows_and_those_it_does_not_both_work() {
        assert_eq!(come_to(Some("eu-central-1"), None), Ok(Region::EuCentral1));
        let new = custom("eu-central-2", "https://s3.eu-central-2.amazonaws.com");
        assert_eq!(come_to(Some("eu-central-2"), None), Ok(new));
        let china = custom("cn-west-9", "https://s3.cn-west-9.amazonaws.com.cn");
        assert_eq!(come_to(Some("cn-west-9"), None), Ok(china));
    }

    #[test]
    fn an_endpoint_needs_no_region() {
        let local = custom("us-east-1", "http://127.0.0.1:9000");
        assert_eq!(come_to(None, Some("http://127.0.0.1:9000/")), Ok(local));
        let garage = custom("garage", "https://s3.example.org/base");
        assert_eq!(come_to(Some("garage"), Some("https://s3.example.org/base")), Ok(garage));
    }

    #[test]
    fn a_bucket_without_a_region_is_told_what_to_set() {
        let error = come_to(None, None).unwrap_err();
        assert_eq!(error.status, crate::exit::Status::Config);
        assert!(error.message.contains("[s3] region"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        for endpoint in
            ["", "localhost:9000", "ftp://host", "https://", "http://h?x", "http://u:p@h"]
        {
            assert!(come_to(None, Some(endpoint)).is_err(), "{endpoint}");
        }
        for region in ["", "eu central", "EU\n", "eu/1"] {
            assert!(come_to(Some(region), None).is_err(), "{region:?}");
        }
    }
}
