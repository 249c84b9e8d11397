//! An agency's shorthand: what it states and stands for, what it may not hide, and every fault with its line.

use super::{Narratives, Shorthand, levels_by, vocabulary};
use crate::facts::FileFault;

fn read(text: &str) -> (Shorthand, Vec<FileFault>) {
    let mut faults = Vec::new();
    let shorthand = Shorthand::read(text.as_bytes(), &vocabulary(), &mut faults);
    (shorthand, faults)
}

fn with(text: &str) -> Narratives {
    let (shorthand, faults) = read(text);
    assert_eq!(faults, Vec::new());
    Narratives::with(&shorthand).unwrap()
}

#[test]
fn a_code_states_expands_or_is_ignored() {
    let narratives = with(
        "phrase,means,value,cite\ncode 9,cue,weapon=present,Cowlitz County WA\nNKW,expansion,no known weapons,\nC9K,expansion,has knife,\nGunsmith Lane,ignore,,street\nThe Shotgun Cafe,ignore,,\n",
    );
    let weapon = |text: &str| levels_by(&narratives, text).get("weapon").cloned();
    assert_eq!(weapon("poss CODE 9 at the park").as_deref(), Some("present"));
    assert_eq!(weapon("no code 9"), None);
    assert_eq!(weapon("NKW, calm"), None);
    assert_eq!(weapon("male C9K").as_deref(), Some("present"));
    assert_eq!(weapon("at the shotgun cafe"), None);
    assert_eq!(weapon("C9KX"), None);
    assert_eq!(levels_by(&Narratives::default(), "code 9").len(), 0, "no code is built in");
}

#[test]
fn an_ignored_name_hides_no_more_than_itself() {
    let narratives = with("phrase,means\nshotgun cafe,ignore\n");
    let weapon = |text: &str| levels_by(&narratives, text).get("weapon").cloned();
    assert_eq!(weapon("shotgun cafe"), None);
    for text in [
        "shotgun cafe male has shotgun",
        "has shotgun cafe staff hiding",
        "with a shotgun cafe is locked",
        "shotgun. cafe closed",
        "shotgun, cafe",
        "gun shotgun cafe",
        "shotguns cafe",
    ] {
        assert!(weapon(text).is_some(), "{text}");
    }
}

#[test]
fn an_agencys_cue_hides_none_of_the_products() {
    let narratives = with("phrase,means,value\ncode 9 knife,cue,crime=past\n");
    let levels = levels_by(&narratives, "code 9 knife");
    assert_eq!(levels.get("weapon").map(String::as_str), Some("present"));
    assert_eq!(levels.get("crime").map(String::as_str), Some("past"));
}

#[test]
fn every_fault_names_its_line_and_the_next_step() {
    let (table, faults) = read(
        "phrase,means,value,cite\ngun,ignore,,\nhas a gun,ignore,,\nc4,cue,weapon=none,\nc5,cue,weapn=present,\nc6,cue,weapon=presnt,\nc7,cues,,\nc8,expansion,,\nknife call,expansion,noise,\nc9,cue,setting=roadway,\nC9,ignore,,\n.,ignore,,\nx y,ignore,weapon=present,\nq,cue,,\n",
    );
    assert!(table.is_empty());
    let told: Vec<_> = faults.iter().map(|fault| (fault.line, fault.key.as_str(), fault.help.is_some())).collect();
    assert_eq!(
        told,
        [
            (Some(2), "phrase", true),
            (Some(3), "phrase", true),
            (Some(4), "value", true),
            (Some(5), "value", true),
            (Some(6), "value", true),
            (Some(7), "means", true),
            (Some(8), "value", true),
            (Some(9), "phrase", true),
            (Some(10), "value", true),
            (Some(11), "phrase", false),
            (Some(12), "phrase", false),
            (Some(13), "value", true),
            (Some(14), "value", true),
        ]
    );
    assert_eq!(faults[4].help.as_deref(), Some("did you mean `present`?"));
    assert_eq!(faults[5].help.as_deref(), Some("did you mean `cue`?"));
}
