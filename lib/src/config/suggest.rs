//! The right word for a wrong one.

/// How much alike two words must be (Jaro-Winkler, 0 to 1) for one to be offered
/// in place of the other: `buckt` for `bucket` is, `secret` for `region` is not.
const ALIKE: f64 = 0.84;

/// The longest word that is compared, in bytes: no key is half as long, and the
/// comparison takes time that grows with it.
const WORD_MAX: usize = 64;

/// The word that is most like `wrong`, if one is enough like it.
pub(super) fn nearest<'a>(
    wrong: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if wrong.len() > WORD_MAX {
        return None;
    }
    let wrong = wrong.to_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&wrong, &word.to_lowercase()), word))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}
