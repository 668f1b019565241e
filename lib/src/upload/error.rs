//! Why a chunk could not be stored.

use crate::exit::{HasStatus, Status};
use crate::store;

/// Why a chunk could not be stored. Its parts share one answer, hence `Clone`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A completed chunk cannot become what this attempt's stream holds: objects
    /// are never replaced.
    #[error(
        "{url} is stored, and {what}: this upload cannot be gone on with; run the backup again, it \
         begins a new one"
    )]
    Changed {
        /// The object's URL.
        url: String,
        /// What is other than the journal says.
        what: &'static str,
    },
    /// The store no longer has the upload, and no object came of it.
    #[error(
        "{cause}: no object came of it, so its parts are lost (a lifecycle rule that aborts uploads \
         does this); run the backup again, it uploads that chunk once more"
    )]
    Lost {
        /// What the store said.
        cause: store::Error,
    },
}

impl HasStatus for Error {
    fn status(&self) -> Status {
        match self {
            Self::Store(error) => error.status(),
            Self::Changed { .. } | Self::Lost { .. } => Status::TryLater,
        }
    }
}
