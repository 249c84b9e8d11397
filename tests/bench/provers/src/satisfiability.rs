//! The questions as clauses. A call is one class of each fact and any set of zones; the fact that rises has two copies. For each
//! fact one solver is asked about every rise under assumptions, so that it keeps what it has learnt.

use crate::Broken;
use crate::model::{Model, Row};
use batsat::{BasicSolver, Lit, SolverInterface, lbool};

struct Clauses {
    solver: BasicSolver,
}

/// One reading of the facts: by fact and class the literal that says so.
#[derive(Clone)]
struct Reading {
    facts: Vec<Vec<Lit>>,
    zones: Vec<Lit>,
}

impl Clauses {
    fn literal(&mut self) -> Lit {
        Lit::new(self.solver.new_var_default(), true)
    }

    fn add(&mut self, clause: impl IntoIterator<Item = Lit>) {
        let mut clause: Vec<Lit> = clause.into_iter().collect();
        self.solver.add_clause_reuse(&mut clause);
    }

    /// Literals of which exactly one holds.
    fn choice(&mut self, count: usize) -> Vec<Lit> {
        let all: Vec<Lit> = (0..count).map(|_| self.literal()).collect();
        self.add(all.iter().copied());
        for (turn, one) in all.iter().enumerate() {
            for other in all.iter().skip(turn + 1) {
                self.add([!*one, !*other]);
            }
        }
        all
    }

    /// For each cell of a row: the literals of which one must hold.
    fn cells(reading: &Reading, row: &Row) -> Vec<Vec<Lit>> {
        let facts =
            row.cells.iter().map(|(fact, classes)| classes.iter().map(|class| reading.facts[*fact][*class]).collect());
        let zones = row.zones.iter().map(|zones| zones.iter().map(|zone| reading.zones[*zone]).collect());
        facts.chain(zones).collect()
    }

    /// A literal that holds only where the row does.
    fn only_where(&mut self, reading: &Reading, row: &Row) -> Lit {
        let holds = self.literal();
        for cell in Self::cells(reading, row) {
            self.add(cell.into_iter().chain([!holds]));
        }
        holds
    }

    /// The row does not hold, or `unless` does.
    fn not(&mut self, reading: &Reading, row: &Row, unless: Option<Lit>) {
        let mut clause: Vec<Lit> = unless.into_iter().collect();
        for cell in Self::cells(reading, row) {
            if let [one] = cell[..] {
                clause.push(!one);
                continue;
            }
            // Holds wherever the cell does.
            let met = self.literal();
            for one in cell {
                self.add([!one, met]);
            }
            clause.push(!met);
        }
        self.add(clause);
    }

    /// The call goes to a program.
    fn goes(&mut self, model: &Model, reading: &Reading) {
        for row in &model.exclusions {
            self.not(reading, row, None);
        }
        let rules: Vec<Lit> = model.rules.iter().map(|row| self.only_where(reading, row)).collect();
        self.add(rules);
    }

    /// The call stays on the ordinary route.
    fn stays(&mut self, model: &Model, reading: &Reading) {
        let excluded = self.literal();
        let exclusions: Vec<Lit> = model.exclusions.iter().map(|row| self.only_where(reading, row)).collect();
        self.add(exclusions.into_iter().chain([!excluded]));
        for row in &model.rules {
            self.not(reading, row, Some(excluded));
        }
    }

    fn is_possible(&mut self, assumptions: &[Lit]) -> bool {
        self.solver.solve_limited(assumptions) != lbool::FALSE
    }
}

fn start(model: &Model) -> (Clauses, Reading) {
    let mut clauses = Clauses { solver: BasicSolver::default() };
    let facts = model.classes.iter().map(|count| clauses.choice(*count)).collect();
    let zones = (0..model.zones).map(|_| clauses.literal()).collect();
    (clauses, Reading { facts, zones })
}

pub fn prove(model: &Model) -> Broken {
    let mut broken = Broken::new();
    let (mut clauses, reading) = start(model);
    clauses.goes(model, &reading);
    for (name, fact, dangerous) in &model.safeguards {
        if dangerous.iter().any(|class| clauses.is_possible(&[reading.facts[*fact][*class]])) {
            broken.insert((*name).to_owned());
        }
    }
    for risk in &model.risks {
        let (mut clauses, high) = start(model);
        let mut low = high.clone();
        low.facts[risk.fact] = clauses.choice(model.classes[risk.fact]);
        clauses.goes(model, &high);
        clauses.stays(model, &low);
        let opens = |(from, to): &(usize, usize)| {
            clauses.is_possible(&[low.facts[risk.fact][*from], high.facts[risk.fact][*to]])
        };
        if risk.rises.iter().any(opens) {
            broken.insert(format!("built-in.monotone.{}", risk.name));
        }
    }
    broken
}
