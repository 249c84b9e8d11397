//! How long a decision takes; run by hand in release: `cargo test --release --lib timing -- --ignored --nocapture`.

use super::*;
use crate::clock::monotonic_now;

fn quantiles(mut run: impl FnMut()) -> (u128, u128) {
    let mut spent: Vec<u128> = (0..20_000)
        .map(|_| {
            let started = monotonic_now();
            run();
            started.elapsed().as_nanos()
        })
        .collect();
    spent.sort_unstable();
    (spent[spent.len() / 2], spent[spent.len() * 99 / 100])
}

#[test]
#[ignore = "measures; run by hand in release"]
fn timing_of_a_decision() {
    let mut policies = vec![("test-city", compile(POLICY))];
    let library = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library/calgary");
    policies.push(("calgary", Policy::compile(&super::library::folder(&library)).unwrap()));
    let calls: &[(&str, &[(&str, &str)])] = &[
        ("eligible", &[("nature", "person-yelling"), ("setting", "outdoors"), ("zone", "city,east")]),
        (
            "excluded",
            &[
                ("nature", "person-yelling"),
                ("setting", "outdoors"),
                ("zone", "city,east"),
                ("weapon", "present"),
                ("self_harm", "plan"),
            ],
        ),
        ("needs-answer", &[("nature", "youth-crisis"), ("age", "17")]),
        ("no-rule", &[("nature", "structure-fire")]),
        ("crisis", &[("nature", "person-in-crisis"), ("age", "34"), ("setting", "public-indoor")]),
    ];
    let noon = at("2025-11-05T17:30");
    for (name, policy) in &policies {
        for (what, pairs) in calls {
            let facts = facts(pairs);
            let availability = Availability::default();
            let whole = quantiles(|| drop(std::hint::black_box(policy.decide(&facts, &[], noon, &availability))));
            let route = quantiles(|| {
                let _ = std::hint::black_box(policy.route_only(&facts, &[], noon, &availability));
            });
            let moment = policy.compiled.moment(noon, &availability);
            let masks = quantiles(|| {
                let call = policy.compiled.table.code(&facts);
                std::hint::black_box(policy.compiled.verdict(&call, &moment));
            });
            let status = policy.decide(&facts, &[], noon, &availability).status.name();
            println!(
                "{name} {what} ({status}): decide p50 {} p99 {} ns, route_only p50 {} ns, masks p50 {} ns",
                whole.0, whole.1, route.0, masks.0
            );
        }
        let started = monotonic_now();
        let proofs = policy.compiled.proofs(&[]);
        println!("{name}: {} proofs in {:?}", proofs.len(), started.elapsed());
    }
}
