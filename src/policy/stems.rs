//! The longest pattern that matches a code, by one search in the sorted stems.

/// The stems of exact codes and prefixes, in order of their letters.
#[derive(Debug, Clone, Default)]
pub(super) struct Stems(Vec<Stem>);

#[derive(Debug, Clone)]
struct Stem {
    text: String,
    /// Place of the pattern that is exactly this text.
    exact: Option<usize>,
    /// Place of the pattern that begins so.
    prefix: Option<usize>,
    /// The longest other stem that this one begins with.
    within: Option<usize>,
}

impl Stems {
    /// Of patterns (text, and whether it is a prefix), each by its place in the list.
    pub(super) fn of(patterns: &[(String, bool)]) -> Self {
        let mut texts: Vec<&String> = patterns.iter().map(|(text, _)| text).collect();
        texts.sort_unstable();
        texts.dedup();
        let mut stems: Vec<Stem> = Vec::with_capacity(texts.len());
        for text in texts {
            let place = |prefix: bool| patterns.iter().position(|(own, is_prefix)| own == text && *is_prefix == prefix);
            let mut within = stems.len().checked_sub(1);
            while let Some(outer) = within.and_then(|place| stems.get(place)) {
                if text.starts_with(&outer.text) {
                    break;
                }
                within = outer.within;
            }
            stems.push(Stem { text: text.clone(), exact: place(false), prefix: place(true), within });
        }
        Self(stems)
    }

    /// The place of the longest pattern that matches, an exact one before a prefix of the same letters.
    ///
    /// Whatever a code begins with stands, in order, at or before the last stem that is not after the code, and that stem
    /// begins with it too: so the stems within that one are all there are to look at.
    pub(super) fn longest(&self, code: &str) -> Option<usize> {
        let mut place = self.0.partition_point(|stem| stem.text.as_str() <= code).checked_sub(1);
        while let Some(stem) = place.and_then(|place| self.0.get(place)) {
            if code.starts_with(&stem.text) {
                let exact = stem.exact.filter(|_| code.len() == stem.text.len());
                if let Some(found) = exact.or(stem.prefix) {
                    return Some(found);
                }
            }
            place = stem.within;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_longest_pattern_is_what_trying_each_finds(
            patterns in prop::collection::btree_set(("[ab]{1,4}", any::<bool>()), 0..20),
            code in "[ab]{1,6}",
        ) {
            let patterns: Vec<(String, bool)> = patterns.into_iter().collect();
            let matches = |(text, prefix): &(String, bool)| if *prefix { code.starts_with(text.as_str()) } else { &code == text };
            let expected = patterns.iter().filter(|pattern| matches(pattern)).max_by_key(|(text, prefix)| (text.len(), !prefix));
            let found = Stems::of(&patterns).longest(&code);
            prop_assert_eq!(found.map(|place| &patterns[place]), expected);
        }
    }
}
