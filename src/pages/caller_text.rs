//! Caller text on a page: hostile until shown otherwise. Escaped by maud, capped, isolated in direction, stripped of tricks.

use maud::{Markup, html};

/// Characters of one narrative note shown at most.
pub const NOTE_CHARS_MAX: usize = 2_000;
/// Characters of any one-line field shown at most.
pub const FIELD_CHARS_MAX: usize = 160;
/// Combining marks kept on one letter; more is stacking ("zalgo"), which covers the lines around it.
const MARKS_MAX: usize = 2;

/// A text as it may be shown: without control and direction-override characters, without stacked marks, at most
/// `chars_max` characters; and whether something was left off the end.
#[must_use]
pub fn tame(text: &str, chars_max: usize) -> (String, bool) {
    let mut shown = String::with_capacity(text.len().min(chars_max.saturating_mul(4)));
    let mut marks = 0_usize;
    let mut count = 0_usize;
    for letter in text.chars() {
        if is_trick(letter) {
            continue;
        }
        marks = if is_mark(letter) { marks + 1 } else { 0 };
        if marks > MARKS_MAX {
            continue;
        }
        if count == chars_max {
            return (shown, true);
        }
        shown.push(letter);
        count += 1;
    }
    (shown, false)
}

/// One-line caller text: `<bdi>` isolates its direction from the words around it.
#[must_use]
pub fn line(text: &str) -> Markup {
    let (shown, cut) = tame(text, FIELD_CHARS_MAX);
    html! { bdi { (shown) @if cut { "…" } } }
}

/// A narrative note as a paragraph; line breaks are kept by the style sheet.
#[must_use]
pub fn note(text: &str) -> Markup {
    let (shown, cut) = tame(text, NOTE_CHARS_MAX);
    html! { p.note dir="auto" { (shown) @if cut { "…" } } }
}

/// Controls, direction overrides and isolates, zero-width and tag characters, private use, line separators.
fn is_trick(letter: char) -> bool {
    (letter.is_control() && letter != '\n' && letter != '\t')
        || matches!(letter,
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{E007F}' | '\u{061C}' | '\u{00AD}')
}

fn is_mark(letter: char) -> bool {
    matches!(letter,
        '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05BD}' | '\u{0610}'..='\u{061A}'
        | '\u{064B}'..='\u{065F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FE20}'..='\u{FE2F}')
}

#[cfg(test)]
mod tests {
    use super::{line, note, tame};
    use proptest::prelude::*;

    #[test]
    fn markup_in_caller_text_is_shown_as_text() {
        let shown = note("<img src=x onerror=alert(1)></p><script>alert(2)</script>").into_string();
        assert!(!shown.contains("<img") && !shown.contains("<script"), "{shown}");
        assert!(shown.contains("&lt;img"), "{shown}");
        let shown = line("\"><svg onload=alert(1)>").into_string();
        assert!(!shown.contains("<svg"), "{shown}");
    }

    #[test]
    fn direction_overrides_and_stacked_marks_are_taken_out() {
        assert_eq!(tame("safe\u{202E}gnihton\u{2066}", 99).0, "safegnihton");
        assert_eq!(tame("a\u{0301}\u{0302}\u{0303}\u{0304}\u{0305}b", 99).0, "a\u{0301}\u{0302}b");
        assert_eq!(tame("tab\tand\nline\u{7}", 99).0, "tab\tand\nline");
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_says_so() {
        assert_eq!(tame("ééééé", 3), ("ééé".to_owned(), true));
        assert_eq!(tame("ééé", 3), ("ééé".to_owned(), false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_text_opens_a_tag_or_grows(text in any::<String>()) {
            let (shown, _) = tame(&text, 500);
            prop_assert!(shown.chars().count() <= 500);
            let html = note(&text).into_string();
            let inner = html.strip_prefix("<p class=\"note\" dir=\"auto\">").and_then(|rest| rest.strip_suffix("</p>"));
            prop_assert!(inner.is_some_and(|inner| !inner.contains('<') && !inner.contains('"')));
        }
    }
}
