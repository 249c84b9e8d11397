//! A table of figures in the reader's words; where it counts things by name, each count has a bar drawn beside it.
//! The number stands next to its bar, so that the table is the picture's text.

use crate::measures::Table;
use crate::pages::words::Words;
use maud::{Markup, html};

/// Rows drawn at most.
const ROWS_MAX: usize = 60;
/// Length of the longest bar, in the drawing's own units.
const BAR_LENGTH: u64 = 200;

/// Sets of words in which a code in a cell may be found.
const CELL_SETS: [&str; 10] =
    ["status", "why", "reason-code", "cause", "disposition", "service", "leg", "reason", "option", "route"];

/// Columns beyond which a table takes the whole width.
const NARROW_COLUMNS_MAX: usize = 4;

/// True for a table that needs the whole width of the page.
#[must_use]
pub fn is_wide(table: &Table) -> bool {
    table.headers.len() > NARROW_COLUMNS_MAX
}

/// One table as a card.
#[must_use]
pub fn table(words: &Words, table: &Table) -> Markup {
    let title = phrase(words, &table.title);
    let counted = table.headers.iter().position(|header| header == "count");
    let count_of = |row: &Vec<String>| counted.and_then(|column| row.get(column)?.parse::<u64>().ok());
    let most = table.rows.iter().filter_map(count_of).max().unwrap_or(0);
    html! {
        section.card.figure.wide[is_wide(table)] {
            h2 { (title) }
            div.scroll tabindex="0" role="region" aria-label=(title) {
                table.numbers {
                    thead {
                        tr {
                            @for (index, header) in table.headers.iter().enumerate() {
                                @if counted == Some(index) { td.bar-cell {} }
                                th.number[is_numeric(table, index)] scope="col" { (phrase(words, header)) }
                            }
                        }
                    }
                    tbody {
                        @for row in table.rows.iter().take(ROWS_MAX) {
                            tr.zero[count_of(row) == Some(0)] {
                                @for (index, cell) in row.iter().enumerate() {
                                    @if counted == Some(index) { td.bar-cell { (bar(count_of(row).unwrap_or(0), most)) } }
                                    @let code = known_phrase(words, cell).is_none() && !is_numeric(table, index);
                                    @if index == 0 { th.raw[code] scope="row" { (phrase(words, cell)) } }
                                    @else { td.number[is_numeric(table, index)].raw[code] { (phrase(words, cell)) } }
                                }
                            }
                        }
                    }
                }
            }
            @if table.rows.len() > ROWS_MAX {
                p.muted { (words.with("evaluation.more", &[("n", &(table.rows.len() - ROWS_MAX).to_string())])) }
            }
        }
    }
}

/// A bar as long as its count is to the greatest.
fn bar(count: u64, most: u64) -> Markup {
    let length = (BAR_LENGTH * count).checked_div(most).unwrap_or(0).max(u64::from(count > 0));
    html! {
        svg.bar viewBox={ "0 0 " (BAR_LENGTH) " 10" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect width=(length) height="10" rx="1.5" {}
        }
    }
}

/// True for a column whose every cell is a number, a share or a dash.
fn is_numeric(table: &Table, column: usize) -> bool {
    let number = |cell: &String| cell == "-" || cell.starts_with(|letter: char| letter.is_ascii_digit());
    column > 0 && table.rows.iter().filter_map(|row| row.get(column)).all(number)
}

/// A phrase or code of the figures in the reader's words; as it stands where it is an agency's own.
#[must_use]
pub fn phrase(words: &Words, text: &str) -> String {
    known_phrase(words, text).unwrap_or_else(|| text.to_owned())
}

/// As [`phrase`], if the tables know it; `what: why` in two parts.
fn known_phrase(words: &Words, text: &str) -> Option<String> {
    let whole = words.figure(text).or_else(|| CELL_SETS.iter().find_map(|set| words.known(&format!("{set}.{text}"))));
    if let Some(found) = whole {
        return Some(found.to_owned());
    }
    let (what, more) = text.split_once(": ")?;
    Some(format!("{}: {}", phrase(words, what), phrase(words, more)))
}
