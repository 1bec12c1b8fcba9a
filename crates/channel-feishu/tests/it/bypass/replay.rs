//! The same request once more.

use channel_core::Webhook as _;
use channel_feishu::Feishu;

use super::{NOW, table};
use crate::fake::Fake;

#[test]
fn replays_are_the_same_event() {
    let fake = Fake::new();
    let table = table();
    let request = table.signed(
        table.body.clone(),
        [&NOW.to_string(), "nonce0001", &table.good()],
    );
    let id = |channel: &Feishu| {
        channel.receive(&request, fake.now()).unwrap().events[0]
            .id
            .clone()
    };
    let channel = fake.channel();
    assert_eq!(id(&channel), id(&channel));
    assert_eq!(
        id(&channel),
        id(&fake.channel()),
        "another instance knows it too"
    );
}
