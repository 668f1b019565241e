//! Says what would be thawed and downloaded, and asks for nothing.

use std::collections::BTreeMap;
use std::io::Write;

use super::Options;
use super::survey::{Seen, Survey, sum, words};
use crate::record::{ThawEnd, ThawPlan, Writer};
use crate::store::{Tier, Vault};

/// Writes a `thaw` record for each storage class and archive tier, and the end;
/// the log has the same in words.
///
/// # Errors
/// [`Options::wrong_tier`] when an object has no such tier; those of `out`.
pub fn print<W: Write>(survey: &Survey, options: &Options, out: W) -> anyhow::Result<()> {
    survey.check(options)?;
    let mut classes: BTreeMap<_, Vec<&Seen>> = BTreeMap::new();
    for seen in &survey.objects {
        let vault = seen.archived.map(|it| it.vault);
        classes.entry((&seen.storage_class, vault)).or_default().push(seen);
    }
    let (mut out, mut end) = (Writer::new(out), ThawEnd::default());
    for ((class, vault), objects) in classes {
        let plan = plan(class, vault, &objects, options.tier);
        log::info!("{}", said(&plan));
        out.write(&plan)?;
        end.objects += plan.objects;
        end.size = end.size.saturating_add(plan.size);
        end.frozen += plan.frozen;
    }
    out.write(&end)?;
    Ok(())
}

fn plan(class: &str, vault: Option<Vault>, objects: &[&Seen], tier: Tier) -> ThawPlan {
    let count = |is: fn(&Seen) -> bool| objects.iter().filter(|seen| is(seen)).count() as u64;
    let frozen = count(|seen| seen.frozen().is_some());
    let wait = vault.filter(|_| frozen > 0).and_then(|vault| vault.wait(tier));
    ThawPlan {
        storage_class: class.to_owned(),
        objects: objects.len() as u64,
        size: sum(objects.iter().copied()).1,
        frozen,
        thawing: count(|seen| seen.pending().is_some()) - frozen,
        tier: wait.map(|_| tier.to_string()),
        wait_seconds: wait.map(|wait| wait.most.as_secs()),
        wait: wait.map(|wait| wait.to_string()),
    }
}

/// A record in words.
fn said(plan: &ThawPlan) -> String {
    let mut said = format!("{}: {}", plan.storage_class, words((plan.objects, plan.size)));
    if let (Some(tier), Some(wait)) = (&plan.tier, &plan.wait) {
        let frozen = plan.frozen;
        said += &format!(", of which {frozen} must be thawed: tier {tier}, usually {wait}");
    }
    if plan.thawing > 0 {
        said += &format!(", {} being thawed", plan.thawing);
    }
    said
}
