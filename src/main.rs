//! Arguments in, exit status out.

use std::process::ExitCode;

fn main() -> ExitCode {
    fourth_option::commands::run()
}
