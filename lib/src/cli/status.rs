//! Which status an error ends a program with.

use crate::exit::{Failure, HasStatus, Status};

/// The status that an error at the edge of a program stands for: that of the
/// first error in its chain that knows one, [`Status::Io`] otherwise.
pub fn status_of(error: &anyhow::Error) -> Status {
    fn of<E: HasStatus + std::error::Error + 'static>(
        error: &(dyn std::error::Error + 'static),
    ) -> Option<Status> {
        error.downcast_ref::<E>().map(HasStatus::status)
    }
    error
        .chain()
        .find_map(|cause| {
            of::<Failure>(cause)
                .or_else(|| of::<crate::record::Error>(cause))
                .or_else(|| of::<crate::store::Error>(cause))
                .or_else(|| of::<crate::store::BadKey>(cause))
                .or_else(|| of::<crate::btrfs::Error>(cause))
                .or_else(|| of::<crate::manifest::Invalid>(cause))
                .or_else(|| of::<crate::send_stream::Error>(cause))
                .or_else(|| of::<crate::upload::Error>(cause))
        })
        .unwrap_or(Status::Io)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_first_error_that_knows_its_status_decides() {
        let error =
            anyhow::Error::new(Failure::data("chunk 3 is short")).context("checking the archive");
        assert_eq!(status_of(&error), Status::Data);
    }

    #[test]
    fn an_error_without_a_status_counts_as_io() {
        let error = Err::<(), _>(std::io::Error::other("disk on fire"))
            .context("writing the state")
            .unwrap_err();
        assert_eq!(status_of(&error), Status::Io);
    }
}
