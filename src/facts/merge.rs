//! What each source may change: the merge rules, one function.
//!
//! Danger is monotone (invariant I5): of the risk facts, and of natures that are emergencies, a record can raise the value
//! and never lower it. Only a call-taker's answer lowers, and what it set aside is remembered, so that the CAD's next
//! snapshot, which repeats the same words, does not undo the answer; anything more dangerous than that does.
//!
//! A narrative is remembered by its cues, not by its greatest danger: a line that says the same thing anew, after the answer,
//! is news and raises again, while the old lines, which every snapshot repeats, are none.

use super::narrative::Said;
use super::natures::nature;
use super::{Domain, Fact, FactError, Facts, Known, Source, UNKNOWN, Vocabulary};
use std::borrow::Cow;

/// Cues remembered of one fact, at most.
const CUES_MAX: usize = 64;

impl Facts {
    /// States a value as a source may. Where the source may not change what is known, nothing changes.
    ///
    /// # Errors
    /// Where fact or value is not in the vocabulary, or the source may only raise and the value would lower
    /// (or the fact is no risk).
    pub fn state(&mut self, vocabulary: &Vocabulary, fact: &str, value: &str, source: Source) -> Result<(), FactError> {
        let value = vocabulary.canonical(fact, value)?;
        let Some((_, definition)) = vocabulary.find(fact) else {
            return Err(FactError::UnknownFact { fact: fact.to_owned(), nearest: vocabulary.nearest(fact) });
        };
        match source {
            Source::Answer => self.answer(definition, value),
            Source::Structured | Source::CallType => self.record_states(definition, value, source),
            Source::Narrative | Source::TeamHazard => return self.raise(definition, value, source),
            Source::History => return self.recall(definition, value),
            Source::Linked if is_danger(definition, &value) => self.record_states(definition, value, source),
            Source::Linked => return Err(FactError::MayOnlyRaise { fact: fact.to_owned() }),
        }
        Ok(())
    }

    /// States what a narrative says of a fact. Cues that were heard before change nothing; of the others the most dangerous
    /// raises the fact as [`Source::Narrative`] may.
    pub(super) fn hear(&mut self, vocabulary: &Vocabulary, fact: &str, said: Said) -> Result<(), FactError> {
        let Some((_, definition)) = vocabulary.find(fact) else {
            return Err(FactError::UnknownFact { fact: fact.to_owned(), nearest: vocabulary.nearest(fact) });
        };
        let before = self.get(fact);
        let heard_until = before.and_then(|entry| entry.heard_until);
        let mut heard = before.map(|entry| entry.heard.clone()).unwrap_or_default();
        let dated_later = said.until > heard_until;
        let mut news: Option<String> = None;
        for cue in said.cues {
            vocabulary.canonical(fact, &cue.value)?;
            let full = heard.len() >= CUES_MAX;
            let known = heard.iter_mut().find(|known| known.term == cue.term && known.value == cue.value);
            if dated_later || known.as_ref().is_none_or(|known| cue.times > known.times) {
                let worst = news.as_ref().is_none_or(|news| danger(definition, &cue.value) > danger(definition, news));
                news = if worst { Some(cue.value.clone()) } else { news };
            }
            match known {
                Some(known) => known.times = known.times.max(cue.times),
                // What is not remembered is news again: the safe side.
                None if full => {}
                None => heard.push(cue),
            }
        }
        let Some(value) = news else { return Ok(()) };
        // What is known already may be worse than the news; that is no fault of the narrative's.
        let _ = self.raise(definition, value, Source::Narrative);
        heard.sort_by(|one, other| (&one.term, &one.value).cmp(&(&other.term, &other.value)));
        if let Some(entry) = self.get_mut(fact) {
            entry.heard = heard;
            entry.heard_until = heard_until.max(said.until);
        }
        Ok(())
    }

    /// An answer sets any value; the most dangerous value it sets aside is remembered.
    fn answer(&mut self, fact: &Fact, value: String) {
        let before = self.get(&fact.name);
        let set_aside = before
            .into_iter()
            .flat_map(|entry| [Some(&*entry.known.value), entry.overruled.as_deref()])
            .flatten()
            .max_by_key(|known| danger(fact, known))
            .filter(|known| danger(fact, known) > danger(fact, &value))
            .map(str::to_owned);
        self.put(&fact.name, stated(value, Source::Answer), set_aside);
    }

    fn record_states(&mut self, fact: &Fact, value: String, source: Source) {
        if value == UNKNOWN {
            return;
        }
        let Some(before) = self.get(&fact.name) else {
            return self.put(&fact.name, stated(value, source), None);
        };
        let is_nature = fact.name == "nature";
        let raises = danger(fact, &value) > danger(fact, &before.known.value);
        if source == Source::Linked && !raises {
            return;
        }
        let may = if canary!(DangerUnlearnt) {
            true
        } else if before.known.source == Source::Answer {
            let beyond = match &before.overruled {
                None => true,
                // A nature that differs from the one set aside is news; a lesser risk than the one set aside is not.
                Some(aside) if is_nature => *aside != value,
                Some(aside) => danger(fact, &value) > danger(fact, aside),
            };
            raises && beyond
        } else if before.known.value == UNKNOWN || raises {
            true
        } else if is_nature {
            // A CAD may re-classify a call, but not talk an emergency down.
            !nature(&before.known.value).is_some_and(|nature| nature.emergency)
                || danger(fact, &value) == danger(fact, &before.known.value)
        } else if fact.is_risk() {
            danger(fact, &value) == danger(fact, &before.known.value) && outranks(source, before.known.source)
        } else {
            outranks(source, before.known.source)
        };
        let beneath = match (source, before.known.source) {
            (Source::Linked, Source::Linked) => before.own.clone(),
            (Source::Linked, _) => Some(before.known.clone()),
            (_, Source::Linked) if !may => Some(stated(value.clone(), source)),
            _ => None,
        };
        if may {
            self.put(&fact.name, stated(value, source), None);
        }
        if let Some(known) = beneath {
            self.know_beneath(fact, known);
        }
    }

    /// What is known here at first hand while a linked incident knows of worse is passed on to others all the same: an answer
    /// on that incident does not take it away.
    fn know_beneath(&mut self, fact: &Fact, known: Known) {
        let Some(entry) = self.get_mut(&fact.name) else { return };
        let worse = |own: &Known| danger(fact, &known.value) > danger(fact, &own.value);
        if is_danger(fact, &known.value) && entry.own.as_ref().is_none_or(worse) {
            entry.own = Some(known);
        }
    }

    fn raise(&mut self, fact: &Fact, value: String, source: Source) -> Result<(), FactError> {
        let refused = || Err(FactError::MayOnlyRaise { fact: fact.name.to_string() });
        if !fact.is_risk() || value == UNKNOWN {
            return refused();
        }
        let (now, before) = match self.get(&fact.name) {
            None => (0, None),
            Some(entry) => (danger(fact, &entry.known.value), Some(&*entry.known.value)),
        };
        let to = danger(fact, &value);
        if to < now && to > 0 && self.source(&fact.name) == Some(Source::Linked) {
            self.know_beneath(fact, stated(value, source));
            return Ok(());
        }
        if to < now {
            return refused();
        }
        // The least dangerous value of an unknown fact would lower it: unknown is not none.
        if to == 0 && before != Some(&value) {
            return refused();
        }
        // As dangerous at first hand as another incident had it: from here on it is this incident's own.
        let own = to == now && to > 0 && self.source(&fact.name) == Some(Source::Linked);
        if to > now || own {
            self.put(&fact.name, stated(value, source), None);
        }
        Ok(())
    }
}

impl Facts {
    /// What is remembered stands where nobody states otherwise, and moves up the fact's order only. It is no danger.
    fn recall(&mut self, fact: &Fact, value: String) -> Result<(), FactError> {
        let Domain::Words { values, ordered: true } = &fact.domain else {
            return Err(FactError::MayOnlyRaise { fact: fact.name.to_string() });
        };
        if fact.is_risk() || value == UNKNOWN {
            return Err(FactError::MayOnlyRaise { fact: fact.name.to_string() });
        }
        let place = |value: &str| values.iter().position(|known| known == value);
        let may = self
            .get(&fact.name)
            .is_none_or(|before| before.known.source == Source::History && place(&value) > place(&before.known.value));
        if may {
            self.put(&fact.name, stated(value, Source::History), None);
        }
        Ok(())
    }
}

fn stated(value: String, source: Source) -> Known {
    Known { value: Cow::Owned(value), source }
}

/// A structured field stands over what the call type implies; a record does not take back what a team reported.
fn outranks(source: Source, before: Source) -> bool {
    match before {
        Source::CallType | Source::History | Source::Linked => true,
        Source::Structured => source == Source::Structured,
        Source::Answer | Source::Narrative | Source::TeamHazard => false,
    }
}

/// What passes from one incident to those tied to it: a risk, or an emergency.
fn is_danger(fact: &Fact, value: &str) -> bool {
    let is_emergency = fact.name == "nature" && nature(value).is_some_and(|nature| nature.emergency);
    is_emergency || (fact.is_risk() && danger(fact, value) > 0)
}

fn danger(fact: &Fact, value: &str) -> u8 {
    if fact.name == "nature" { nature(value).map_or(0, |nature| nature.danger) } else { fact.danger_of(value) }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, Vocabulary, Zones};
    use super::*;
    use proptest::prelude::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(Vec::new(), &Zones::default())
    }

    fn stated(steps: &[(&str, &str, Source)]) -> Facts {
        let vocabulary = vocabulary();
        let mut facts = Facts::default();
        for (fact, value, source) in steps {
            let _ = facts.state(&vocabulary, fact, value, *source);
        }
        facts
    }

    #[test]
    fn a_later_poorer_record_lowers_no_risk_and_clears_nothing() {
        let facts = stated(&[
            ("weapon", "present", Source::Structured),
            ("weapon", "none", Source::Structured),
            ("weapon", "unknown", Source::Structured),
            ("violence", "physical", Source::CallType),
            ("violence", "none", Source::Structured),
        ]);
        assert_eq!(facts.value("weapon"), Some("present"));
        assert_eq!(facts.value("violence"), Some("physical"));
    }

    #[test]
    fn an_answer_lowers_and_outlives_the_same_snapshot_but_not_a_worse_one() {
        let mut steps = vec![
            ("weapon", "access", Source::Structured),
            ("weapon", "none", Source::Answer),
            ("weapon", "access", Source::Structured),
        ];
        assert_eq!(stated(&steps).value("weapon"), Some("none"));
        steps.push(("weapon", "present", Source::Structured));
        assert_eq!(stated(&steps).value("weapon"), Some("present"));
    }

    #[test]
    fn an_answer_of_unknown_is_kept_and_is_unknown() {
        let facts = stated(&[("weapon", "none", Source::Structured), ("weapon", "unknown", Source::Answer)]);
        assert_eq!((facts.value("weapon"), facts.source("weapon")), (None, Some(Source::Answer)));
    }

    #[test]
    fn an_emergency_is_not_talked_down_by_a_record() {
        let fire = ("nature", "structure-fire", Source::CallType);
        let check = ("nature", "welfare-check", Source::CallType);
        assert_eq!(stated(&[fire, check]).value("nature"), Some("structure-fire"));
        assert_eq!(stated(&[check, fire]).value("nature"), Some("structure-fire"));
        let answered = ("nature", "welfare-check", Source::Answer);
        assert_eq!(stated(&[fire, answered, fire]).value("nature"), Some("welfare-check"));
        let assault = ("nature", "assault", Source::CallType);
        assert_eq!(stated(&[fire, answered, assault]).value("nature"), Some("assault"));
        let noise = ("nature", "noise", Source::CallType);
        assert_eq!(stated(&[("nature", "disturbance", Source::CallType), noise]).value("nature"), Some("noise"));
    }

    #[test]
    fn a_structured_field_stands_over_the_call_type_and_neither_over_an_answer() {
        let implied = ("setting", "roadway", Source::CallType);
        let field = ("setting", "outdoors", Source::Structured);
        assert_eq!(stated(&[implied, field]).value("setting"), Some("outdoors"));
        assert_eq!(stated(&[field, implied]).value("setting"), Some("outdoors"));
        let answer = ("setting", "school", Source::Answer);
        assert_eq!(stated(&[answer, field, implied]).value("setting"), Some("school"));
    }

    #[test]
    fn a_team_only_raises() {
        let vocabulary = vocabulary();
        let mut facts = stated(&[("weapon", "access", Source::Answer)]);
        let refused = Err(FactError::MayOnlyRaise { fact: "weapon".to_owned() });
        assert_eq!(facts.state(&vocabulary, "weapon", "none", Source::TeamHazard), refused);
        assert_eq!(facts.state(&vocabulary, "weapon", "unknown", Source::TeamHazard), refused);
        assert_eq!(facts.state(&vocabulary, "weapon", "used", Source::TeamHazard), Ok(()));
        assert_eq!(facts.value("weapon"), Some("used"));
        assert!(facts.state(&vocabulary, "setting", "roadway", Source::TeamHazard).is_err());
        assert!(facts.state(&vocabulary, "violence", "none", Source::TeamHazard).is_err(), "unknown is not none");
    }

    const SOURCES: [Source; 7] = [
        Source::Answer,
        Source::Structured,
        Source::CallType,
        Source::Narrative,
        Source::TeamHazard,
        Source::History,
        Source::Linked,
    ];

    /// The merge rules as a table: whether `then` changes what `first` had stated. `raises` and `equals` compare dangers,
    /// `emergency` is of the value that stands, `further` is the order of a fact that is no risk.
    fn changes(fact: &Fact, first: Source, then: Source, before: &str, after: &str) -> bool {
        use Source::{Answer, CallType, History, Linked, Narrative, Structured, TeamHazard};
        let nature_is_emergency = nature(before).is_some_and(|nature| nature.emergency);
        let (raises, equals) =
            (danger(fact, after) > danger(fact, before), danger(fact, after) == danger(fact, before));
        let kind = if fact.name == "nature" {
            "nature"
        } else if fact.is_risk() {
            "risk"
        } else {
            "plain"
        };
        match (then, kind, first) {
            (Answer, ..) => true,
            (Linked, "risk", _) => raises,
            (Linked, "nature", _) => raises && nature(after).is_some_and(|nature| nature.emergency),
            (Linked, ..) => false,
            (Narrative | TeamHazard, "risk", Linked) => raises || (equals && danger(fact, after) > 0),
            (Narrative | TeamHazard, "risk", _) => raises,
            (Narrative | TeamHazard, ..) => false,
            (History, "plain", History) if matches!(fact.domain, Domain::Words { ordered: true, .. }) => {
                let place = |value| fact.values().iter().position(|known| known == value);
                place(after) > place(before)
            }
            (History, ..) => false,
            (Structured | CallType, "risk" | "nature", Answer) => raises,
            (Structured | CallType, "nature", _) => raises || equals || !nature_is_emergency,
            (Structured | CallType, "risk", Narrative | TeamHazard) => raises,
            (Structured, "risk", _) | (CallType, "risk", CallType | History | Linked) => raises || equals,
            (CallType, "risk", _) => raises,
            (Structured, _, first) => matches!(first, Structured | CallType | History | Linked),
            (CallType, _, first) => matches!(first, CallType | History | Linked),
        }
    }

    #[test]
    fn every_source_changes_every_fact_of_the_vocabulary_as_the_table_says() {
        let vocabulary = vocabulary();
        let mut compared = 0;
        for fact in vocabulary.facts() {
            let values = match &fact.domain {
                Domain::Words { .. } => fact.values(),
                Domain::Number { min, max } => [min, max].map(i64::to_string).to_vec(),
                Domain::Code | Domain::Zones { .. } => {
                    ["A1", "outside"].iter().filter_map(|value| fact.canonical(value)).collect()
                }
            };
            for (before, after) in values.iter().flat_map(|before| values.iter().map(move |after| (before, after))) {
                for (first, then) in SOURCES.iter().flat_map(|first| SOURCES.map(|then| (*first, then))) {
                    let mut facts = Facts::default().with(&fact.name, before, first);
                    let _ = facts.state(&vocabulary, &fact.name, after, then);
                    let expected = if changes(fact, first, then, before, after) { after } else { before };
                    let said = format!("{}: {first:?} {before}, then {then:?} {after}", fact.name);
                    assert_eq!(facts.value(&fact.name), Some(expected.as_str()), "{said}");
                    if fact.is_risk() && then != Source::Answer {
                        assert!(fact.danger_of(facts.value(&fact.name).unwrap()) >= fact.danger_of(before), "{said}");
                    }
                    compared += 1;
                }
            }
        }
        assert!(compared > 100_000, "{compared}");
    }

    fn steps() -> impl Strategy<Value = Vec<(&'static str, String, Source)>> {
        let risks: Vec<(&'static str, Vec<String>)> =
            ["weapon", "violence", "self_harm", "medical", "crime", "consent", "doubt"]
                .into_iter()
                .map(|name| (name, vocabulary().find(name).unwrap().1.values()))
                .collect();
        let sources = [Source::Structured, Source::CallType, Source::Narrative, Source::TeamHazard];
        let step = (prop::sample::select(risks), any::<prop::sample::Index>(), prop::sample::select(sources.to_vec()))
            .prop_map(|((name, values), index, source)| (name, index.get(&values).clone(), source));
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn without_an_answer_danger_is_monotone(steps in steps()) {
            let vocabulary = vocabulary();
            let mut facts = Facts::default();
            for (fact, value, source) in steps {
                let definition = vocabulary.find(fact).unwrap().1;
                let before = facts.value(fact).map(|value| definition.danger_of(value));
                let _ = facts.state(&vocabulary, fact, &value, source);
                let after = facts.value(fact).map(|value| definition.danger_of(value));
                prop_assert!(after >= before);
            }
        }
    }
}
