//! Who may do and see what: identities, roles, and which destination sees which field.

use crate::record::ProgramId;

/// What an identity may do. Deny by default: what is not listed for a role is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// A CAD: may send records, read its calls' state, and use the pass-through.
    Cad,
    /// A call-taker: sees the queue, answers, chooses.
    CallTaker,
    /// A team of one program: sees and answers its own legs only.
    Team(ProgramId),
    /// An evaluator: sees figures, never a record.
    Evaluator,
    /// An operator: health, undelivered effects, back-up.
    Operator,
}

/// Somebody who has been recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Opaque name from the access list; goes into the journal, never a person's name.
    pub name: String,
    /// What it may do.
    pub roles: Vec<Role>,
}
