//! What a store shows of archived objects, by script.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use crate::store::{Archived, Error, ErrorKind, Key, Meta, Result, Thaw, ThawRequest, Vault};

/// The states of archived objects, and what was asked.
#[derive(Default)]
pub(crate) struct Thaws {
    /// What the heads of each object show, one after the other, the last of them
    /// for ever.
    pub(crate) heads: Mutex<BTreeMap<Key, VecDeque<Archived>>>,
    /// What was asked for.
    pub(crate) asked: Mutex<Vec<(Key, ThawRequest)>>,
    /// How every thaw is refused.
    pub(crate) refuse: Mutex<Option<ErrorKind>>,
    /// Whether objects can be read as if they were not archived.
    pub(crate) readable: Mutex<bool>,
    /// `h` for each head, `t` for each thaw, in their order.
    pub(crate) log: Mutex<Vec<char>>,
}

impl Thaws {
    /// An object that stays frozen.
    pub(crate) fn never(key: Key) -> Self {
        let archived = Archived { vault: Vault::DeepArchive, thaw: Thaw::Frozen };
        let heads = BTreeMap::from([(key, VecDeque::from([archived]))]);
        Self { heads: Mutex::new(heads), ..Self::default() }
    }

    pub(super) fn head(&self, key: &Key, meta: &mut Meta) {
        self.log.lock().unwrap().push('h');
        let mut heads = self.heads.lock().unwrap();
        let Some(states) = heads.get_mut(key) else { return };
        meta.archived = states.front().copied();
        if states.len() > 1 {
            states.pop_front();
        }
        meta.storage_class = match meta.archived.map(|it| it.vault) {
            Some(Vault::Glacier) => "GLACIER",
            Some(Vault::DeepArchive) => "DEEP_ARCHIVE",
            _ => "INTELLIGENT_TIERING",
        }
        .to_owned();
    }

    pub(super) fn thaw(&self, key: &Key, request: &ThawRequest) -> Result<()> {
        self.log.lock().unwrap().push('t');
        self.asked.lock().unwrap().push((key.clone(), *request));
        match *self.refuse.lock().unwrap() {
            Some(kind) => Err(Error::new(kind, "thaw", key.as_str(), "by script")),
            None => Ok(()),
        }
    }

    /// The refusal of a get.
    pub(super) fn refuses_get(&self, key: &Key) -> Option<Error> {
        let archived = self.heads.lock().unwrap().contains_key(key);
        let refused = archived && !*self.readable.lock().unwrap();
        let error = || Error::new(ErrorKind::Archived, "read", key.as_str(), "InvalidObjectState");
        refused.then(error)
    }
}
