//! Bad input, said in one line that names it, with the next step on a line of its own.

use std::fmt;

/// Bad usage or input: exit status 2, one line that names the input, and what to do next on its own line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadInput {
    /// Names the input and what is wrong with it.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// True where the reader of our output has closed it: nobody is there to tell.
    closed: bool,
}

impl BadInput {
    /// A message without a next step.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, closed: false }
    }

    /// True where the reader of our output has closed it: nobody is there to tell.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
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
        let closed = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { closed, ..Self::new(format!("output cannot be written: {error}")) }
    }
}
