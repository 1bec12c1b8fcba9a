//! What a channel says about itself.

use crate::conformance::Ability;
use crate::conformance::bench::{Bench, Check, ensure, ignored, worked};

pub(super) async fn describes_itself_without_a_call(bench: &Bench) -> Check {
    let Some(before) = bench.platform.calls() else {
        return ignored("the fake platform does not count calls");
    };
    let first = bench.channel.info().clone();
    for _ in 0..3 {
        ensure!(*bench.channel.info() == first, "it changes its mind");
    }
    ensure!(!first.id.as_str().is_empty(), "the channel id is empty");
    ensure!(
        !first.platform.as_str().is_empty(),
        "the platform has no name"
    );
    let after = bench.platform.calls();
    ensure!(after == Some(before), "info() makes a call");
    Ok(())
}

pub(super) async fn has_limits_that_make_sense(bench: &Bench) -> Check {
    let limits = &bench.channel.info().limits;
    ensure!(limits.text.max > 0, "no text fits");
    ensure!(limits.action_bytes > 0, "no button value fits");
    for rate in [limits.rate_direct, limits.rate_group, limits.rate_total]
        .into_iter()
        .flatten()
    {
        ensure!(rate.count > 0 && !rate.per.is_zero(), "a rate of nothing");
    }
    Ok(())
}

pub(super) async fn has_exactly_the_abilities_that_it_claims(bench: &Bench) -> Check {
    let claims = bench.platform.claims();
    for ability in Ability::ALL {
        let offered = ability.is_offered_by(bench.channel.as_ref());
        ensure!(
            offered == claims.contains(&ability),
            "{ability:?} is {} and {}",
            if offered { "offered" } else { "not offered" },
            if offered { "not claimed" } else { "claimed" }
        );
    }
    Ok(())
}

pub(super) async fn knows_who_it_is_on_the_platform(bench: &Bench) -> Check {
    let mut seen = None;
    for _ in 0..2 {
        let probed = bench.within("probe", bench.channel.probe()).await?;
        let identity = worked("probe", probed)?;
        ensure!(!identity.id.is_empty(), "the bot's id is empty");
        if let Some(seen) = seen.replace(identity.clone()) {
            ensure!(seen == identity, "it changes its mind");
        }
    }
    Ok(())
}
