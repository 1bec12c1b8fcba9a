//! WeCom callbacks from a file, in a loop.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Channel as _, Error, Result, Secret};
use channel_wechat_crypto::{CallbackQuery, MessageCipher, XmlLimits, parse_xml, read_envelope};
use channel_wecom::WecomApp;
use http::Request;
use serde::Deserialize;

/// How long before anything is measured.
const WARM: Duration = Duration::from_millis(500);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// From the request to the event.
    Adapter,
    /// From the request to the fields of the document.
    Cipher,
}

/// Recorded callbacks and what opens them.
#[derive(Deserialize)]
struct Fixture {
    token: Secret,
    aes_key: Secret,
    corp_id: String,
    messages: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    msg_signature: String,
    timestamp: String,
    nonce: String,
    body: String,
}

impl Recorded {
    /// The request, and when it comes.
    fn request(&self, signature: &str) -> Result<(Request<Bytes>, SystemTime)> {
        let seconds = self.timestamp.parse().map_err(|_| bad("a timestamp"))?;
        let address = format!(
            "/wecom?msg_signature={signature}&timestamp={}&nonce={}",
            self.timestamp, self.nonce
        );
        let request = Request::post(address)
            .header("content-type", "text/xml")
            .body(Bytes::from(self.body.clone()))
            .map_err(|_| bad("a request"))?;
        Ok((request, UNIX_EPOCH + Duration::from_secs(seconds)))
    }
}

fn bad(what: &'static str) -> Error {
    Error::config(format!("the fixture holds {what} that is none"))
}

/// Goes through all callbacks again and again for so many seconds, and prints how many they
/// were and what they cost.
pub(crate) fn run(fixture: &str, seconds: &str, depth: Depth) -> Result<()> {
    let text = std::fs::read(fixture)
        .map_err(|error| Error::config("the fixture cannot be read").with_source(error))?;
    let fixture: Fixture = serde_json::from_slice(&text)
        .map_err(|error| Error::config("the fixture is not one").with_source(error))?;
    let seconds = seconds
        .parse()
        .map_err(|_| Error::config("seconds have to be a number"))?;
    let messages = fixture.messages.iter();
    let requests: Vec<_> = messages
        .map(|message| message.request(&message.msg_signature))
        .collect::<Result<_>>()?;
    let wrong = fixture.messages.first().ok_or_else(|| bad("a list"))?;
    let (wrong, at) = wrong.request(&"0".repeat(40))?;
    let app = WecomApp::builder()
        .corp_id(fixture.corp_id.as_str())
        .corp_secret("bench")
        .agent_id(1_000_002)
        .callback(fixture.token.clone(), fixture.aes_key.clone())
        .build()?;
    let webhook = app.as_webhook().ok_or_else(|| bad("a key"))?;
    let cipher = MessageCipher::new(fixture.token, &fixture.aes_key, &fixture.corp_id)?;
    let open = |request: &Request<Bytes>, now| match depth {
        Depth::Adapter => {
            let accepted = webhook.receive(request, now).ok();
            let event = accepted.and_then(|mut accepted| accepted.events.pop());
            black_box(event).is_some_and(|event| event.message().is_some())
        }
        Depth::Cipher => read(&cipher, request, now).is_some_and(|words| words > 0),
    };
    if open(&wrong, at) {
        return Err(Error::config("a bad signature was accepted"));
    }
    let round = || requests.iter().filter(|(it, now)| open(it, *now)).count();
    if round() != requests.len() {
        return Err(bad("a callback"));
    }
    repeat(WARM, round);
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let count = repeat(Duration::from_secs_f64(seconds), round);
    let (cpu, wall) = (cpu_seconds() - cpu, began.elapsed().as_secs_f64());
    let line = format!(r#"{{"n": {count}, "secs": {wall}, "cpu": {cpu}}}"#);
    writeln!(std::io::stdout(), "{line}")
        .map_err(|error| Error::config("nobody reads the result").with_source(error))
}

/// The length of the text of a callback.
fn read(cipher: &MessageCipher, request: &Request<Bytes>, now: SystemTime) -> Option<usize> {
    let query = CallbackQuery::parse(request.uri().query()?)?;
    let encrypted = read_envelope(request.body()).ok()?;
    let plain = cipher.open(&query, &encrypted, now).ok()?;
    let document = parse_xml(&plain, &XmlLimits::MESSAGE).ok()?;
    black_box(&document).get("Content").map(str::len)
}

fn repeat(wanted: Duration, mut round: impl FnMut() -> usize) -> usize {
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < wanted {
        count += round();
    }
    count
}

/// What this process has used so far, in seconds of the processor; zero where the system
/// does not say.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field| {
        let text = fields.split_whitespace().nth(field)?;
        text.parse::<f64>().ok()
    };
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0
}
