//! The fuzz targets built and run once on our own samples, whole and cut short, so that they still build when somebody needs them.

use crate::support::root;

/// In place of `libfuzzer_sys`'s, which makes a program of each target: a function of it.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: $kind:ty| $body:block) => {
        pub fn holds($input: $kind) $body
    };
}

macro_rules! target {
    ($name:ident, $path:literal) => {
        #[path = $path]
        #[allow(
            unused_attributes,
            unused_imports,
            clippy::duplicate_mod,
            reason = "of a program of its own; here it is a module"
        )]
        mod $name;
    };
}

target!(cad_export_xml, "fuzz/fuzz_targets/cad_export_xml.rs");
target!(conveyance, "fuzz/fuzz_targets/conveyance.rs");
target!(delimited, "fuzz/fuzz_targets/delimited.rs");
target!(eido, "fuzz/fuzz_targets/eido.rs");
target!(narrative, "fuzz/fuzz_targets/narrative.rs");

fn samples(folder: &str) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(root().join("schemas/call_record").join(folder)).unwrap();
    let files: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(files.len() > 1, "{folder}");
    files
}

/// Each sample, and what is left of it when it ends too soon.
fn cut(samples: &[Vec<u8>], target: fn(&[u8])) {
    for sample in samples {
        let step = (sample.len() / 60).max(1);
        (0..sample.len()).step_by(step).chain([sample.len()]).for_each(|end| target(&sample[..end]));
    }
}

#[test]
fn the_fuzz_targets_hold_on_samples_whole_and_cut_short() {
    cut(&samples("eido"), eido::holds);
    cut(&samples("call_export"), cad_export_xml::holds);
    cut(&samples("delimited"), delimited::holds);
    let messages = [
        r#"{"subscribe":{"requestId":"r","requestType":"EIDO","requestSubType":"new","expires":60}}"#,
        r#"{"event":{"subscriptionId":"s","transactionId":"t","notification":[{"$id":"urn:x"}]}}"#,
        r#"{"requestForService":{"requestId":"r","eido":{"$id":"urn:x"}}}"#,
        r#"{"response":{"requestId":"r","responseCode":603,"responseText":"no"}}"#,
    ];
    for message in messages {
        (0..=message.len()).for_each(|end| conveyance::holds(&message[..end]));
    }
    let mut lines = csv::Reader::from_path(root().join("tests/narrative/lines.csv")).unwrap();
    for line in lines.records().map(Result::unwrap) {
        line.iter().for_each(narrative::holds);
    }
}
