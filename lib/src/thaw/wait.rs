//! Looks again and again, gently, until everything can be read.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::ask::ask;
use super::survey::{Survey, look, words};
use super::{AT_ONCE, Options};
use crate::exit::{Failure, Status};
use crate::store::{Archive, Tier, Vault};

/// How long it takes until the same progress is told once more.
const SILENCE: Duration = Duration::from_secs(3600);

/// Asks, looks and waits.
pub(super) async fn until_ready(
    archive: &Archive,
    mut survey: Survey,
    options: &Options,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let asked = ask(archive, &mut survey, options).await?;
    if asked > 0 {
        // It may be there: then nobody waits, and nobody is told to come back.
        look_again(archive, &mut survey).await?;
    }
    let mut told = Told::default();
    for round in 0.. {
        let Some(vault) = slowest(&survey) else { break };
        if round == 0 {
            announce(&survey, asked, vault, options);
        }
        let left = options.patience.and_then(|patience| patience.checked_sub(start.elapsed()));
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            return Err(pending(&survey, vault, options).into());
        };
        sleep(pause(round, vault, options).min(left)).await;
        look_again(archive, &mut survey).await?;
        // What went away meanwhile, and what soon will.
        ask(archive, &mut survey, options).await?;
        told.progress(&survey);
    }
    Ok(())
}

/// Looks at what could not be read yet.
async fn look_again(archive: &Archive, survey: &mut Survey) -> anyhow::Result<()> {
    let waiting = survey.objects.iter().enumerate().filter(|(_, seen)| seen.pending().is_some());
    let seen: Vec<_> = stream::iter(waiting)
        .map(|(at, seen)| async move { anyhow::Ok((at, look(archive, &seen.key).await?)) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    for (at, now) in seen {
        survey.objects[at].archived = now.archived;
    }
    Ok(())
}

/// Where what takes longest lies; `None` when all can be read.
fn slowest(survey: &Survey) -> Option<Vault> {
    survey.objects.iter().filter_map(|seen| seen.pending()).max()
}

/// How long to wait before the next look. A look costs a request an object.
fn pause(round: u32, slowest: Vault, options: &Options) -> Duration {
    const MINUTE: Duration = Duration::from_secs(60);
    let longest = match (slowest.is_deep(), options.tier) {
        (false, Tier::Expedited) => MINUTE / 2,
        (false, _) => MINUTE * 5,
        (true, _) => MINUTE * 10,
    };
    let growing = MINUTE.saturating_mul(2_u32.saturating_pow(round));
    options.poll.unwrap_or(growing.min(longest))
}

fn announce(survey: &Survey, asked: usize, vault: Vault, options: &Options) {
    let (pending, all) = (words(survey.pending()), words(survey.all()));
    let takes = takes(vault, options.tier);
    log::info!("{pending} of {all} must thaw, asked for {asked}: {takes}");
}

/// What the provider says of it. What another request asked for may have another
/// tier; ours is the best guess.
fn takes(vault: Vault, tier: Tier) -> String {
    match vault.wait(tier) {
        Some(wait) => format!("{vault} with tier {tier} is usually ready {wait} after the request"),
        None => format!("{vault} is usually ready within 48 hours"),
    }
}

fn pending(survey: &Survey, vault: Vault, options: &Options) -> Failure {
    let (pending, all) = (words(survey.pending()), words(survey.all()));
    let takes = takes(vault, options.tier);
    let message = format!(
        "{pending} of {all} are not thawed yet; they have been asked for, and {takes}: run this \
         again then, and it goes on"
    );
    Failure::new(Status::TryLater, message)
}

/// What was said last, and when.
#[derive(Default)]
struct Told {
    last: Option<(u64, Instant)>,
}

impl Told {
    fn progress(&mut self, survey: &Survey) {
        let (pending, size) = survey.pending();
        let (count, total) = survey.all();
        let old = self.last.is_some_and(|(said, at)| said == pending && at.elapsed() < SILENCE);
        if !old {
            let ready = words((count - pending, total.saturating_sub(size)));
            log::info!("{ready} of {} are ready", words((count, total)));
            self.last = Some((pending, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_minutes_apart() {
        let options = |tier| Options {
            tier,
            wrong_tier: Status::Usage,
            days: 14,
            patience: None,
            poll: None,
        };
        let seconds = |vault, tier| {
            [0, 1, 2, 3, 4, 100].map(|round| pause(round, vault, &options(tier)).as_secs())
        };
        assert_eq!(seconds(Vault::DeepArchive, Tier::Standard), [60, 120, 240, 480, 600, 600]);
        assert_eq!(seconds(Vault::Glacier, Tier::Bulk), [60, 120, 240, 300, 300, 300]);
        assert_eq!(seconds(Vault::Glacier, Tier::Expedited), [30; 6]);
        let poll = Some(Duration::from_secs(7));
        let given = Options { poll, ..options(Tier::Bulk) };
        assert_eq!(pause(9, Vault::DeepArchive, &given).as_secs(), 7);
    }
}
