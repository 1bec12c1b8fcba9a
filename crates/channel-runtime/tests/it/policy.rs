use channel_core::{AllowEveryone, Error, ErrorKind, Event, Policy, Verdict, async_trait};
use channel_runtime::{Bot, GroupMode};
use channel_testkit::MemoryChannel;

#[derive(Debug)]
struct OnlyAda;

#[async_trait]
impl Policy for OnlyAda {
    async fn judge(&self, event: &Event) -> Verdict {
        match event.sender().and_then(|sender| sender.name.as_deref()) {
            Some("ada") => Verdict::Allow("test"),
            Some("bob") => Verdict::Answer("test", "ask Ada".to_owned()),
            _ => Verdict::Refuse("test"),
        }
    }
}

#[tokio::test]
async fn what_the_policy_refuses_reaches_no_handler() {
    let channel = MemoryChannel::new();
    let running = Bot::new(OnlyAda)
        .channel(channel.clone())
        .on_message(|message| async move {
            message
                .reply(format!(
                    "hello {}",
                    message.sender.name.clone().unwrap_or_default()
                ))
                .await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    for name in ["eve", "bob", "ada"] {
        channel.user(name).says("hi");
    }
    channel.wait_for_sent(2).await;
    while channel.unacknowledged() > 0 {
        tokio::task::yield_now().await;
    }
    let mut texts = channel.texts();
    texts.sort();
    assert_eq!(texts, ["ask Ada", "hello ada"]);
    assert_eq!(running.status()[0].counters.refused, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_press_is_answered_after_its_handler_unless_the_handler_did() {
    let channel = MemoryChannel::new();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply("pick").await?;
            Ok(())
        })
        .on_action(|action| async move {
            if action.value == "loud" {
                action.notice("noted").await?;
            }
            action.reply(format!("pressed {}", action.value)).await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let ada = channel.user("ada");
    ada.says("hi");
    let menu = channel.wait_for_sent(1).await[0].at.clone();
    ada.presses(&menu, "quiet");
    ada.presses(&menu, "loud");
    channel.wait_for_sent(3).await;
    while channel.unacknowledged() > 0 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    let notices: Vec<_> = channel
        .answered()
        .into_iter()
        .map(|(_, notice)| notice)
        .collect();
    assert_eq!(notices, [None, Some("noted".to_owned())]);
    assert_eq!(channel.texts()[1..], ["pressed quiet", "pressed loud"]);
}

#[tokio::test]
async fn a_bot_without_channels_or_with_two_of_one_name_does_not_start() {
    let nothing = Bot::new(AllowEveryone).start().await;
    let twins = Bot::new(AllowEveryone)
        .channel(MemoryChannel::new())
        .channel(MemoryChannel::new())
        .start()
        .await;
    for result in [nothing, twins] {
        let error: Error = result.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn pain_35_two_instances_of_one_platform_run_side_by_side() {
    let (one, two) = (
        MemoryChannel::builder().id("one").build(),
        MemoryChannel::builder().id("two").build(),
    );
    let running = Bot::new(AllowEveryone)
        .channel(one.clone())
        .channel(two.clone())
        .on_message(|message| async move {
            message.reply(message.channel().info().id.as_str()).await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    one.user("ada").says("hi");
    two.user("ada").says("hi");
    one.wait_for_sent(1).await;
    two.wait_for_sent(1).await;
    assert_eq!(
        (one.texts(), two.texts()),
        (vec!["one".to_owned()], vec!["two".to_owned()])
    );
    running.stop().await;
}

#[tokio::test]
async fn a_press_is_answered_whatever_becomes_of_it() {
    let channel = MemoryChannel::new();
    let running = Bot::new(OnlyAda)
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply("menu").await?;
            Ok(())
        })
        .on_action(|action| async move {
            assert!(action.value != "boom", "as asked");
            Err("as asked".into())
        })
        .start()
        .await
        .unwrap();
    let ada = channel.user("ada");
    ada.says("hi");
    let menu = channel.wait_for_sent(1).await[0].at.clone();
    ada.presses(&menu, "boom");
    ada.presses(&menu, "fail");
    channel.user("bob").presses(&menu, "refused");
    channel.user("eve").presses(&menu, "refused in silence");
    while channel.answered().len() < 4 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    let mut notices: Vec<_> = channel.answered().into_iter().map(|(_, n)| n).collect();
    notices.sort();
    let told = Some("ask Ada".to_owned());
    assert_eq!(notices, [None, None, None, told]);
}

#[tokio::test]
async fn a_press_without_a_handler_is_answered_too() {
    let channel = MemoryChannel::new();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply("menu").await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let ada = channel.user("ada");
    ada.says("hi");
    let menu = channel.wait_for_sent(1).await[0].at.clone();
    ada.presses(&menu, "nobody");
    while channel.answered().is_empty() {
        tokio::task::yield_now().await;
    }
    running.stop().await;
}

/// Decides about shared chats itself.
#[derive(Debug)]
struct Listener;

#[async_trait]
impl Policy for Listener {
    async fn judge(&self, _: &Event) -> Verdict {
        Verdict::Allow("test")
    }

    fn judges_groups(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn where_the_policy_judges_shared_chats_nobody_else_does() {
    let channel = MemoryChannel::new();
    let running = Bot::new(Listener)
        .groups(GroupMode::Never)
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply("heard").await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").in_group("team").says("talk");
    channel.wait_for_sent(1).await;
    assert_eq!(running.status()[0].counters.ignored, 0);
    running.stop().await;
}
