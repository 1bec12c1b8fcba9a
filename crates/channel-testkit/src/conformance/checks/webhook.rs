//! Webhooks: what is let in, and what is not.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{Answer, Rejection};
use http::{HeaderValue, Request, StatusCode, Uri};

use crate::conformance::bench::{Bench, Check, ensure, failed, ignored};
use crate::conformance::{SignaturePart, Signing};

/// A signed request that is accepted as it is, so that a refusal of its variants means
/// something.
async fn signed(bench: &Bench) -> Check<(Request<Bytes>, Signing)> {
    let (_, request) = bench.request().await?;
    let Some(signing) = bench.platform.signing() else {
        return ignored("the platform does not sign");
    };
    match bench.receive(&request) {
        Ok(accepted) if !accepted.events.is_empty() => Ok((request, signing)),
        Ok(_) => failed("a good request brought no event"),
        Err(rejection) => failed(format!("a good request was {rejection}")),
    }
}

fn refused(bench: &Bench, request: &Request<Bytes>, what: &str) -> Check<Rejection> {
    match bench.receive(request) {
        Ok(_) => failed(format!("{what} was let in")),
        Err(rejection) => Ok(rejection),
    }
}

/// The query as pairs, in order, as written.
fn query(request: &Request<Bytes>) -> Vec<(String, String)> {
    let query = request.uri().query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn set_query(request: &mut Request<Bytes>, pairs: &[(String, String)]) {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut address = request.uri().path().to_owned();
    if !pairs.is_empty() {
        address.push('?');
        address.push_str(&pairs.join("&"));
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = address.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// The values of a part of the signature.
fn values(request: &Request<Bytes>, part: &SignaturePart) -> Vec<String> {
    match part {
        SignaturePart::Header(name) => {
            let values = request.headers().get_all(name).iter();
            values
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .collect()
        }
        SignaturePart::Query(name) => query(request)
            .into_iter()
            .filter_map(|(key, value)| (key == *name).then_some(value))
            .collect(),
    }
}

/// A request that has these values instead.
fn with_values(request: &Request<Bytes>, part: &SignaturePart, values: &[&str]) -> Request<Bytes> {
    let mut request = request.clone();
    match part {
        SignaturePart::Header(name) => {
            request.headers_mut().remove(name);
            for value in values {
                if let Ok(value) = HeaderValue::from_str(value) {
                    request.headers_mut().append(name.clone(), value);
                }
            }
        }
        SignaturePart::Query(name) => {
            let mut pairs = query(&request);
            pairs.retain(|(key, _)| key != name);
            pairs.extend(
                values
                    .iter()
                    .map(|value| (name.clone(), (*value).to_owned())),
            );
            set_query(&mut request, &pairs);
        }
    }
    request
}

fn single(request: &Request<Bytes>, part: &SignaturePart) -> Check<String> {
    match values(request, part).pop() {
        Some(value) => Ok(value),
        None => failed(format!("the fake platform does not send {part:?}")),
    }
}

/// Another value of the same shape: one letter or digit, at an index, is another one.
fn altered(value: &str, index: usize) -> String {
    let other = |c: char| match c {
        '0'..='8' => '9',
        '9' => '0',
        'e' | 'E' => 'd',
        _ if c.is_ascii_alphabetic() => 'e',
        _ => '0',
    };
    let letters = value.chars().enumerate();
    letters
        .map(|(at, c)| if at == index { other(c) } else { c })
        .collect()
}

pub(super) async fn serves_the_routes_of_its_requests(bench: &Bench) -> Check {
    let (webhook, request) = bench.request().await?;
    let routes = webhook.routes();
    let absolute = routes.iter().all(|route| route.path.starts_with('/'));
    ensure!(absolute, "a route is not absolute");
    let Some(route) = routes
        .iter()
        .find(|route| route.path == request.uri().path() && route.method == *request.method())
    else {
        return failed("no route fits a good request");
    };
    let size = request.body().len();
    ensure!(size <= route.max_body, "a good body is over the bound");
    Ok(())
}

pub(super) async fn rejects_a_changed_body(bench: &Bench) -> Check {
    let (request, signing) = signed(bench).await?;
    if !signing.covers_body {
        return ignored("the platform does not sign the body");
    }
    let body = request.body();
    let mut bodies = vec![Bytes::new(), Bytes::from([body.as_ref(), b" "].concat())];
    for index in [0, body.len() / 2, body.len().saturating_sub(1)] {
        let mut changed = body.to_vec();
        if let Some(byte) = changed.get_mut(index) {
            *byte ^= 1;
        }
        bodies.push(Bytes::from(changed));
    }
    for changed in bodies {
        let mut request = request.clone();
        *request.body_mut() = changed;
        refused(bench, &request, "a changed body")?;
    }
    Ok(())
}

pub(super) async fn rejects_a_missing_signature(bench: &Bench) -> Check {
    let (request, signing) = signed(bench).await?;
    for part in &signing.parts {
        let without = with_values(&request, part, &[]);
        refused(bench, &without, &format!("a request without {part:?}"))?;
        let empty = with_values(&request, part, &[""]);
        refused(bench, &empty, &format!("a request with an empty {part:?}"))?;
    }
    Ok(())
}

pub(super) async fn rejects_a_wrong_signature(bench: &Bench) -> Check {
    let (request, signing) = signed(bench).await?;
    for part in &signing.parts {
        let good = single(&request, part)?;
        let length = good.chars().count();
        let shorter: String = good.chars().take(length.saturating_sub(1)).collect();
        let wrong = [
            altered(&good, 0),
            altered(&good, length / 2),
            shorter,
            format!("{good}0"),
        ];
        for wrong in wrong {
            let request = with_values(&request, part, &[&wrong]);
            refused(bench, &request, &format!("a request with a wrong {part:?}"))?;
        }
    }
    Ok(())
}

pub(super) async fn rejects_a_doubled_signature(bench: &Bench) -> Check {
    let (request, signing) = signed(bench).await?;
    for part in &signing.parts {
        let good = single(&request, part)?;
        let bad = altered(&good, good.chars().count() / 2);
        for pair in [[&*good, &*bad], [&*bad, &*good], [&*bad, &*bad]] {
            let request = with_values(&request, part, &pair);
            refused(bench, &request, &format!("a request with {part:?} twice"))?;
        }
    }
    Ok(())
}

/// The age at which a request is too old, to be on the safe side of rounding.
fn stale(signing: &Signing) -> Check<Duration> {
    match signing.valid_for {
        Some(span) => Ok(span + Duration::from_secs(2)),
        None => ignored("requests of the platform do not age"),
    }
}

pub(super) async fn rejects_an_old_timestamp(bench: &Bench) -> Check {
    let (request, signing) = signed(bench).await?;
    let late = bench.clock.now() + stale(&signing)?;
    let (webhook, _) = bench.request().await?;
    let verdict = webhook.receive(&request, late);
    ensure!(verdict.is_err(), "an old request was let in");
    Ok(())
}

pub(super) async fn rejects_a_timestamp_from_the_future(bench: &Bench) -> Check {
    let (request, signing) = signed(bench).await?;
    let early = bench.clock.now().checked_sub(stale(&signing)?);
    let (webhook, _) = bench.request().await?;
    let Some(early) = early else {
        return failed("the clock is too early for the test");
    };
    let verdict = webhook.receive(&request, early);
    ensure!(verdict.is_err(), "a request from the future was let in");
    Ok(())
}

pub(super) async fn tells_a_stranger_nothing(bench: &Bench) -> Check {
    let (request, signing) = signed(bench).await?;
    let mut answers = Vec::new();
    for part in &signing.parts {
        let wrong = altered(&single(&request, part)?, 0);
        for values in [Vec::new(), vec![&*wrong], vec![&*wrong, &*wrong]] {
            let request = with_values(&request, part, &values);
            if let Err(rejection) = bench.receive(&request) {
                answers.push(rejection.response());
            }
        }
    }
    let allowed = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    let Some(first) = answers.first() else {
        return ignored("nothing is refused");
    };
    for answer in &answers {
        let status = answer.status();
        ensure!(allowed.contains(&status), "a stranger is told {status}");
        ensure!(
            status == first.status() && answer.body() == first.body(),
            "the answer depends on what is wrong"
        );
    }
    Ok(())
}

pub(super) async fn answers_the_challenge(bench: &Bench) -> Check {
    let Some(challenge) = bench.platform.challenge() else {
        return ignored("the platform has no challenge");
    };
    let accepted = match bench.receive(&challenge.request) {
        Ok(accepted) => accepted,
        Err(rejection) => return failed(format!("the challenge was {rejection}")),
    };
    ensure!(accepted.events.is_empty(), "the challenge made an event");
    let Answer::Now(response) = accepted.answer else {
        return failed("the challenge is not answered at once");
    };
    ensure!(
        response.status() == StatusCode::OK && *response.body() == challenge.answer,
        "the answer is {} and not the one asked for",
        response.status()
    );
    Ok(())
}
