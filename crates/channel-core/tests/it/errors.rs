use std::error::Error as _;
use std::time::Duration;

use channel_core::{
    Error, ErrorKind, HttpError, HttpErrorKind, MessageRef, Platform, Receipt, Rejection, Secret,
};

#[test]
fn display_names_platform_and_operation_once_and_leaves_the_source_to_reporters() {
    let source = Error::new(ErrorKind::Unavailable, "the cause");
    let error = Error::new(ErrorKind::Invalid, "text is 2105 bytes, limit is 2048")
        .on(Platform::new("wecom"), "send message")
        .with_source(source);
    assert_eq!(
        error.to_string(),
        "wecom: send message: text is 2105 bytes, limit is 2048"
    );
    assert_eq!(error.source().unwrap().to_string(), "the cause");
}

#[test]
fn only_kinds_that_cannot_double_a_message_are_retryable() {
    use ErrorKind::*;
    let kinds = [
        Invalid,
        Unauthenticated,
        Forbidden,
        NotFound,
        RateLimited,
        Unavailable,
        Uncertain,
        Unsupported,
        Config,
        Protocol,
    ];
    let retryable: Vec<_> = kinds
        .into_iter()
        .filter(|kind| kind.is_retryable())
        .collect();
    assert_eq!(retryable, [RateLimited, Unavailable]);
}

#[test]
fn pain_13_a_broken_request_is_sorted_by_whether_it_left() {
    let kind = |error: HttpError, repeatable| error.into_error(repeatable).kind();
    for reason in [
        HttpErrorKind::Connect,
        HttpErrorKind::Timeout,
        HttpErrorKind::Interrupted,
    ] {
        assert_eq!(
            kind(HttpError::unsent(reason), false),
            ErrorKind::Unavailable
        );
        assert_eq!(kind(HttpError::sent(reason), true), ErrorKind::Unavailable);
        assert_eq!(kind(HttpError::sent(reason), false), ErrorKind::Uncertain);
    }
    assert_eq!(
        kind(HttpError::unsent(HttpErrorKind::Refused), false),
        ErrorKind::Invalid
    );
    // The server has acted; what it said is lost to us.
    assert_eq!(
        kind(HttpError::sent(HttpErrorKind::TooLarge), false),
        ErrorKind::Uncertain
    );
}

#[test]
fn an_error_keeps_what_the_caller_needs_for_the_next_step() {
    let part = MessageRef::new("1".into(), "2".into());
    let error = Error::new(ErrorKind::RateLimited, "wait")
        .with_retry_after(Duration::from_secs(3))
        .with_code("429")
        .with_moved_to("-100".into())
        .with_delivered(Receipt::new(vec![part.clone()]));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(error.code(), Some("429"));
    assert_eq!(error.moved_to().unwrap().as_str(), "-100");
    assert_eq!(error.delivered().unwrap().first(), Some(&part));
    let nothing = Error::new(ErrorKind::Invalid, "x").with_delivered(Receipt::default());
    assert!(nothing.delivered().is_none());
}

#[test]
fn a_rejection_says_nothing_to_the_sender() {
    let response = Rejection::unauthorized("signature_mismatch").response();
    assert_eq!(response.status(), 401);
    assert!(response.body().is_empty());
    assert!(response.headers().is_empty());
}

#[test]
fn a_secret_is_never_shown() {
    let secret = Secret::new("hunter2");
    assert!(!format!("{secret:?} {secret} {:?}", Some(&secret)).contains("hunter2"));
}

#[test]
fn what_was_broken_off_is_not_to_be_repeated() {
    let cause = || {
        Error::new(ErrorKind::Unavailable, "busy")
            .on(Platform::new("acme"), "send message")
            .with_retry_after(Duration::from_secs(3))
            .with_code("503")
    };
    let untouched = cause().broken_off(Receipt::default(), 0, 3);
    assert_eq!(untouched.kind(), ErrorKind::Unavailable);
    let at = MessageRef::new("chat".into(), "1".into());
    let broken = cause().broken_off(Receipt::new(vec![at]), 1, 3);
    assert_eq!(broken.kind(), ErrorKind::Uncertain);
    assert_eq!(
        broken.to_string(),
        "acme: send message: part 2 of 3 failed: busy"
    );
    assert_eq!(broken.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(broken.code(), Some("503"));
    assert_eq!(
        broken.delivered().map(|receipt| receipt.messages.len()),
        Some(1)
    );
}
