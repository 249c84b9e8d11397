//! The nearest valid word to one that is not valid.

/// The candidate nearest to `word` by edit distance, where it is near enough to be meant: at most a third of its letters
/// differ (at least two may). Ties go to the first in order of the alphabet.
#[must_use]
pub fn nearest_word<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let allowed = (folded.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len().max(2))
        .min()
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> Vec<char> {
    word.trim().to_lowercase().chars().map(|letter| if letter == '_' || letter == ' ' { '-' } else { letter }).collect()
}

/// Edit distance in which two exchanged neighbours count once (optimal string alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut one_before = None;
    for (row, letter) in one.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut other_before = None;
        for (column, against) in other.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, column) + usize::from(letter != against))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            if one_before == Some(against) && other_before == Some(letter) && column > 0 {
                cost = cost.min(at(&before_last, column - 1) + 1);
            }
            current.push(cost);
            other_before = Some(against);
        }
        before_last = std::mem::replace(&mut last, current);
        one_before = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nearest_word;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let words = ["weapon", "violence", "self_harm", "priority"];
        assert_eq!(nearest_word("wepon", words), Some("weapon"));
        assert_eq!(nearest_word("self-harm", words), Some("self_harm"));
        assert_eq!(nearest_word("voilence", words), Some("violence"));
        assert_eq!(nearest_word("banana", words), None);
        assert_eq!(nearest_word("", words), None);
    }
}
