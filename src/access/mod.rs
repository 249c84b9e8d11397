//! Who may do and see what: identities, roles, and which destination sees which field.

mod release;
mod tokens;

pub use release::{Released, ReleasedAddress, ReleasedNote, ReleasedPoint, release};
pub use tokens::{
    Access, AccessFault, IdentitySettings, RoleName, RoleNames, Settings, TOKEN_BYTES_MAX, TokenDigest, hash_token,
};

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
    /// Whoever sits at this machine and plays every team in a demonstration; no configuration can give it.
    EveryTeam,
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

/// Something that can be allowed or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Send a call record, first or later.
    SendRecord,
    /// Use the pass-through to the CAD.
    PassThrough,
    /// Read where an incident stands, and the stream of events: no personal data.
    ReadState,
    /// See the queue with what callers said: personal data.
    SeeQueue,
    /// Answer a question about a call.
    AnswerQuestion,
    /// Accept a recommendation or override it.
    Choose,
    /// Send back-up from the centre.
    SendBackup,
    /// Use the team's doors at all; each leg is checked by [`Identity::may_touch_leg_of`] besides.
    ActAsTeam,
    /// See the evaluator's figures: no record.
    SeeFigures,
    /// See the policy in force.
    SeePolicy,
    /// Say who is away and switch surge mode.
    SetRoster,
    /// See metrics, undelivered effects and other signs of health.
    SeeOperations,
    /// Have a message that was given up sent again.
    Redrive,
    /// Make and restore back-ups of the journal.
    BackUpJournal,
}

/// The one table: what each role may do. What is not here is refused.
const CAD_MAY: &[Action] = &[Action::SendRecord, Action::PassThrough, Action::ReadState];
const CALL_TAKER_MAY: &[Action] = &[
    Action::ReadState,
    Action::SeeQueue,
    Action::AnswerQuestion,
    Action::Choose,
    Action::SendBackup,
    Action::SeePolicy,
];
const TEAM_MAY: &[Action] = &[Action::ActAsTeam];
const EVALUATOR_MAY: &[Action] = &[Action::SeeFigures, Action::SeePolicy];
const OPERATOR_MAY: &[Action] = &[
    Action::ReadState,
    Action::SeePolicy,
    Action::SeeOperations,
    Action::SetRoster,
    Action::Redrive,
    Action::BackUpJournal,
];

impl Role {
    fn may(&self) -> &'static [Action] {
        match self {
            Self::Cad => CAD_MAY,
            Self::CallTaker => CALL_TAKER_MAY,
            Self::Team(_) | Self::EveryTeam => TEAM_MAY,
            Self::Evaluator => EVALUATOR_MAY,
            Self::Operator => OPERATOR_MAY,
        }
    }
}

impl Identity {
    /// True where one of its roles lists the action.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        self.roles.iter().any(|role| role.may().contains(&action))
    }

    /// True where it may see and answer legs of this program. A leg of another program is to it as if it did not exist.
    #[must_use]
    pub fn may_touch_leg_of(&self, program: &ProgramId) -> bool {
        self.roles.iter().any(|role| match role {
            Role::Team(own) => own == program,
            Role::EveryTeam => true,
            Role::Cad | Role::CallTaker | Role::Evaluator | Role::Operator => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: [Action; 14] = [
        Action::SendRecord,
        Action::PassThrough,
        Action::ReadState,
        Action::SeeQueue,
        Action::AnswerQuestion,
        Action::Choose,
        Action::SendBackup,
        Action::ActAsTeam,
        Action::SeeFigures,
        Action::SeePolicy,
        Action::SeeOperations,
        Action::BackUpJournal,
        Action::SetRoster,
        Action::Redrive,
    ];

    fn with(roles: &[Role]) -> Identity {
        Identity { name: "somebody".into(), roles: roles.to_vec() }
    }

    /// Written out whole, apart from the table it checks: one column an action in the order of `ACTIONS`, `x` allowed.
    #[test]
    fn the_whole_matrix_of_roles_and_actions() {
        let psr = || Role::Team(ProgramId::new("psr"));
        for (role, allowed) in [
            (Role::Cad, "xxx..........."),
            (Role::CallTaker, "..xxxxx..x...."),
            (psr(), ".......x......"),
            (Role::EveryTeam, ".......x......"),
            (Role::Evaluator, "........xx...."),
            (Role::Operator, "..x......xxxxx"),
        ] {
            let identity = with(std::slice::from_ref(&role));
            for (action, mark) in ACTIONS.iter().zip(allowed.chars()) {
                assert_eq!(identity.may(*action), mark == 'x', "{role:?} {action:?}");
            }
        }
        for action in ACTIONS {
            assert!(!with(&[]).may(action), "somebody without a role may {action:?}");
        }
    }

    #[test]
    fn roles_add_up_and_never_more() {
        let both = with(&[Role::Evaluator, Role::Cad]);
        for action in ACTIONS {
            let either = with(&[Role::Evaluator]).may(action) || with(&[Role::Cad]).may(action);
            assert_eq!(both.may(action), either, "{action:?}");
        }
    }

    #[test]
    fn a_team_touches_its_own_legs_only() {
        let (psr, cru) = (ProgramId::new("psr"), ProgramId::new("cru"));
        let team = with(&[Role::Team(psr.clone())]);
        assert!(team.may_touch_leg_of(&psr));
        assert!(!team.may_touch_leg_of(&cru));
        assert!(with(&[Role::EveryTeam]).may_touch_leg_of(&cru));
        for role in [Role::Cad, Role::CallTaker, Role::Evaluator, Role::Operator] {
            assert!(!with(&[role]).may_touch_leg_of(&psr));
        }
    }
}
