//! The nearest flip and the questions against trying every change, on random policies and calls.

use super::slow::{TIMES, call, policy_text};
use super::*;
use crate::facts::natures;
use crate::policy::compile::Coded;
use crate::policy::language::read;
use crate::policy::route::Moment;
use proptest::prelude::*;

const ESSENCE: [&str; 4] = ["nature", "call_type", "first_call_type", "priority"];

/// The danger of a value beside the others of its fact, by the vocabulary and the table of natures; `unknown` has none.
fn danger(compiled: &Compiled, place: usize, code: u16) -> usize {
    let column = &compiled.table.columns[place];
    let Some(value) = usize::from(code).checked_sub(1) else { return 0 };
    match column.name.as_str() {
        "priority" => value,
        "nature" => {
            let nature = natures().iter().find(|nature| nature.name == column.names[value]);
            usize::from(nature.unwrap().danger)
        }
        _ => {
            let fact = &compiled.sources.vocabulary.facts()[column.fact];
            column.names.get(value).map_or(0, |name| usize::from(fact.danger_of(name)))
        }
    }
}

#[test]
fn a_column_knows_how_dangerous_each_of_its_values_is() {
    let policy =
        compile(&format!("{POLICY}\n[[exclusion]]\nid = \"urgent\"\nbecause = \"urgent\"\npriority = \">= 9\"\n"));
    let compiled = &policy.compiled;
    let mut dangerous = BTreeSet::new();
    for (place, column) in compiled.table.columns.iter().enumerate() {
        for code in 0..u16::try_from(column.same_as.len()).unwrap() {
            let known = danger(compiled, place, code);
            assert_eq!(usize::from(column.danger(code)), known, "{} {code}", column.name);
            if known > 0 {
                dangerous.insert(column.name.as_str());
            }
        }
    }
    assert!(["nature", "priority", "weapon"].iter().all(|name| dangerous.contains(name)), "{dangerous:?}");
}

/// One code of each class of known values of a column, the least dangerous.
fn codes(compiled: &Compiled, place: usize) -> Vec<u16> {
    let same_as = &compiled.table.columns[place].same_as;
    let mut least: BTreeMap<u16, u16> = BTreeMap::new();
    for (code, class) in (0..).zip(same_as).skip(1) {
        let known = least.entry(*class).or_insert(code);
        if danger(compiled, place, code) < danger(compiled, place, *known) {
            *known = code;
        }
    }
    least.into_values().collect()
}

/// True where changing exactly `size` of these columns, from `from` on, can bring the call to another route: to the ordinary one
/// by whatever change, to a program by one that states no more danger than before.
fn flips(
    compiled: &Compiled,
    call: &Coded,
    moment: &Moment<'_>,
    columns: &[usize],
    size: usize,
    now: Option<usize>,
    raised: bool,
) -> bool {
    if size == 0 {
        let goes = compiled.verdict(call, moment).program();
        return goes != now && (goes.is_none() || !raised);
    }
    columns.iter().enumerate().any(|(turn, place)| {
        codes(compiled, *place).into_iter().any(|code| {
            let changed = compiled.table.changed(call, *place, code);
            let raises = danger(compiled, *place, code) > danger(compiled, *place, call.codes[*place]);
            flips(compiled, &changed, moment, &columns[turn + 1..], size - 1, now, raised || raises)
        })
    })
}

/// A random policy, and when it is asked.
struct Asked {
    compiled: Compiled,
    at: Timestamp,
    availability: Availability,
}

impl Asked {
    fn new(text: &str, load: u32, time: usize) -> Self {
        let written = read(&files(&format!("{text}\n[zone.city]\nzones = [\"east\", \"west\"]\n"))).unwrap();
        let availability = Availability { load: [(ProgramId::new("day"), load)].into(), ..Availability::default() };
        Self { compiled: Compiled::build(written, String::new()).unwrap(), at: at(TIMES[time]), availability }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_global_rejects: 20_000, ..ProptestConfig::default() })]
    /// No smaller set of changed facts changes the route than the flip's, and the flip itself does.
    #[test]
    fn no_smaller_change_than_the_flip_changes_the_route(text in policy_text(), (facts, time, load) in call()) {
        let asked = Asked::new(&text, load, time);
        // Same-rank rules that send differently make a policy that cannot be loaded.
        prop_assume!(asked.compiled.overlaps().is_empty());
        let (compiled, at, availability) = (&asked.compiled, asked.at, &asked.availability);
        let moment = compiled.moment(at, availability).with_duties();
        let coded = compiled.table.code(&facts);
        let now = compiled.verdict(&coded, &moment).program();
        let decision = compiled.decide(&facts, &[], at, availability);
        prop_assume!(!matches!(decision.status, Status::NotAssessed { .. }));
        let may = |essence: bool| -> Vec<usize> {
            let columns = compiled.table.columns.iter().enumerate();
            columns
                .filter(|(_, column)| match column.name.as_str() {
                    "doubt" => facts.value("doubt") == Some("yes"),
                    name => essence || !ESSENCE.contains(&name),
                })
                .map(|(place, _)| place)
                .collect()
        };
        let smallest = |essence: bool, most: usize| {
            (1..=most).find(|size| flips(compiled, &coded, &moment, &may(essence), *size, now, false))
        };
        // One or two facts take a call off its program, one to three open one.
        let most = if now.is_some() { 2 } else { 3 };
        match &decision.nearest_flip {
            None => prop_assert_eq!(smallest(true, most), None, "{} {:?}", text, facts),
            Some(flip) => {
                let size = flip.changes.len();
                let essence = flip.changes.iter().any(|change| ESSENCE.contains(&change.fact.as_str()));
                if essence {
                    prop_assert_eq!(smallest(false, most), None, "{} {:?} {:?}", text, facts, flip);
                }
                for change in flip.changes.iter().filter(|_| flip.route != Route::Ordinary) {
                    let (place, column) =
                        compiled.table.columns.iter().enumerate().find(|(_, column)| column.name == change.fact).unwrap();
                    let code = |value: &str| column.code_of(value).unwrap_or(0);
                    let dangers = [&change.from, &change.to].map(|value| danger(compiled, place, code(value)));
                    prop_assert!(dangers[0] >= dangers[1], "{:?} of {} {:?}", flip, text, facts);
                }
                let smaller = smallest(essence, size - 1);
                prop_assert_eq!(smaller, None, "{} {:?} {:?}", text, facts, flip);
                // The flip as facts: the words that the call-taker reads.
                if flip.changes.iter().all(|change| !change.to.contains(['*', ' '])) {
                    let changed = flip.changes.iter().fold(facts.clone(), |facts, change| {
                        let value = compiled.sources.vocabulary.canonical(&change.fact, &change.to).unwrap();
                        facts.with(&change.fact, &value, Source::Answer)
                    });
                    let there = compiled.answer(&compiled.read(&changed, &[]), at, availability);
                    prop_assert_eq!(there.program.map_or("ordinary", ProgramId::as_str), flip.route.name());
                    prop_assert_ne!(there.program, now.map(|place| &compiled.programs[place].id));
                }
            }
        }
    }

    /// Every open fact whose answer alone changes the route is asked.
    #[test]
    fn what_matters_alone_is_asked(text in policy_text(), (facts, time, load) in call()) {
        let asked = Asked::new(&text, load, time);
        prop_assume!(asked.compiled.overlaps().is_empty());
        let (compiled, at, availability) = (&asked.compiled, asked.at, &asked.availability);
        let moment = compiled.moment(at, availability).with_duties();
        let coded = compiled.table.code(&facts);
        let now = compiled.verdict(&coded, &moment).program();
        let decision = compiled.decide(&facts, &[], at, availability);
        prop_assume!(!matches!(decision.status, Status::NotAssessed { .. }));
        for (place, column) in compiled.table.columns.iter().enumerate() {
            let open = column.askable && column.name != "doubt" && coded.codes[place] == 0;
            let changes = |code: u16| {
                compiled.verdict(&compiled.table.changed(&coded, place, code), &moment).program() != now
            };
            if open && codes(compiled, place).into_iter().any(changes) {
                let asked = decision.questions.iter().any(|question| question.fact == column.name);
                prop_assert!(asked, "`{}` is not asked: {} {:?}", column.name, text, facts);
            }
        }
    }
}
