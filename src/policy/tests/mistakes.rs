//! What a program manager reads about each kind of mistake: `mistakes.txt` lists the mistake and the words, in full.

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/tests/mistakes.txt");
const CASES: &str = "[[case]]\nid = \"yelling\"\nat = \"2025-11-04T12:00\"\nfacts = { nature = \"person-yelling\", setting = \"outdoors\", zone = \"city\" }\nload = { psr = 0 }\nunstaffed = [\"clo\"]\nexpect = { status = \"eligible\", route = \"psr\", rule = \"person-yelling\" }\n";

/// One mistake as the file has it.
struct Mistake<'a> {
    title: &'a str,
    /// Lines up to `says`, as they stand.
    head: Vec<&'a str>,
    file: &'a str,
    from: String,
    to: String,
}

fn mistakes(text: &str) -> Vec<Mistake<'_>> {
    let written = |line: &str| line.replace("\\n", "\n");
    let blocks = text.split("\n== ").skip(1);
    blocks
        .map(|block| {
            let (title, rest) = block.split_once('\n').unwrap();
            let head: Vec<&str> = rest.lines().take_while(|line| *line != "says").collect();
            let line = |mark: &str| head.iter().find_map(|line| line.strip_prefix(mark)).unwrap_or_default();
            Mistake { title, file: line("in "), from: written(line("- ")), to: written(line("+ ")), head }
        })
        .collect()
}

/// What the reader says of a mistake made in an otherwise good policy.
fn said(mistake: &Mistake<'_>) -> String {
    let mut files = files(POLICY);
    files.files.insert("cases.toml".to_owned(), CASES.as_bytes().to_vec());
    let good = String::from_utf8(files.files.get(mistake.file).cloned().unwrap_or_default()).unwrap();
    assert!(good.contains(&mistake.from), "{}: {} has no `{}`", mistake.title, mistake.file, mistake.from);
    let bad = if mistake.from.is_empty() { mistake.to.clone() } else { good.replacen(&mistake.from, &mistake.to, 1) };
    files.files.insert(mistake.file.to_owned(), bad.into_bytes());
    let Err(faults) = Policy::compile(&files) else { panic!("{}: nothing is said", mistake.title) };
    let told = |fault: &PolicyFault| {
        let line = fault.line.map_or_else(String::new, |line| format!(":{line}"));
        let help = fault.help.as_ref().map_or_else(String::new, |help| format!("  {help}\n"));
        format!("{}{line} {}: {}\n{help}", fault.file, fault.key, fault.message)
    };
    faults.0.iter().map(told).collect()
}

fn whole(text: &str) -> String {
    let about = text.split("\n== ").next().unwrap();
    let block =
        |mistake: &Mistake<'_>| format!("\n== {}\n{}\nsays\n{}", mistake.title, mistake.head.join("\n"), said(mistake));
    format!("{about}{}", mistakes(text).iter().map(block).collect::<String>())
}

#[test]
#[ignore = "writes mistakes.txt anew; read the difference before committing it"]
fn write_the_mistakes() {
    let text = std::fs::read_to_string(FILE).unwrap();
    std::fs::write(FILE, whole(&text)).unwrap();
}

#[test]
fn every_kind_of_mistake_is_told_in_these_words() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let mistakes = mistakes(&text);
    assert!(mistakes.len() >= 40, "{}", mistakes.len());
    let files: BTreeSet<&str> = mistakes.iter().map(|mistake| mistake.file).collect();
    assert!(files.is_superset(&["policy.toml", "call_types.csv", "zones.geojson", "cases.toml"].into()));
    for (now, was) in whole(&text).split("\n== ").zip(text.split("\n== ")) {
        assert_eq!(now.trim_end(), was.trim_end(), "\nwrite it anew with: cargo test --lib mistakes -- --ignored");
    }
    // Each fault names its file, its line but where a file is missing, and something to look at.
    for mistake in &mistakes {
        let said = said(mistake);
        let about = said.lines().any(|line| line.starts_with(mistake.file) && line.contains(": "));
        assert!(about && said.contains("\n  "), "{}: a fault of the file, and what to do: {said}", mistake.title);
    }
}
