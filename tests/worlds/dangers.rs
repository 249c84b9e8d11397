//! Which values keep every unaccompanied program from a call: the oracles' own list, of both simulators.

/// True where the value keeps every unaccompanied program from a call, whatever the policy says.
pub fn bars(fact: &str, value: &str) -> bool {
    match fact {
        "weapon" => matches!(value, "present" | "used"),
        "violence" => value == "physical",
        "self_harm" => matches!(value, "means" | "attempt"),
        "medical" => value == "acute",
        "crime" => value == "in-progress",
        _ => false,
    }
}
