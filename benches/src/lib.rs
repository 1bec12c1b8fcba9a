//! The hot paths, and for each the least that any Rust program would have to do.
//!
//! A path and its floor are measured in the same run, and what counts is their ratio.

pub mod bot;
pub mod canned;
pub mod dingtalk;
pub mod discord;
pub mod feishu;
pub mod hooks;
pub mod line;
pub mod slack;
pub mod standard;
pub mod telegram;
pub mod text;
pub mod wecom;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use channel_core::{Channel as _, ChannelId, SenderId};

    /// A bench that measures a refusal would look fast.
    #[test]
    fn paths_and_floors_do_their_work() {
        for body in [telegram::private_batch(), telegram::group_batch()] {
            let floor = telegram::floor::decode(&body).unwrap();
            assert_eq!(telegram::floor::count(&floor), telegram::BATCH);
            let mut unknown = 0;
            let handle = |event: channel_core::Event| {
                unknown += usize::from(event.name() == "unknown");
            };
            let received = telegram::receive(telegram::stream(body), handle);
            assert_eq!((received, unknown), (telegram::BATCH, 0));
        }
    }

    #[test]
    fn every_message_is_answered() {
        let body = telegram::private_batch();
        let messages = telegram::messages(body.clone());
        let canned = canned::Canned::new(Vec::new(), Bytes::from_static(telegram::SENT));
        let channel = telegram::channel(&canned).unwrap();
        assert_eq!(telegram::reply(&channel, &messages), telegram::BATCH);
        assert_eq!(telegram::reply_floor(&messages), telegram::BATCH);
        assert_eq!(bot::echo(bot::world(&body, 3)), 300);
        assert_eq!(bot::echo_floor(&body), telegram::BATCH);
    }

    #[test]
    fn texts_and_frames_are_read() {
        let source = text::markdown();
        let words = text::lay_out(&source);
        assert!(words.text().contains("linker") && !words.spans().is_empty());
        assert!(text::lay_out_floor(&source).contains("linker"));
        assert!(text::split(&text::english()) > 20 && text::split(&text::mixed()) > 10);
        let (channel, client) = (ChannelId::new("standard"), SenderId::new("web-1"));
        for frame in [standard::MESSAGE, standard::WITH_FILE] {
            assert!(standard::floor(frame).is_some());
            let frame = Bytes::from_static(frame);
            assert!(standard::decode(&frame, &channel, &client).is_some());
        }
    }

    #[test]
    fn frames_of_a_stream_are_read() {
        for frame in [dingtalk::DIRECT, dingtalk::GROUP] {
            assert_eq!(dingtalk::floor(frame).unwrap().msgtype, "text");
            let event = dingtalk::decode(frame).unwrap();
            assert!(event.message().unwrap().text.starts_with("could you"));
        }
    }

    #[test]
    fn frames_of_feishu_are_read() {
        let frames = feishu::frames();
        assert_eq!(feishu::decode(&frames), frames.len());
        assert_eq!(feishu::floor::decode(&frames), frames.len());
        let event = feishu::event(&frames[0]).unwrap();
        let message = event.message().unwrap();
        assert_eq!(message.addressed, channel_core::Addressed::Mention);
        assert!(message.text.starts_with("could you"));
    }

    #[test]
    fn dispatches_of_discord_are_read_or_passed_over() {
        let (_discord, mut stream) = discord::stream(discord::Kind::Message);
        let mut messages = 0;
        let read = discord::receive(&mut stream, |event| {
            let message = event.message().expect("it is one");
            messages += usize::from(message.text.starts_with("Could someone"));
        });
        assert_eq!((read, messages), (discord::BATCH, discord::BATCH));
        let mut socket = discord::floor::socket(discord::Kind::Message);
        assert_eq!(discord::floor::decode(&mut socket), discord::BATCH);

        let (channel, mut stream) = discord::stream(discord::Kind::Presence);
        assert_eq!(discord::receive(&mut stream, drop), 0);
        assert_eq!(channel.ignored_events(), discord::BATCH as u64);
        let mut socket = discord::floor::socket(discord::Kind::Presence);
        assert_eq!(discord::floor::skip(&mut socket), discord::BATCH);
    }

    #[test]
    fn webhooks_are_verified_and_read() {
        let keyed = hooks::keyed();
        let requests = slack::requests();
        let read = hooks::receive(slack::channel().unwrap().as_webhook().unwrap(), &requests);
        assert_eq!((read, slack::floor::receive(&keyed, &requests)), (20, 20));
        let requests = line::requests();
        let read = hooks::receive(line::channel().unwrap().as_webhook().unwrap(), &requests);
        assert_eq!((read, line::floor::receive(&keyed, &requests)), (20, 20));
        let requests = wecom::requests();
        let read = hooks::receive(wecom::channel().unwrap().as_webhook().unwrap(), &requests);
        let floor = wecom::floor::receive(&wecom::floor::key(), &requests);
        assert_eq!((read, floor), (20, 20));
        let requests = feishu::requests();
        let read = hooks::receive(feishu::channel().unwrap().as_webhook().unwrap(), &requests);
        let floor = feishu::floor::receive(&feishu::floor::key(), &requests);
        assert_eq!((read, floor), (20, 20));
    }

    /// A floor that checks less than it has to would be too low.
    #[test]
    fn a_body_that_nobody_signed_is_refused_by_paths_and_floors() {
        let spoil = |requests: Vec<http::Request<Bytes>>, from: &str, to: &str| {
            let spoilt = |request: http::Request<Bytes>| {
                request.map(|body| {
                    let text = String::from_utf8(body.into()).unwrap();
                    assert!(text.contains(from));
                    Bytes::from(text.replacen(from, to, 1))
                })
            };
            requests.into_iter().map(spoilt).collect::<Vec<_>>()
        };
        let keyed = hooks::keyed();
        let requests = spoil(slack::requests(), "nightly", "daily");
        let read = hooks::receive(slack::channel().unwrap().as_webhook().unwrap(), &requests);
        assert_eq!((read, slack::floor::receive(&keyed, &requests)), (0, 0));
        let requests = spoil(line::requests(), "Monday", "Sunday");
        let read = hooks::receive(line::channel().unwrap().as_webhook().unwrap(), &requests);
        assert_eq!((read, line::floor::receive(&keyed, &requests)), (0, 0));
        let requests = spoil(
            wecom::requests(),
            "<Encrypt><![CDATA[",
            "<Encrypt><![CDATA[AAAA",
        );
        let read = hooks::receive(wecom::channel().unwrap().as_webhook().unwrap(), &requests);
        let floor = wecom::floor::receive(&wecom::floor::key(), &requests);
        assert_eq!((read, floor), (0, 0));
        let requests = spoil(feishu::requests(), r#"{"encrypt":""#, r#" {"encrypt":""#);
        let read = hooks::receive(feishu::channel().unwrap().as_webhook().unwrap(), &requests);
        let floor = feishu::floor::receive(&feishu::floor::key(), &requests);
        assert_eq!((read, floor), (0, 0));
    }
}
