//! The phone leg: a help desk that accepts a call, talks, and resolves it, refers it, or hands it back.

use crate::chance;
use crate::habits::{Habits, named};
use crate::leg::LegInHand;
use rand::RngExt;
use rand::rngs::StdRng;

/// Share of talks that end with the call handed back: the caller hung up, or someone must go there.
const HAND_BACK: f64 = 0.10;
/// Of the talks that are not handed back, the share resolved by phone; the others end by the program's dispositions.
const RESOLVED_BY_PHONE: f64 = 0.55;
/// Workers at the desk.
const WORKERS: usize = 6;

/// The same habits at a help desk: sends nobody, resolves much itself, hands back more often.
#[must_use]
pub fn at_a_desk(habits: Habits) -> Habits {
    // Nobody is on scene: of the hazards only those that can be heard remain.
    let hazards = habits.hazards.into_iter().filter(|hazard| hazard.fact == "medical").collect();
    Habits { by_phone: true, crews: WORKERS, hand_back: HAND_BACK, hazards, ..habits }
}

/// Talks with the caller. Ends early when the call is taken back.
pub(crate) async fn talk(leg: &mut LegInHand, rng: &mut StdRng, habits: &Habits) -> Option<()> {
    let talk_s = habits.on_scene_s.draw(rng);
    // The first words come at once; what is learnt comes within the talk.
    let heard_after_s = talk_s * rng.random::<f64>() * 0.5;
    leg.pause(heard_after_s).await?;
    for hazard in &habits.hazards {
        if chance::happens(rng, hazard.share) {
            leg.hazard(&hazard.fact, &hazard.value).await?;
        }
    }
    if chance::happens(rng, habits.back_up) {
        leg.back_up("ems").await?;
    }
    if chance::happens(rng, habits.hand_back) {
        let why = if chance::happens(rng, 0.5) { "caller-hung-up" } else { "needs-someone-there" };
        return leg.hand_back(why).await;
    }
    leg.pause(talk_s - heard_after_s).await?;
    if chance::happens(rng, RESOLVED_BY_PHONE) {
        return leg.clear("resolved-by-phone").await;
    }
    leg.clear(&named(rng, &habits.dispositions).unwrap_or_else(|| "referred".to_owned())).await
}
