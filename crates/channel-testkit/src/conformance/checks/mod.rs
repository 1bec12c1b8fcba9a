//! The checks. Each is an `async fn` whose name is the sentence that it proves.

mod abilities;
mod cards;
mod duties;
mod failures;
mod history;
mod identity;
mod parts;
mod receiving;
mod repeats;
mod secrets;
mod sending;
mod streaming;
mod webhook;

use super::CheckEntry;

macro_rules! checks {
    ($($module:ident: $($name:ident)+;)+) => {
        /// All checks, in the order in which they run.
        pub(super) const ALL: &[CheckEntry] = &[$($(
            CheckEntry {
                name: stringify!($name),
                run: |bench| Box::pin($module::$name(bench)),
            },
        )+)+];
    };
}

checks! {
    identity:
        describes_itself_without_a_call
        has_limits_that_make_sense
        has_exactly_the_abilities_that_it_claims
        knows_who_it_is_on_the_platform;
    sending:
        sends_text_and_returns_its_id
        sends_nothing_for_an_empty_message
        sends_plain_text_to_the_letter
        sends_a_file
        splits_within_the_limit
        splits_between_graphemes
        loses_nothing_when_it_splits
        names_every_part_in_the_receipt
        sends_a_grapheme_over_the_limit_or_refuses_it
        sends_a_huge_text
        replies_into_the_same_chat
        replies_into_the_same_thread;
    receiving:
        receives_a_text_with_its_ids
        receives_a_text_of_a_thread_with_its_ids
        receives_events_in_order
        knows_that_a_direct_message_is_meant_for_it
        gives_different_events_different_ids
        gives_a_repeated_event_the_same_id
        keeps_events_equal_through_storage
        keeps_native_messages_equal_through_storage
        does_not_hear_itself
        keeps_unknown_events
        survives_malformed_payloads;
    duties:
        reports_ready_first
        proves_life_within_90_seconds
        redelivers_what_was_not_acknowledged
        forgets_what_was_acknowledged
        takes_acknowledgements_in_any_order
        redelivers_what_was_refused
        closes_cleanly
        reconnects_by_itself;
    webhook:
        serves_the_routes_of_its_requests
        rejects_a_changed_body
        rejects_a_missing_signature
        rejects_a_wrong_signature
        rejects_a_doubled_signature
        rejects_an_old_timestamp
        rejects_a_timestamp_from_the_future
        tells_a_stranger_nothing
        answers_the_challenge;
    failures:
        maps_401_to_unauthenticated
        maps_403_to_forbidden
        maps_429_to_rate_limited_with_its_wait
        maps_500_to_a_later_attempt
        maps_a_lost_answer_to_uncertain
        sends_once_when_the_answer_is_lost
        names_the_delivered_parts_of_a_failed_message
        names_platform_and_operation_in_errors
        works_again_after_a_failure;
    secrets:
        hides_secrets_in_debug
        hides_secrets_in_errors
        hides_secrets_in_logs
        hides_content_in_errors
        hides_content_in_logs;
    abilities:
        edits_a_message
        accepts_an_edit_that_changes_nothing
        refuses_an_edit_that_does_not_fit
        deletes_a_message
        finds_nothing_to_delete_twice
        reacts
        takes_a_reaction_back
        shows_that_it_writes
        downloads_a_file
        refuses_a_download_over_the_bound
        receives_a_press_with_its_value
        answers_a_press
        publishes_commands;
    parts:
        sends_all_parts_as_it_sends_the_whole
        plans_the_same_parts_for_the_same_message
        refuses_a_part_out_of_range
        sends_a_failed_part_alone;
    cards:
        shows_every_word_of_a_card
        shows_every_button_of_a_card
        updates_a_card;
    history:
        reads_history_newest_first
        reads_no_more_history_than_asked_for
        reads_only_history_before_a_message;
    repeats:
        finds_what_was_sent_under_a_key
        finds_nothing_under_another_key
        shows_a_message_once_when_its_key_is_repeated
        can_read_back_where_it_says_so;
    streaming:
        shows_nothing_before_the_first_words
        shows_the_final_message_of_a_stream
        shows_the_final_message_after_many_previews
        finishes_a_stream_whose_previews_failed
        splits_a_final_message_that_is_too_long;
}
