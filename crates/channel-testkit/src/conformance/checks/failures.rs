//! What becomes of the platform's failures.

use std::time::Duration;

use channel_core::{Error, ErrorKind};

use crate::conformance::bench::{Bench, Check, ensure, failed, ignored};
use crate::failure::Failure;

fn is(error: &Error, kinds: &[ErrorKind]) -> Check {
    ensure!(
        kinds.contains(&error.kind()),
        "it is {}, expected {kinds:?}",
        error.kind()
    );
    Ok(())
}

pub(super) async fn maps_401_to_unauthenticated(bench: &Bench) -> Check {
    let error = bench.send_broken(Failure::Unauthorized).await?;
    is(&error, &[ErrorKind::Unauthenticated])
}

pub(super) async fn maps_403_to_forbidden(bench: &Bench) -> Check {
    let error = bench.send_broken(Failure::Blocked).await?;
    is(&error, &[ErrorKind::Forbidden])
}

pub(super) async fn maps_429_to_rate_limited_with_its_wait(bench: &Bench) -> Check {
    let wait = Duration::from_secs(7);
    let error = bench.send_broken(Failure::RateLimited(wait)).await?;
    is(&error, &[ErrorKind::RateLimited])?;
    let said = error.retry_after();
    ensure!(
        said.is_some_and(|said| said >= wait && said < wait * 2),
        "the platform said 7 s, the error says {said:?}"
    );
    Ok(())
}

pub(super) async fn maps_500_to_a_later_attempt(bench: &Bench) -> Check {
    let error = bench.send_broken(Failure::ServerError).await?;
    // Some platforms document that a server error has no effect, and some do not.
    is(&error, &[ErrorKind::Unavailable, ErrorKind::Uncertain])
}

pub(super) async fn maps_a_lost_answer_to_uncertain(bench: &Bench) -> Check {
    let error = bench.send_broken(Failure::LostAnswer).await?;
    is(&error, &[ErrorKind::Uncertain])
}

pub(super) async fn sends_once_when_the_answer_is_lost(bench: &Bench) -> Check {
    bench.break_down(Failure::LostAnswer).await?;
    let message = bench.message("hello")?;
    // Whatever it says, it must not have tried twice on its own.
    let _ = bench.within("send", bench.channel.send(&message)).await?;
    let shown = bench.platform.shown().await.len();
    ensure!(shown <= 1, "the message is shown {shown} times");
    Ok(())
}

pub(super) async fn names_the_delivered_parts_of_a_failed_message(bench: &Bench) -> Check {
    let limit = bench.channel.info().limits.text;
    if limit.max > 1 << 17 {
        return ignored("the limit is out of reach of a test");
    }
    let message = bench.message("word ".repeat(limit.max))?;
    if !bench.platform.fail(2, Some(Failure::Blocked)).await {
        return ignored("the fake platform cannot fail between two parts");
    }
    let sent = bench.within("send", bench.channel.send(&message)).await?;
    let Err(error) = sent else {
        return failed("sending succeeded although its third part failed");
    };
    let shown = bench.platform.shown().await;
    let shown: Vec<_> = shown.into_iter().map(|shown| shown.at).collect();
    let named = error.delivered().map(|receipt| receipt.messages.clone());
    ensure!(
        named.as_ref() == Some(&shown),
        "{} parts are shown, the error names {}",
        shown.len(),
        named.map_or(0, |named| named.len())
    );
    Ok(())
}

pub(super) async fn names_platform_and_operation_in_errors(bench: &Bench) -> Check {
    let error = bench.send_broken(Failure::Blocked).await?;
    let platform = &bench.channel.info().platform;
    ensure!(error.platform() == Some(platform), "it names no platform");
    ensure!(error.operation().is_some(), "it names no operation");
    let line = error.to_string();
    ensure!(
        !line.contains('\n') && !line.ends_with('.'),
        "it is not one line without a full stop"
    );
    Ok(())
}

pub(super) async fn works_again_after_a_failure(bench: &Bench) -> Check {
    bench.send_broken(Failure::ServerError).await?;
    bench.platform.fail(0, None).await;
    bench.send_one("hello again").await?;
    Ok(())
}
