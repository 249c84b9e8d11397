//! A table of figures, and beside it a bar picture where it counts things by name. The table is the picture's text.

use crate::measures::Table;
use crate::pages::words::Words;
use maud::{Markup, html};

/// Rows drawn at most, picture and table alike.
const ROWS_MAX: usize = 60;
const BAR_HEIGHT: u64 = 22;
const WIDTH: u64 = 360;
const LABEL_WIDTH: u64 = 150;
/// Room right of the longest bar for its number.
const NUMBER_WIDTH: u64 = 46;

/// Sets of words in which a row's name may be found.
const ROW_SETS: [&str; 10] =
    ["row", "status", "interval", "leg", "why", "reason-code", "cause", "disposition", "reason", "option"];

/// One table as a card.
#[must_use]
pub fn table(words: &Words, table: &Table) -> Markup {
    let title = words.code("table", &table.title);
    let counts = counts(table);
    html! {
        section.card.figure {
            h2 { (title) }
            @if table.rows.is_empty() { p.muted { (words.t("evaluation.nothing")) } }
            @if let Some(counts) = &counts { (bars(words, &title, counts)) }
            div.scroll tabindex="0" role="region" aria-label=(title) {
                table.numbers {
                    thead { tr { @for header in &table.headers { th scope="col" { (words.code("header", header)) } } } }
                    tbody {
                        @for row in table.rows.iter().take(ROWS_MAX) {
                            tr {
                                @for (index, cell) in row.iter().enumerate() {
                                    @if index == 0 { th scope="row" { (row_name(words, cell)) } }
                                    @else { td { (cell_text(words, cell)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Names and counts, where the table is one of those: two columns, the second a whole number.
fn counts(table: &Table) -> Option<Vec<(&str, u64)>> {
    let pair = |row: &'_ Vec<String>| match row.as_slice() {
        [_, count] => count.parse::<u64>().ok(),
        _ => None,
    };
    if table.rows.is_empty() || table.headers.len() != 2 {
        return None;
    }
    table.rows.iter().take(ROWS_MAX).map(|row| Some((row.first()?.as_str(), pair(row)?))).collect()
}

fn bars(words: &Words, title: &str, counts: &[(&str, u64)]) -> Markup {
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let height = BAR_HEIGHT * u64::try_from(counts.len()).unwrap_or(0);
    let label = words.with("evaluation.picture", &[("title", title)]);
    html! {
        svg.bars viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(label) preserveAspectRatio="xMinYMin meet" {
            @for (index, (name, count)) in (0_u64..).zip(counts) {
                @let top = index * BAR_HEIGHT;
                @let length = (WIDTH - LABEL_WIDTH - NUMBER_WIDTH) * count / most;
                text.bar-name x=(LABEL_WIDTH - 8) y=(top + 15) text-anchor="end" { (short(&row_name(words, name))) }
                rect.bar x=(LABEL_WIDTH) y=(top + 4) width=(length.max(1)) height=(BAR_HEIGHT - 8) rx="2" {
                    title { (row_name(words, name)) ": " (count) }
                }
                text.bar-count x=(LABEL_WIDTH + length + 6) y=(top + 15) { (count) }
            }
        }
    }
}

/// A name that fits left of its bar; the table beside it has it whole.
fn short(name: &str) -> String {
    const FITS: usize = 24;
    if name.chars().count() <= FITS {
        return name.to_owned();
    }
    name.chars().take(FITS - 1).chain(['…']).collect()
}

fn row_name(words: &Words, name: &str) -> String {
    let found = ROW_SETS.iter().find_map(|set| words.known(&format!("{set}.{name}")));
    found.map_or_else(|| super::super::words::plain(name), str::to_owned)
}

fn cell_text(words: &Words, cell: &str) -> String {
    words.known(&format!("row.{cell}")).map_or_else(|| cell.to_owned(), str::to_owned)
}
