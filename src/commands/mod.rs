//! The commands, one file each. Exit status: 0 good, 1 something asked about is not so, 2 bad usage or input.

pub mod check;
pub mod decide;

use std::fmt;

/// How a command that ran to its end came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done and good: exit status 0.
    Good,
    /// Done, and something asked about is not so: exit status 1.
    NotSo,
}

/// Bad usage or input: exit status 2, one line that names the input, and what to do next on its own line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadInput {
    /// Names the input and what is wrong with it.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

impl BadInput {
    /// A message without a next step.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// With the next step.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(formatter, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl From<std::io::Error> for BadInput {
    fn from(error: std::io::Error) -> Self {
        Self::new(format!("output cannot be written: {error}"))
    }
}

/// What every command returns.
pub type Ending = Result<Verdict, BadInput>;
