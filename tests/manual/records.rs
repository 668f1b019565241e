//! Records: every type and field that is written is described, and no other.

use std::collections::{BTreeMap, BTreeSet};

use crate::page::{Item, behind, page};
use crate::samples::samples;

#[test]
fn every_record_and_field_is_described_and_no_other() {
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Item { subsection, words, .. } in page("bts-records.5").items() {
        let fields: Vec<_> = behind("Va", &words).map(str::to_owned).collect();
        if let (Some(title), false) = (subsection, fields.is_empty()) {
            let known = described.entry(title.clone()).or_default();
            for field in fields {
                assert!(known.insert(field.clone()), "{title}: {field} is described twice");
            }
        }
    }
    let samples = samples();
    for sample in &samples {
        let title = sample.title;
        let fields = described.remove(title).unwrap_or_default();
        assert_eq!(fields, sample.fields, "{title}: bts-records(5), and what is written");
    }
    assert!(described.is_empty(), "nothing writes {:?}", described.keys());
    let sampled: BTreeSet<_> = samples.iter().filter_map(|sample| sample.record).collect();
    let types: BTreeSet<_> = bts::record::TYPES.iter().copied().collect();
    assert_eq!(sampled, types, "the samples, and the record types of the library");
}
