//! Tells the tests whether the public samples are beside the checkout, so that a test that needs them counts as ignored,
//! never as passed, where they are absent.

#![expect(clippy::disallowed_methods, reason = "a build script is configured by the environment and speaks on stdout")]

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(public_samples)");
    println!("cargo::rerun-if-env-changed=FOURTH_SHARED");
    let folder = std::env::var("FOURTH_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    if Path::new(&folder).join("standards").is_dir() {
        println!("cargo::rustc-cfg=public_samples");
        println!("cargo::rerun-if-changed=../shared/README.md");
    } else {
        // A file that is not there counts as changed at every build: everything would be compiled anew each time.
        println!("cargo::rerun-if-changed=build.rs");
    }
}
