//! `getUpdates`. <https://core.telegram.org/bots/api#getupdates>

use std::time::Duration;

use channel_emulator::telegram::{Group, Outcome};
use http::Method;
use serde_json::{Value, json};

use crate::api::{ADA, BOT, PATIENCE, TOKEN, World, last_id};

fn ids(updates: &Value) -> Vec<i64> {
    updates
        .as_array()
        .unwrap()
        .iter()
        .map(|update| update["update_id"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn gives_updates_again_until_a_higher_offset_confirms_them() {
    let world = World::started().await;
    for text in ["one", "two", "three"] {
        world.private_text(BOT, ADA, text).unwrap();
    }
    let first = ids(&world.result("getUpdates", json!({})).await);
    assert_eq!(first.len(), 3);
    assert_eq!(
        ids(&world
            .result("getUpdates", json!({"offset": first[0]}))
            .await),
        first
    );
    let rest = ids(&world
        .result("getUpdates", json!({"offset": first[0] + 1}))
        .await);
    assert_eq!(rest, first[1..]);
    assert_eq!(
        ids(&world.result("getUpdates", json!({})).await),
        first[1..],
        "the confirmed one is gone"
    );
}

#[tokio::test]
async fn limits_a_batch_and_numbers_updates_in_sequence() {
    let world = World::started().await;
    for number in 0..120 {
        world.private_text(BOT, ADA, &number.to_string()).unwrap();
    }
    let batch = ids(&world.result("getUpdates", json!({})).await);
    assert_eq!(batch.len(), 100);
    assert!(batch.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(
        ids(&world.result("getUpdates", json!({"limit": 2})).await),
        batch[..2]
    );
}

#[tokio::test]
async fn a_negative_offset_counts_from_the_end_and_forgets_the_rest() {
    let world = World::started().await;
    for text in ["one", "two", "three"] {
        world.private_text(BOT, ADA, text).unwrap();
    }
    let last = last_id(&world);
    assert_eq!(
        ids(&world.result("getUpdates", json!({"offset": -2})).await),
        [last - 1, last]
    );
    assert_eq!(world.updates_pending(BOT).len(), 2);
}

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_something_happens() {
    let world = World::started().await;
    let poll = world.result("getUpdates", json!({"timeout": 50}));
    let act = async {
        world.polled().await;
        world.private_text(BOT, ADA, "hello").unwrap();
    };
    let (updates, ()) = tokio::join!(poll, act);
    assert_eq!(updates[0]["message"]["text"], "hello");
    assert_eq!(updates[0]["message"]["from"]["is_bot"], false);
}

#[tokio::test]
async fn an_empty_long_poll_ends_by_itself() {
    let world = World::started().await;
    assert_eq!(
        world.result("getUpdates", json!({"timeout": 1})).await,
        json!([])
    );
}

#[tokio::test]
async fn a_newer_poll_sends_the_older_one_away() {
    let world = World::started().await;
    let older = world.refusal("getUpdates", json!({"timeout": 50}));
    let newer = async {
        world.polled().await;
        world.result("getUpdates", json!({})).await
    };
    let (refusal, updates) = tokio::join!(older, newer);
    assert_eq!(updates, json!([]));
    assert_eq!(
        refusal,
        (409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running".into())
    );
}

#[tokio::test]
async fn polling_conflicts_with_a_webhook() {
    let world = World::started().await;
    let waiting = world.refusal("getUpdates", json!({"timeout": 50}));
    let set = async {
        world.polled().await;
        world
            .result("setWebhook", json!({"url": "https://example.test/hook"}))
            .await
    };
    let ((status, description), _) = tokio::join!(waiting, set);
    assert_eq!(status, 409);
    assert!(
        description.contains("can't use getUpdates method while webhook is active"),
        "{description}"
    );
    assert_eq!(world.refusal("getUpdates", json!({})).await.0, 409);
    world.result("deleteWebhook", json!({})).await;
    assert_eq!(world.result("getUpdates", json!({})).await, json!([]));
}

#[tokio::test]
async fn allowed_updates_stay_set_until_they_are_given_again() {
    let world = World::started().await;
    let kinds = |updates: &Value| {
        let kind = |update: &Value| {
            update
                .as_object()
                .unwrap()
                .keys()
                .find(|key| *key != "update_id")
                .cloned()
                .unwrap()
        };
        updates
            .as_array()
            .unwrap()
            .iter()
            .map(kind)
            .collect::<Vec<_>>()
    };
    let act = || {
        let id = world.private_text(BOT, ADA, "hello").unwrap();
        let place = crate::api::DIRECT;
        world.edit(place, id, "hallo").unwrap();
        world.react(place, id, ADA, &["👍"]).unwrap();
    };
    act();
    let all = world
        .result(
            "getUpdates",
            json!({"allowed_updates": ["edited_message", "message_reaction"]}),
        )
        .await;
    assert_eq!(
        kinds(&all),
        ["message", "edited_message"],
        "what happened before the call is not filtered"
    );
    world
        .result("getUpdates", json!({"offset": last_id(&world) + 1}))
        .await;
    act();
    let chosen = world.result("getUpdates", json!({})).await;
    assert_eq!(kinds(&chosen), ["edited_message", "message_reaction"]);
    world
        .result(
            "getUpdates",
            json!({"offset": last_id(&world) + 1, "allowed_updates": []}),
        )
        .await;
    act();
    let default = world.result("getUpdates", json!({})).await;
    assert_eq!(
        kinds(&default),
        ["message", "edited_message"],
        "reactions must be asked for"
    );
}

#[tokio::test]
async fn updates_are_kept_for_a_day() {
    let world = World::started().await;
    world.private_text(BOT, ADA, "old").unwrap();
    world.advance(Duration::from_secs(23 * 3600));
    world.private_text(BOT, ADA, "new").unwrap();
    assert_eq!(
        world
            .result("getUpdates", json!({}))
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    world.advance(Duration::from_secs(2 * 3600));
    let left = world.result("getUpdates", json!({})).await;
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["message"]["text"], "new");
}

#[tokio::test]
async fn after_a_quiet_week_ids_begin_anew() {
    let world = World::started().await;
    world.private_text(BOT, ADA, "before").unwrap();
    let before = last_id(&world);
    world.advance(Duration::from_secs(8 * 24 * 3600));
    world.private_text(BOT, ADA, "after").unwrap();
    let after = last_id(&world);
    assert!(after.abs_diff(before) > 1, "{before} {after}");
    // A poller that still asks for the old sequence is not starved, whichever way the ids jumped.
    let updates = world
        .result("getUpdates", json!({"offset": before.min(after)}))
        .await;
    assert_eq!(updates.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn takes_query_form_and_json_and_any_case_of_a_method() {
    let world = World::started().await;
    let get = world
        .send(
            Method::GET,
            &format!("/bot{TOKEN}/SENDMESSAGE?chat_id=42&text=query"),
            "",
            "",
        )
        .await;
    assert_eq!(get.1["result"]["text"], "query");
    let form = "chat_id=42&text=a%26b+c&reply_parameters=%7B%22message_id%22%3A1%7D";
    let kind = "application/x-www-form-urlencoded";
    let form = world
        .send(
            Method::POST,
            &format!("/bot{TOKEN}/sendMessage"),
            kind,
            form,
        )
        .await;
    assert_eq!(form.1["result"]["text"], "a&b c");
    assert_eq!(form.1["result"]["reply_to_message"]["message_id"], 1);
    let json = world
        .call("sendmessage", json!({"chat_id": "42", "text": "json"}))
        .await;
    assert_eq!(json.1["result"]["chat"]["id"], 42);
}

#[tokio::test]
async fn knows_tokens_also_with_an_escaped_colon() {
    let world = World::new().await;
    let get = async |path: &str| world.send(Method::GET, path, "", "").await;
    assert_eq!(
        get("/bot123456%3ATEST-TOKEN/getMe").await.1["result"]["id"],
        BOT
    );
    assert_eq!(get("/bot123456:WRONG/getMe").await.0, 401);
    assert_eq!(
        get("/bot999:TEST-TOKEN/getMe").await.1["description"],
        "Unauthorized"
    );
    assert_eq!(get("/botnonsense/getMe").await.0, 404);
    assert_eq!(
        get("/bot123456:TEST-TOKEN/getNothing").await.1["description"],
        "Not Found"
    );
    assert_eq!(get("/").await.0, 404);
    world.revoke_token(BOT);
    assert_eq!(get("/bot123456:TEST-TOKEN/getMe").await.0, 401);
}

#[tokio::test]
async fn each_bot_of_a_group_gets_updates_of_its_own() {
    let world = World::new().await;
    let other = world.add_bot("777:OTHER", "other_bot").unwrap();
    let group = world
        .group(&Group::new(-5, "Kit").admin(BOT).admin(other))
        .unwrap();
    world.group_text(group, ADA, "hello").unwrap();
    assert_eq!(world.updates_pending(BOT).len(), 1);
    world
        .result("getUpdates", json!({"offset": last_id(&world) + 1}))
        .await;
    assert_eq!(world.updates_pending(BOT).len(), 0);
    assert_eq!(world.updates_pending(other).len(), 1);
}

#[tokio::test]
async fn the_ledger_knows_when_a_poller_goes_away() {
    let world = World::started().await;
    {
        let poll = world.call("getUpdates", json!({"timeout": 50}));
        tokio::select! {
            _ = poll => panic!("nothing happened, so nothing should be answered"),
            () = world.polled() => {}
        }
    }
    let abandoned = world
        .wait_for(PATIENCE, |view| {
            view.calls()
                .find(|call| call.outcome == Outcome::Abandoned)
                .cloned()
        })
        .await
        .unwrap();
    assert_eq!(abandoned.method, "getUpdates");
}

#[tokio::test]
async fn logging_out_lasts_ten_minutes_and_close_comes_after_ten() {
    let world = World::new().await;
    let (status, description) = world.refusal("close", json!({})).await;
    assert_eq!(
        (status, description.as_str()),
        (429, "Too Many Requests: retry after 600")
    );
    world.result("logOut", json!({})).await;
    assert_eq!(
        world.refusal("getMe", json!({})).await,
        (400, "Logged out".into())
    );
    assert_eq!(world.refusal("getUpdates", json!({})).await.1, "Logged out");
    world.advance(Duration::from_secs(601));
    assert_eq!(world.result("close", json!({})).await, true);
}
