//! Thaws archived objects: asks for all of them at once, and waits.
//!
//! Promises that every object has been looked at, and a tier that one of them
//! does not have has been refused, before anything is asked for, which costs
//! money; and that everything that must be asked for has been, before anything
//! is waited for. How far a thaw is, the store alone knows: a wait that was
//! killed is simply begun again. A thawed copy that would go away too soon is
//! asked for once more.
//!
//! Which objects are wanted, and fetching them, is for [`crate::download`].

mod ask;
mod print;
mod survey;
mod wait;

pub use print::print;
pub use survey::{Survey, survey};

use std::time::Duration;

use crate::exit::Status;
use crate::store::{Archive, Tier};

/// How many objects are asked for, or about, at the same time.
const AT_ONCE: usize = 16;

/// How to thaw.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How fast.
    pub tier: Tier,
    /// What a tier that an object does not have is: [`Status::Usage`] where the
    /// command line named it, else [`Status::Config`].
    pub wrong_tier: Status,
    /// For how many days a thawed copy stays.
    pub days: u32,
    /// How long to wait for everything to be ready; `None` is not at all.
    pub patience: Option<Duration>,
    /// How often to look; `None` is what suits where the objects lie.
    pub poll: Option<Duration>,
}

/// Asks for what must be thawed of the objects in `survey`, and waits until all
/// of it can be read.
///
/// # Errors
/// [`Options::wrong_tier`] when an object has no such tier, before anything is
/// asked for; [`Status::TryLater`] when not everything is ready within
/// [`Options::patience`]; those of the store.
pub async fn thaw(archive: &Archive, survey: Survey, options: &Options) -> anyhow::Result<()> {
    survey.check(options)?;
    wait::until_ready(archive, survey, options).await
}

#[cfg(test)]
mod tests;
