//! Nothing that is shown or logged holds a token or a secret.

use channel_core::{
    Channel as _, Events as _, Frame, OutboundMessage, Target, Upload, Webhook as _,
};
use channel_dingtalk::{
    DingTalk, DingTalkBuilder, DingTalkConfig, DingTalkMessage, GroupRobot, Mode,
};
use channel_testkit::{Reply, assert_absent, canary, capture_tracing, fake_transport};
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use serde_json::json;

use crate::fake::{direct, signed_at};

#[test]
fn no_token_and_no_secret_is_ever_shown() {
    let secrets: Vec<_> = (0..9).map(|_| canary()).collect();
    let [
        client,
        signing,
        robot,
        robot_sign,
        token,
        old,
        ticket,
        session,
        words,
    ] = secrets.as_slice()
    else {
        panic!("nine of them");
    };
    let fake = fake_transport();
    let mut config = DingTalkConfig::default();
    config.client_id = "ding0001".to_owned();
    config.client_secret = client.as_str().into();
    config.robot_secret = Some(signing.as_str().into());
    let alerts = GroupRobot::new(robot.as_str()).signed(robot_sign.as_str());
    config.group_robots.insert("alerts".to_owned(), alerts);
    let mut shown = format!("{config:?}");
    let builder = DingTalkBuilder::from(config.clone()).transport(fake.transport());
    shown += &format!("{builder:?}");
    let linked = builder.build().unwrap();
    let hooked = DingTalkBuilder::from(config)
        .mode(Mode::Webhook)
        .transport(fake.transport());
    let hooked = hooked.build().unwrap();
    shown += &format!("{linked:?} {:?}", linked.info());
    let grant = json!({"accessToken": token, "expireIn": 7200});
    let old_grant = json!({"errcode": 0, "access_token": old, "expires_in": 7200});
    let opened = json!({"endpoint": "wss://wss.example/connect", "ticket": ticket});
    let ((), logs) = fake.clock.block_on(capture_tracing(async {
        fake.http.post("/v1.0/oauth2", move |_| Reply::ok(&grant));
        fake.http.get("/gettoken", move |_| Reply::ok(&old_grant));
        fake.http.post("/v1.0/gateway", move |_| Reply::ok(&opened));
        let now = channel_core::Clock::now(&fake.clock);
        let millis = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let mut asked = direct("msg1", words);
        let url = format!("https://oapi.dingtalk.com/robot/sendBySession?session={session}");
        asked["sessionWebhook"] = json!(url);
        asked["sessionWebhookExpiredTime"] = json!(u64::try_from(millis).unwrap() + 5_400_000);
        let request = signed_at(asked.to_string().into(), &millis.to_string(), signing);
        let accepted = hooked.receive(&request, now).unwrap();
        let message = accepted.events[0].message().unwrap().clone();
        shown += &format!("{:?}", message.return_address);
        let elsewhere = OutboundMessage::new(Target::chat("cid1"), words.as_str())
            .attach(Upload::file("a", words.clone()));
        let alert = OutboundMessage::new(Target::chat("robot:alerts"), words.as_str());
        // Servers that echo what they were asked.
        for body in [
            format!(r#"{{"code":"x","message":"{token} {words}"}}"#),
            format!(r#"{{"errcode":42,"errmsg":"{session} {robot} {words}"}}"#),
            format!("<html>{token} {client} {words}</html>"),
            format!(r#"{{"errcode":0,"processQueryKey":5,"x":"{token}"}}"#),
        ] {
            for status in [
                StatusCode::OK,
                StatusCode::BAD_REQUEST,
                StatusCode::BAD_GATEWAY,
            ] {
                for _ in 0..12 {
                    fake.http
                        .once("/v1.0/robot", Reply::bytes(status, body.clone()));
                    fake.http.once("/robot", Reply::bytes(status, body.clone()));
                    fake.http.once("/media", Reply::bytes(status, body.clone()));
                }
                for message in [&message.reply(words.as_str()), &elsewhere, &alert] {
                    match hooked.send(message).await {
                        Ok(receipt) => shown += &format!("{receipt:?}"),
                        Err(error) => shown += &format!("{error} {error:?}"),
                    }
                }
            }
        }
        fake.sockets.refuse(channel_core::ErrorKind::Forbidden);
        let mut stream = linked.events();
        shown += &format!("{:?}", stream.next().await.unwrap());
        let server = async {
            let peer = fake.sockets.accept().await;
            peer.send(Frame::Pong(bytes::Bytes::new()));
            peer
        };
        let (ready, peer) = futures_util::future::join(stream.next(), server).await;
        shown += &format!("{:?}", ready.unwrap());
        peer.send_text(words.clone());
        peer.cut();
        shown += &format!("{:?}", stream.next().await.unwrap());
        let request = Request::post("/dingtalk/webhook")
            .header("sign", words)
            .header("timestamp", words)
            .body(words.clone().into())
            .unwrap();
        let rejection = hooked.receive(&request, std::time::UNIX_EPOCH).unwrap_err();
        shown += &format!("{rejection} {rejection:?} {:?}", rejection.response());
    }));
    for secret in &secrets {
        assert_absent(secret, &shown);
        assert_absent(secret, &logs);
    }
}

#[test]
fn everything_can_be_shared_between_threads() {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<DingTalk>();
    is_shared::<DingTalkMessage>();
    is_shared::<DingTalkBuilder>();
}
