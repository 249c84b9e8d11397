//! Deliberate bugs, one at a time, that the event simulator (`tests/worlds`) must find. In an ordinary build there is none.
//!
//! `if canary!(AckBeforeAppend) { … }` stands where the bug would be. Without the feature `canaries` the word is `false`
//! and nothing of it is compiled; a build with the feature refuses to serve ([`crate::app::Application::start_with`]).

#[cfg(not(feature = "canaries"))]
macro_rules! canary {
    ($name:ident) => {
        false
    };
}

#[cfg(feature = "canaries")]
macro_rules! canary {
    ($name:ident) => {
        crate::canaries::sings(crate::canaries::Canary::$name)
    };
}

#[cfg(feature = "canaries")]
mod planted {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Canary>> = const { Cell::new(None) };
    }

    /// Puts one bug, or none, into everything that runs on this thread from now on.
    pub fn plant(canary: Option<Canary>) {
        PLANTED.set(canary);
    }

    pub(crate) fn sings(canary: Canary) -> bool {
        PLANTED.get() == Some(canary)
    }

    macro_rules! canaries {
        ($($(#[doc = $what:literal])+ $name:ident,)+) => {
            /// One deliberate bug.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum Canary {
                $($(#[doc = $what])+ $name,)+
            }

            impl Canary {
                /// All of them.
                pub const ALL: &[Self] = &[$(Self::$name,)+];

                /// What the bug is.
                #[must_use]
                pub fn what(self) -> &'static str {
                    match self {
                        $(Self::$name => concat!($($what),+),)+
                    }
                }
            }
        };
    }

    canaries! {
        /// a record is acknowledged before it is durable
        AckBeforeAppend,
        /// a journal that cannot take an append is taken for one that did
        UnavailableIsSuccess,
        /// an append whose answer was lost is not looked for
        LostAnswerForgotten,
        /// a clock that was set back lengthens the deadlines that run
        ClockSetBackTrusted,
        /// a failed sync is taken for a good one
        PoisonedIsSuccess,
        /// deadlines are not rebuilt at a restart
        TimerLostAtRestart,
        /// a deadline that could not be journaled is not tried again
        TimerLostOnFailure,
        /// a restart counts deadlines from its own instant
        DeadlineLengthenedByRestart,
        /// an update of the record moves the accept deadline
        DeadlineLengthenedByUpdate,
        /// what was not delivered is forgotten at a restart
        UndeliveredForgottenAtRestart,
        /// what was delivered goes out again at every restart
        DeliveredNotRemembered,
        /// a restart sends what is outstanding under new keys
        NewKeyAtResume,
        /// recovery folds the journal by other code than the live transition
        ReplayByOtherCode,
        /// a record is not weighed against what is on offer
        ExclusionSkippedOnUpdate,
        /// a danger known of a linked incident stays with that one
        LinkedDangerDropped,
        /// a call that its sender merged into another keeps its team
        MergedCallKeepsItsTeam,
        /// of calls that are merged into one another one ends
        MutualMergeEnds,
        /// what other adapters made of a call meanwhile is not looked at before another ends for it
        MergeEndsOnHearsay,
        /// a call that was merged into another stays open beside it
        MergedNeverEnds,
        /// a second team is sent to a call under its other name, where one is there already
        SecondTeamSent,
        /// a hazard that a team reports recalls nothing
        HazardRecallsNothing,
        /// a poorer record clears a danger
        DangerUnlearnt,
        /// danger in a record that comes late is dropped with the record
        StaleDangerDropped,
        /// a record is applied although a newer one was
        StaleRecordApplied,
        /// a repeat of a record is taken for a new one
        RepeatTakenForNew,
        /// an acceptance after the deadline takes the call
        LateAcceptanceHonoured,
        /// the second of two acceptances takes the call from the first
        SecondAcceptanceWins,
        /// the first half of a tandem owns the call
        HalfTandemOwns,
        /// the owner stays who gave the call back
        OwnerLostOnReturn,
        /// nobody is told that an offer is taken back
        WithdrawNotSent,
        /// nobody is told to stand back
        StandBackNotSent,
        /// the CAD is not told that a call is back
        CadNotToldOfReturn,
        /// the second of a chain is never asked
        NextLegNeverOffered,
        /// what one team judged unsafe is offered to the next
        UnsafeOfferedOn,
        /// a call that came back is offered again without a person's word
        OfferedAgainAfterReturn,
        /// a test call is offered
        TestCallOffered,
        /// a policy in shadow offers
        ShadowOffers,
        /// a cancellation does not call the team back
        CancelForgetsTheTeam,
        /// nobody is held to acknowledging a recall
        RecallNotWatched,
        /// what is overdue is told to nobody
        OverdueNotTold,
        /// half a tandem is not told to go
        ProceedNotSent,
        /// what another adapter was sending when it died is sent by nobody
        InheritsNothing,
        /// nobody takes over what a dead adapter held
        TakesOverNothing,
        /// an append whose answer was lost, to a call that was closed and forgotten, is not looked for
        DoubtForgottenWhenClosed,
        /// a call is built of what is heard of it alone, after it was closed and forgotten
        BuiltOfHearsay,
        /// what is told while no policy is in force is unknown to the policy that comes
        UnheardWithoutPolicy,
        /// a policy is in force before the journal knows of it
        PolicyBeforeJournal,
    }
}

#[cfg(feature = "canaries")]
pub(crate) use planted::sings;
#[cfg(feature = "canaries")]
pub use planted::{Canary, plant};
