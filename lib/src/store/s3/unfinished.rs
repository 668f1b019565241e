//! What the server keeps of uploads that are not finished: their parts, and
//! which there are.

use super::S3Store;
use super::object::unquoted;
use super::xml::{self, PartList, UploadList};
use crate::retry::{Failed, Idempotency};
use crate::store::{ErrorKind, PartSeen, Result, Upload, UploadSeen};

impl S3Store {
    pub(super) async fn parts_of(&self, upload: &Upload) -> Result<Vec<PartSeen>> {
        let mut parts: Vec<PartSeen> = Vec::new();
        loop {
            let job =
                self.client.job("list the parts of", upload.key.as_str(), Idempotency::Idempotent);
            let mut call = self.of_upload("GET", upload, job);
            let last = parts.last().map_or(0, |part| part.number);
            if last > 0 {
                call = call.param("part-number-marker", last.to_string());
            }
            let page: PartList =
                self.client.send(&call, async |answer| xml::read(&answer.text().await?)).await?;
            let page_parts = page.parts.into_iter().map(|part| PartSeen {
                number: part.part_number,
                size: part.size,
                etag: unquoted(&part.etag),
            });
            // Not the server's own marker: some leave it out.
            parts.extend(page_parts.filter(|part| part.number > last));
            parts.sort_by_key(|part| part.number);
            if !page.is_truncated || parts.last().map_or(0, |part| part.number) == last {
                return Ok(parts);
            }
        }
    }

    pub(super) async fn unfinished(&self, prefix: &str) -> Result<Vec<UploadSeen>> {
        let mut uploads = Vec::new();
        let mut marker: Option<(String, String)> = None;
        loop {
            let job = self.client.job("list the uploads in", prefix, Idempotency::Idempotent);
            let mut call = self.client.call("GET", "", job).flag("uploads");
            if !prefix.is_empty() {
                call = call.param("prefix", prefix);
            }
            if let Some((key, id)) = &marker {
                call = call.param("key-marker", key).param("upload-id-marker", id);
            }
            let before = marker.take();
            let (page, next) = self
                .client
                .send(&call, async |answer| {
                    let page: UploadList = xml::read(&answer.text().await?)?;
                    let next = next_marker(&page, before.as_ref())?;
                    Ok((page, next))
                })
                .await?;
            let listed = page.uploads.into_iter().map(|upload| UploadSeen {
                key: upload.key,
                id: upload.upload_id,
                begun: upload.initiated.and_then(|text| text.parse().ok()),
            });
            // A server may know no prefix here.
            uploads.extend(listed.filter(|upload| upload.key.starts_with(prefix)));
            match next {
                Some(next) => marker = Some(next),
                None => return Ok(uploads),
            }
        }
    }
}

/// Where the next page begins, if there is one.
fn next_marker(
    page: &UploadList,
    before: Option<&(String, String)>,
) -> Result<Option<(String, String)>, Failed> {
    if !page.is_truncated {
        return Ok(None);
    }
    let next = page.next_key_marker.clone().zip(page.next_upload_id_marker.clone());
    if next.is_none() || next.as_ref() == before {
        let cause = "a page of the list of uploads goes nowhere";
        return Err(Failed::never(ErrorKind::BadAnswer, cause));
    }
    Ok(next)
}
