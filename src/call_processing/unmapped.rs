//! Call types that the policy's table says nothing of: counted and listed, so that a manager can complete the table.

use super::live::{Desk, lock};
use crate::facts::Unmapped;
use crate::policy::Policy;
use crate::record::CallRecord;
use crate::telemetry;
use serde::Serialize;
use std::collections::BTreeMap;

/// Codes listed, at most; records with further ones are counted together.
const CODES_MAX: usize = 500;
/// Letters in a listed code, at most. What is longer is no code, and might say something of somebody.
const CODE_CHARS_MAX: usize = 40;
/// Digits in a listed code, at most: a telephone number has seven.
const CODE_DIGITS_MAX: usize = 6;

/// What has been met since the adapter started.
#[derive(Default)]
pub(super) struct Met {
    listed: BTreeMap<(String, Unmapped), u64>,
    not_listed: u64,
}

/// The call types that the policy's table said nothing of since the adapter started, the most frequent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmappedCallTypes {
    /// One for each code and reason.
    pub codes: Vec<UnmappedCallType>,
    /// Records whose code is not listed: the list is full, or it does not look like a code.
    pub records_not_listed: u64,
}

/// One call type that no row speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmappedCallType {
    /// The code as the agency wrote it.
    pub code: String,
    /// `call-type-not-in-table` or `call-type-version-mismatch`.
    pub why: &'static str,
    /// Records that carried it.
    pub records: u64,
}

impl Met {
    fn note(&mut self, code: &str, why: Unmapped) {
        let code = code.trim();
        let key = (code.to_owned(), why);
        if let Some(records) = self.listed.get_mut(&key) {
            *records = records.saturating_add(1);
        } else if looks_like_a_code(code) && self.listed.len() < CODES_MAX {
            self.listed.insert(key, 1);
        } else {
            self.not_listed = self.not_listed.saturating_add(1);
        }
    }

    fn list(&self) -> UnmappedCallTypes {
        let entry = |((code, why), records): (&(String, Unmapped), &u64)| UnmappedCallType {
            code: code.clone(),
            why: why.name(),
            records: *records,
        };
        let mut codes: Vec<_> = self.listed.iter().map(entry).collect();
        codes.sort_by_key(|entry| std::cmp::Reverse(entry.records));
        UnmappedCallTypes { codes, records_not_listed: self.not_listed }
    }
}

fn looks_like_a_code(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let plain = |letter: char| letter.is_alphanumeric() || " -_./:#&()+*'".contains(letter);
    !text.is_empty() && text.chars().count() <= CODE_CHARS_MAX && digits <= CODE_DIGITS_MAX && text.chars().all(plain)
}

impl Desk {
    /// The call types that the policy's table said nothing of since the adapter started.
    #[must_use]
    pub fn unmapped_call_types(&self) -> UnmappedCallTypes {
        lock(&self.inner().unmapped).list()
    }

    /// Notes the codes of a record that the policy in force says nothing of.
    pub(super) fn note_unmapped(&self, policy: Option<&Policy>, record: &CallRecord) {
        let unmapped = policy.map(|policy| policy.unmapped_call_types(record)).unwrap_or_default();
        for (code, why) in unmapped {
            telemetry::call_type_unmapped(why.name());
            lock(&self.inner().unmapped).note(code, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_counted_by_reason_and_the_most_frequent_comes_first() {
        let mut met = Met::default();
        for (code, why) in [
            ("ZZZ", Unmapped::NotInTable),
            ("25A01", Unmapped::VersionMismatch),
            (" 25A01 ", Unmapped::VersionMismatch),
            ("25A01", Unmapped::NotInTable),
        ] {
            met.note(code, why);
        }
        let list = met.list();
        let told: Vec<_> = list.codes.iter().map(|entry| (entry.code.as_str(), entry.why, entry.records)).collect();
        assert_eq!(
            told,
            [
                ("25A01", "call-type-version-mismatch", 2),
                ("25A01", "call-type-not-in-table", 1),
                ("ZZZ", "call-type-not-in-table", 1)
            ]
        );
        assert_eq!(list.records_not_listed, 0);
    }

    #[test]
    fn what_does_not_look_like_a_code_is_counted_and_not_shown_and_the_list_is_bounded() {
        let mut met = Met::default();
        for strange in ["", "250-555-0100", "<script>", &"X".repeat(CODE_CHARS_MAX + 1), "a\nb"] {
            met.note(strange, Unmapped::NotInTable);
        }
        assert_eq!(met.list(), UnmappedCallTypes { codes: Vec::new(), records_not_listed: 5 });
        for number in 0..CODES_MAX + 3 {
            met.note(&format!("C{number}"), Unmapped::NotInTable);
        }
        met.note("C0", Unmapped::NotInTable);
        let list = met.list();
        assert_eq!((list.codes.len(), list.records_not_listed), (CODES_MAX, 8));
        assert_eq!((list.codes[0].code.as_str(), list.codes[0].records), ("C0", 2), "a known code still counts");
    }
}
