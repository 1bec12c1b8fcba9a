//! Two workspaces in one process, installed by OAuth: they never see each other's tokens or events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{
    Channel as _, ErrorKind, OutboundMessage, Result, SenderKind, Target, async_trait,
};
use channel_emulator::slack::{NewApp, Slack as Emulator, SlackConfig, SlackServer};
use channel_slack::{Grant, GrantStore, Installed, OauthApp, RotatingTokens, Slack, exchange};

use crate::emulator::Inbox;

const APP_TOKEN: &str = "xapp-synthetic-many";
const BACK: &str = "http://127.0.0.1:9/callback";

#[derive(Debug, Default)]
struct Grants(Mutex<HashMap<String, Grant>>);

#[async_trait]
impl GrantStore for Grants {
    async fn load(&self, workspace: &str) -> Result<Option<Grant>> {
        Ok(self.0.lock().unwrap().get(workspace).cloned())
    }
    async fn save(&self, workspace: &str, grant: &Grant) -> Result<()> {
        let mut grants = self.0.lock().unwrap();
        grants.insert(workspace.to_owned(), grant.clone());
        Ok(())
    }
}

struct Side {
    team: String,
    user: String,
    direct: String,
}

struct World {
    server: SlackServer,
    app: String,
    grants: Arc<Grants>,
    channel: Slack,
    tokens: Arc<RotatingTokens>,
    sides: Vec<Side>,
}

/// Lets the first person of a workspace agree, and exchanges the code.
async fn install(server: &SlackServer, team: &str) -> Installed {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let base = server.base_url();
    let host = base.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let path = format!(
        "/oauth/v2/authorize?client_id=1.2&scope=chat:write,im:history&state=s&redirect_uri={BACK}&team={team}"
    );
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (_, from) = answer.split_once("code=").unwrap();
    let code = from.split('&').next().unwrap();
    let app = OauthApp::new("1.2", "client-secret");
    let api = server.api_base();
    exchange(&app, code, BACK, &channel_http::transport(), &api)
        .await
        .unwrap()
}

impl World {
    async fn new() -> Self {
        let server = Emulator::start(SlackConfig::default()).await.unwrap();
        let app = NewApp::new("kit", "secret")
            .socket_mode(APP_TOKEN)
            .oauth("1.2", "client-secret")
            .rotating();
        let app = server.add_app(&app).unwrap();
        let grants = Arc::new(Grants::default());
        let mut sides = Vec::new();
        for name in ["One", "Two"] {
            let team = server.workspace(name);
            let user = server.user(&team, "Ada").unwrap();
            let installed = install(&server, &team).await;
            assert_eq!(installed.workspace(), Some(team.as_str()));
            let grant = installed.grant(SystemTime::now()).unwrap();
            grants.save(&team, &grant).await.unwrap();
            let direct = server.direct(&app, &user).unwrap();
            sides.push(Side { team, user, direct });
        }
        let oauth = OauthApp::new("1.2", "client-secret");
        let api = server.api_base();
        let tokens = RotatingTokens::new(oauth, grants.clone(), channel_http::transport(), &api);
        let tokens = Arc::new(tokens.unwrap());
        let channel = Slack::builder()
            .token_source(tokens.clone())
            .app_token(APP_TOKEN)
            .api_base(&api)
            .build()
            .unwrap();
        Self {
            server,
            app,
            grants,
            channel,
            tokens,
            sides,
        }
    }
}

#[tokio::test]
async fn each_workspace_is_answered_with_its_own_token() {
    let world = World::new().await;
    let mut inbox = Inbox::open(&world.channel).await;
    for round in 0..5 {
        for side in &world.sides {
            let text = format!("{} {round}", side.team);
            world
                .server
                .say(&side.direct, &side.user, text.as_str())
                .unwrap();
        }
    }
    let mut answered = 0;
    while answered < 10 {
        let event = inbox.event().await;
        let Some(message) = event
            .message()
            .filter(|message| message.sender.kind == SenderKind::Person)
        else {
            continue;
        };
        let (team, _) = message.chat.id.as_str().split_once('/').unwrap();
        assert!(message.text.starts_with(team), "{message:?}");
        let answer = message.reply(format!("echo: {}", message.text));
        world.channel.send(&answer).await.unwrap();
        answered += 1;
    }
    for side in &world.sides {
        let echoes = world.server.history(&side.direct).into_iter();
        let echoes: Vec<String> = echoes
            .filter(|m| m.bot_id.is_some())
            .map(|m| m.text)
            .collect();
        assert_eq!(echoes.len(), 5, "{echoes:?}");
        assert!(
            echoes.iter().all(|text| text.contains(&side.team)),
            "{echoes:?}"
        );
    }
    let calls = world.server.calls();
    let posts: Vec<_> = calls
        .iter()
        .filter(|call| call.method == "chat.postMessage")
        .collect();
    assert!(posts.iter().all(|call| call.status == Some(200)));
    for post in posts {
        let side = world
            .sides
            .iter()
            .find(|side| side.team == post.team)
            .unwrap();
        assert_eq!(post.params["channel"], side.direct);
    }
}

#[tokio::test]
async fn a_chat_of_one_workspace_is_not_reached_with_the_token_of_another() {
    let world = World::new().await;
    let (one, two) = (&world.sides[0], &world.sides[1]);
    let crossed = Target::chat(format!("{}/{}", one.team, two.direct));
    let error = world
        .channel
        .send(&OutboundMessage::new(crossed, "x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let nowhere = Target::chat(format!("T0NONE/{}", one.direct));
    let error = world
        .channel
        .send(&OutboundMessage::new(nowhere, "x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(world.server.history(&two.direct).is_empty());
    // One of them uninstalls the app: the other one works on.
    world.server.uninstall(&world.app, &one.team);
    let to = |side: &Side| Target::chat(format!("{}/{}", side.team, side.direct));
    let error = world
        .channel
        .send(&OutboundMessage::new(to(one), "x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    world
        .channel
        .send(&OutboundMessage::new(to(two), "still here"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_expired_token_is_renewed_for_its_workspace_alone() {
    let world = World::new().await;
    let before: HashMap<String, Grant> = world.grants.0.lock().unwrap().clone();
    world.server.advance(Duration::from_secs(12 * 3600));
    let side = &world.sides[0];
    let to = Target::chat(format!("{}/{}", side.team, side.direct));
    // The platform's time has moved and ours has not: it refuses the token, which is then replaced.
    world
        .channel
        .send(&OutboundMessage::new(to, "renewed"))
        .await
        .unwrap();
    let after = world.grants.0.lock().unwrap().clone();
    let access =
        |grants: &HashMap<String, Grant>, team: &str| grants[team].access.expose().to_owned();
    assert_ne!(access(&before, &side.team), access(&after, &side.team));
    let other = &world.sides[1].team;
    assert_eq!(access(&before, other), access(&after, other));
    world.tokens.forget(&side.team);
}
