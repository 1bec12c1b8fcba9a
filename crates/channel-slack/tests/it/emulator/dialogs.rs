//! Dialogs that a slash command opens, and dialogs over dialogs.

use channel_core::ErrorKind;
use serde_json::json;

use super::{Inbox, World};

#[tokio::test]
async fn a_command_opens_a_modal_and_a_press_in_it_another_above() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let text = |text: &str| json!({"type": "plain_text", "text": text});
    let view = |id: &str| {
        json!({"type": "modal", "callback_id": id, "title": text(id), "blocks": [{"type": "actions",
            "elements": [{"type": "button", "action_id": "more", "value": "v", "text": text("More")}]}]})
    };
    let (app, ada) = (&world.app, &world.ada);
    world
        .server
        .command(app, &world.general, ada, "/kit", "")
        .unwrap();
    let command = inbox.message().await;
    let id = channel
        .open_view_for(&command, &view("first"))
        .await
        .unwrap();
    assert_eq!(world.server.views(ada)[0]["id"], id.as_str());
    let error = channel
        .open_view_for(&command, &view("first"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "a trigger works once");
    world.server.press_in_view(&id, "More").unwrap();
    let press = inbox.action().await;
    channel.push_view(&press, &view("second")).await.unwrap();
    let shown = world.server.views(ada);
    assert!(
        shown.iter().any(|view| view["callback_id"] == "second"),
        "{shown:?}"
    );
    world.server.say(&world.direct, ada, "hello").unwrap();
    let message = inbox.message().await;
    let error = channel
        .open_view_for(&message, &view("third"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
