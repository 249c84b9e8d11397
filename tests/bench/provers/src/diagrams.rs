//! The questions as reduced ordered binary decision diagrams. A fact's class is a binary number; the diagram of all calls that go
//! to a program is built once, and a rise is that diagram with the one class and its complement with the other.

use crate::Broken;
use crate::model::{Model, Row};
use biodivine_lib_bdd::{Bdd, BddVariable, BddVariableSet};

struct Diagrams {
    set: BddVariableSet,
    /// By fact: the variables of its class's number, the lowest bit first.
    bits: Vec<Vec<BddVariable>>,
    zones: Vec<BddVariable>,
}

impl Diagrams {
    fn of(model: &Model) -> Self {
        let wide = |classes: &usize| usize::BITS - (classes - 1).leading_zeros();
        let count = model.classes.iter().map(wide).sum::<u32>() as usize + model.zones;
        let set = BddVariableSet::new_anonymous(u16::try_from(count).expect("few variables"));
        let mut variables = set.variables().into_iter();
        let bits =
            model.classes.iter().map(|classes| variables.by_ref().take(wide(classes) as usize).collect()).collect();
        Self { bits, zones: variables.collect(), set }
    }

    fn number(&self, fact: usize, class: usize) -> Vec<(BddVariable, bool)> {
        self.bits[fact].iter().enumerate().map(|(bit, variable)| (*variable, class >> bit & 1 == 1)).collect()
    }

    fn class(&self, fact: usize, class: usize) -> Bdd {
        let bits = self.number(fact, class);
        bits.into_iter()
            .fold(self.set.mk_true(), |all, (variable, is_set)| all.and(&self.set.mk_literal(variable, is_set)))
    }

    fn any(&self, all: impl Iterator<Item = Bdd>) -> Bdd {
        all.fold(self.set.mk_false(), |any, one| any.or(&one))
    }

    fn row(&self, row: &Row) -> Bdd {
        let facts =
            row.cells.iter().map(|(fact, classes)| self.any(classes.iter().map(|class| self.class(*fact, *class))));
        let zones = row.zones.iter().map(|zones| self.any(zones.iter().map(|zone| self.set.mk_var(self.zones[*zone]))));
        facts.chain(zones).fold(self.set.mk_true(), |all, cell| all.and(&cell))
    }

    /// Halves of the list first, so that no diagram is gone through once for each row.
    fn any_row(&self, rows: &[Row]) -> Bdd {
        match rows {
            [] => self.set.mk_false(),
            [row] => self.row(row),
            rows => {
                let (one, other) = rows.split_at(rows.len() / 2);
                self.any_row(one).or(&self.any_row(other))
            }
        }
    }
}

pub fn prove(model: &Model) -> Broken {
    let diagrams = Diagrams::of(model);
    let real = model
        .classes
        .iter()
        .enumerate()
        .map(|(fact, classes)| diagrams.any((0..*classes).map(|class| diagrams.class(fact, class))));
    let real = real.fold(diagrams.set.mk_true(), |all, one| all.and(&one));
    let goes = diagrams.any_row(&model.rules).and_not(&diagrams.any_row(&model.exclusions));
    let mut broken = Broken::new();
    for (name, fact, dangerous) in &model.safeguards {
        let dangerous = diagrams.any(dangerous.iter().map(|class| diagrams.class(*fact, *class)));
        if !goes.and(&real).and(&dangerous).is_false() {
            broken.insert((*name).to_owned());
        }
    }
    for risk in &model.risks {
        let with = |class: usize| goes.restrict(&diagrams.number(risk.fact, class));
        let opens = |(low, high): &(usize, usize)| !with(*high).and_not(&with(*low)).and(&real).is_false();
        if risk.rises.iter().any(opens) {
            broken.insert(format!("built-in.monotone.{}", risk.name));
        }
    }
    broken
}
