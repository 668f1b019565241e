//! Objects in archive classes: which there are, what a thaw of them takes, and
//! how far it is.
//!
//! Facts from
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html>
//! and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html>.
//! Every other class, GLACIER_IR and STANDARD_IA among them, is read at once.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use crate::time::Time;

/// An object that must be thawed before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Where it lies.
    pub vault: Vault,
    /// How far its thaw is.
    pub thaw: Thaw,
}

/// How far the thaw of an archived object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thaw {
    /// Nobody asked for it, or its time is over.
    Frozen,
    /// It was asked for.
    Thawing,
    /// It can be read.
    Ready {
        /// When the thawed copy goes away, where the store says so.
        until: Option<Time>,
    },
}

/// What keeps archived objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vault {
    /// The class GLACIER (Flexible Retrieval).
    Glacier,
    /// The archive access tier of INTELLIGENT_TIERING.
    TieredArchive,
    /// The class DEEP_ARCHIVE.
    DeepArchive,
    /// The deep archive access tier of INTELLIGENT_TIERING.
    TieredDeepArchive,
}

/// How fast a thaw is asked for, and at which price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// Minutes; dear, and not for everything
    #[value(name = "Expedited")]
    Expedited,
    /// Hours
    #[default]
    #[value(name = "Standard")]
    Standard,
    /// Up to two days; the cheapest
    #[value(name = "Bulk")]
    Bulk,
}

impl Vault {
    /// Where objects of a class lie; `status` is the archive tier that the store
    /// names for one in INTELLIGENT_TIERING.
    pub fn of(storage_class: &str, status: Option<&str>) -> Option<Self> {
        match (storage_class, status) {
            ("GLACIER", _) => Some(Self::Glacier),
            ("DEEP_ARCHIVE", _) => Some(Self::DeepArchive),
            ("INTELLIGENT_TIERING", Some("ARCHIVE_ACCESS")) => Some(Self::TieredArchive),
            ("INTELLIGENT_TIERING", Some("DEEP_ARCHIVE_ACCESS")) => Some(Self::TieredDeepArchive),
            _ => None,
        }
    }

    /// How long a thaw takes by the provider's documents; `None` when there is no
    /// such tier here.
    pub fn wait(self, tier: Tier) -> Option<Wait> {
        const HOUR: u64 = 3600;
        let (least, most) = match (self.is_deep(), tier) {
            (false, Tier::Expedited) => (60, 300),
            (false, Tier::Standard) => (3 * HOUR, 5 * HOUR),
            (false, Tier::Bulk) => (5 * HOUR, 12 * HOUR),
            (true, Tier::Expedited) => return None,
            (true, Tier::Standard) => (0, 12 * HOUR),
            (true, Tier::Bulk) => (0, 48 * HOUR),
        };
        Some(Wait { least: Duration::from_secs(least), most: Duration::from_secs(most) })
    }

    /// Whether a thaw takes half a day and more.
    pub fn is_deep(self) -> bool {
        matches!(self, Self::DeepArchive | Self::TieredDeepArchive)
    }

    /// Whether a thawed copy goes away again; otherwise the object itself moves,
    /// and a request that names days is refused.
    pub fn expires(self) -> bool {
        matches!(self, Self::Glacier | Self::DeepArchive)
    }
}

impl fmt::Display for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glacier => "GLACIER",
            Self::TieredArchive => "INTELLIGENT_TIERING (archive access)",
            Self::DeepArchive => "DEEP_ARCHIVE",
            Self::TieredDeepArchive => "INTELLIGENT_TIERING (deep archive access)",
        })
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expedited => "Expedited",
            Self::Standard => "Standard",
            Self::Bulk => "Bulk",
        })
    }
}

/// How long a thaw usually takes. Large objects take longer with Expedited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// At least; zero where nothing is said.
    pub least: Duration,
    /// At most.
    pub most: Duration,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.least.as_secs(), self.most.as_secs());
        let (unit, word) = if most < 3600 { (60, "minutes") } else { (3600, "hours") };
        match least {
            0 => write!(f, "within {} {word}", most / unit),
            _ => write!(f, "{} to {} {word}", least / unit, most / unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_archive_classes_need_a_thaw() {
        for class in ["STANDARD", "STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "x"] {
            assert_eq!(Vault::of(class, None), None, "{class}");
        }
        assert_eq!(Vault::of("GLACIER", None), Some(Vault::Glacier));
        assert_eq!(Vault::of("DEEP_ARCHIVE", None), Some(Vault::DeepArchive));
        let tiered = |status| Vault::of("INTELLIGENT_TIERING", Some(status));
        assert_eq!(tiered("ARCHIVE_ACCESS"), Some(Vault::TieredArchive));
        assert_eq!(tiered("DEEP_ARCHIVE_ACCESS"), Some(Vault::TieredDeepArchive));
        assert!(!Vault::TieredArchive.expires() && Vault::DeepArchive.expires());
    }

    #[test]
    fn the_documented_waits_are_told_in_words() {
        let words = |vault: Vault| {
            [Tier::Expedited, Tier::Standard, Tier::Bulk]
                .map(|tier| vault.wait(tier).map_or("none".to_owned(), |wait| wait.to_string()))
        };
        assert_eq!(words(Vault::Glacier), ["1 to 5 minutes", "3 to 5 hours", "5 to 12 hours"]);
        assert_eq!(words(Vault::DeepArchive), ["none", "within 12 hours", "within 48 hours"]);
        for (tiered, plain) in
            [(Vault::TieredArchive, Vault::Glacier), (Vault::TieredDeepArchive, Vault::DeepArchive)]
        {
            assert_eq!(words(tiered), words(plain));
        }
    }
}
