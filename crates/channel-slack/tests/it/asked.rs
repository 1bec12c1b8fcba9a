//! What Slack waits for: judged dialogs and menus with options of the application's own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    Accepted, Action, Answer, Channel as _, Clock as _, Error, ErrorKind, Event, EventKind,
    Events as _, Received, Result, Webhook as _, async_trait, timeout,
};
use channel_slack::{
    MenuOption, MenuOptions, OptionQuery, OptionSource, Slack, SubmissionAnswer, SubmissionJudge,
};
use channel_testkit::VirtualClock;
use serde_json::{Value, json};

use crate::fake::{ADA, APP_TOKEN, Fake, GROUP, SECRET, direct, envelope};
use crate::socket::{Stream, next};

/// What the application does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Accept,
    Clear,
    Update,
    Push,
    Refuse,
    RefuseAnother,
    Fail,
    Panic,
    PanicAtOnce,
    Sleep(Duration),
}

const MOODS: [Mood; 8] = [
    Mood::Accept,
    Mood::Clear,
    Mood::Update,
    Mood::Push,
    Mood::Fail,
    Mood::Panic,
    Mood::PanicAtOnce,
    Mood::Sleep(Duration::from_secs(60)),
];

/// An application that is asked, and remembers by what.
#[derive(Debug)]
struct Application {
    clock: VirtualClock,
    mood: Mutex<Mood>,
    submitted: Mutex<Vec<Action>>,
    queries: Mutex<Vec<OptionQuery>>,
}

impl Application {
    fn new(fake: &Fake) -> Arc<Self> {
        Arc::new(Self {
            clock: fake.transport.clock.clone(),
            mood: Mutex::new(Mood::Accept),
            submitted: Mutex::default(),
            queries: Mutex::default(),
        })
    }

    fn feels(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }
}

fn next_view() -> Value {
    json!({"type": "modal", "title": {"type": "plain_text", "text": "Next"}, "blocks": [{"type": "divider"}]})
}

fn failure() -> Error {
    Error::new(ErrorKind::Unavailable, "the database is away")
}

#[async_trait]
impl SubmissionJudge for Application {
    async fn judge(&self, submission: &Action) -> Result<SubmissionAnswer> {
        self.submitted.lock().unwrap().push(submission.clone());
        match self.mood() {
            Mood::Accept | Mood::PanicAtOnce => Ok(SubmissionAnswer::close()),
            Mood::Clear => Ok(SubmissionAnswer::clear()),
            Mood::Update => SubmissionAnswer::update(next_view()),
            Mood::Push => SubmissionAnswer::push(next_view()),
            Mood::Refuse => SubmissionAnswer::refuse([("b1", "too short")]),
            Mood::RefuseAnother => SubmissionAnswer::refuse([("elsewhere", "too short")]),
            Mood::Fail => Err(failure()),
            Mood::Panic => panic!("the judge panics"),
            Mood::Sleep(long) => {
                self.clock.sleep(long).await;
                SubmissionAnswer::refuse([("b1", "too late")])
            }
        }
    }
}

#[async_trait]
impl OptionSource for Application {
    async fn options(&self, asked: &OptionQuery) -> Result<MenuOptions> {
        self.queries.lock().unwrap().push(asked.clone());
        match self.mood() {
            Mood::Fail => Err(failure()),
            Mood::Panic => panic!("the source panics"),
            Mood::Sleep(long) => {
                self.clock.sleep(long).await;
                MenuOptions::new([MenuOption::new("Late", "late")])
            }
            Mood::Push => MenuOptions::grouped([("Cities", [MenuOption::new("Bern", "bern")])]),
            _ => MenuOptions::new([MenuOption::new("Bern", "bern")]),
        }
    }
}

/// Panics before there is a future.
#[derive(Debug)]
struct Hasty(Arc<Application>);

impl SubmissionJudge for Hasty {
    fn judge<'a, 'b, 'c>(
        &'a self,
        submission: &'b Action,
    ) -> futures_core::future::BoxFuture<'c, Result<SubmissionAnswer>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        assert_ne!(self.0.mood(), Mood::PanicAtOnce, "the judge panics at once");
        self.0.judge(submission)
    }
}

fn submission(trigger: &str) -> Value {
    let input = |block: &str| json!({"type": "input", "block_id": block});
    json!({"type": "view_submission", "team": {"id": "T1"}, "user": {"id": ADA, "team_id": "T1"},
        "api_app_id": "A1", "trigger_id": trigger, "view": {"id": "V1", "hash": "1.h",
        "callback_id": "deploy", "blocks": [{"type": "section", "block_id": "s"}, input("b0"), input("b1")],
        "state": {"values": {"b1": {"name": {"type": "plain_text_input", "value": "x"}}}}}})
}

fn suggestion(typed: &str) -> Value {
    json!({"type": "block_suggestion", "team": {"id": "T1"}, "user": {"id": ADA, "name": "ada", "team_id": "T1"},
        "api_app_id": "A1", "action_id": "city", "block_id": "b1", "value": typed,
        "view": {"id": "V1", "callback_id": "deploy"}, "container": {"type": "view", "view_id": "V1"}})
}

/// A channel that receives by webhook and asks this application.
fn hooked(fake: &Fake, application: &Arc<Application>) -> Slack {
    let judge = Arc::new(Hasty(Arc::clone(application)));
    let builder = fake.builder().signing_secret(SECRET);
    let builder = builder.submission_judge(judge);
    builder.option_source(application.clone()).build().unwrap()
}

/// What a host makes of a request: the events that it takes, and the body of the answer.
async fn told(fake: &Fake, slack: &Slack, payload: Value) -> (Vec<Event>, Value) {
    let request = fake.interaction(payload);
    let Accepted { events, answer, .. } = slack.receive(&request, fake.now()).unwrap();
    let (events, response) = match answer {
        Answer::Now(response) => (events, response),
        Answer::Decided(decided) => {
            assert!(events.is_empty(), "nothing has happened yet");
            assert!(decided.deadline < Duration::from_secs(3), "slack waits 3 s");
            let clock = fake.transport.clock.clone();
            let decision = timeout(&clock, decided.deadline, decided.decision).await;
            let decision = decision.unwrap_or(decided.otherwise);
            (decision.events, decision.response)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(response.status(), 200);
    if response.body().is_empty() {
        return (events, Value::Null);
    }
    assert_eq!(response.headers()["content-type"], "application/json");
    (events, serde_json::from_slice(response.body()).unwrap())
}

/// What Slack is told when an application is in a mood, and nothing is refused.
fn accepted(mood: Mood) -> Value {
    match mood {
        Mood::Clear => json!({"response_action": "clear"}),
        Mood::Update => json!({"response_action": "update", "view": next_view()}),
        Mood::Push => json!({"response_action": "push", "view": next_view()}),
        _ => Value::Null,
    }
}

#[test]
fn a_judged_dialog_is_told_what_it_does_and_is_an_event_unless_it_is_refused() {
    let fake = Fake::new();
    let application = Application::new(&fake);
    let slack = hooked(&fake, &application);
    fake.run(async {
        for (number, mood) in MOODS.into_iter().enumerate() {
            application.feels(mood);
            let began = fake.elapsed();
            let (events, answer) = told(&fake, &slack, submission(&format!("9.{number}"))).await;
            assert_eq!(answer, accepted(mood), "{mood:?}");
            let [
                Event {
                    kind: EventKind::Action(action),
                    ..
                },
            ] = events.as_slice()
            else {
                panic!("{mood:?}: {events:?}");
            };
            assert_eq!(action.fields, [("name".to_owned(), "x".to_owned())]);
            let took = fake.elapsed().saturating_sub(began);
            assert!(took <= Duration::from_secs(2), "{mood:?} took {took:?}");
        }
        application.feels(Mood::Refuse);
        let (events, answer) = told(&fake, &slack, submission("9.8.8")).await;
        assert!(events.is_empty(), "{events:?}");
        let errors = json!({"response_action": "errors", "errors": {"b1": "too short"}});
        assert_eq!(answer, errors);
        // What is said of an input that is not there is shown at the first one.
        application.feels(Mood::RefuseAnother);
        let (events, answer) = told(&fake, &slack, submission("9.8.9")).await;
        assert!(events.is_empty(), "{events:?}");
        assert_eq!(answer["errors"], json!({"b0": "too short"}));
    });
    let seen = application.submitted.lock().unwrap();
    assert_eq!(
        seen.len(),
        MOODS.len() + 1,
        "one panicked before it saw anything"
    );
    assert_eq!(seen[0].value, "deploy");
    assert_eq!(seen[0].sender.account.sender.as_str(), ADA);
}

#[test]
fn what_is_not_a_dialog_of_the_workspace_is_not_judged() {
    let fake = Fake::new();
    let application = Application::new(&fake);
    application.feels(Mood::Refuse);
    let slack = hooked(&fake, &application);
    fake.run(async {
        slack.probe().await.unwrap();
        let mut foreign = submission("9.1");
        foreign["team"]["id"] = json!("T2");
        let mut closed = submission("9.2");
        closed["type"] = json!("view_closed");
        for payload in [foreign, closed] {
            let (events, answer) = told(&fake, &slack, payload).await;
            assert_eq!((events[0].name(), answer), ("unknown", Value::Null));
        }
        let mut foreign = suggestion("b");
        foreign["team"]["id"] = json!("T2");
        let (events, answer) = told(&fake, &slack, foreign).await;
        assert_eq!((events.len(), answer), (0, json!({"options": []})));
        // Without a judge everything is accepted, and without a source nothing is offered.
        let (events, answer) = told(&fake, &fake.channel(), submission("9.3")).await;
        assert_eq!((events[0].name(), answer), ("action", Value::Null));
        let (events, answer) = told(&fake, &fake.channel(), suggestion("b")).await;
        assert_eq!((events.len(), answer), (0, json!({"options": []})));
    });
    assert!(application.submitted.lock().unwrap().is_empty());
    assert!(application.queries.lock().unwrap().is_empty());
}

fn offered(mood: Mood) -> Value {
    let option = json!({"text": {"type": "plain_text", "text": "Bern"}, "value": "bern"});
    match mood {
        Mood::Fail | Mood::Panic | Mood::Sleep(_) => json!({"options": []}),
        Mood::Push => json!({"option_groups": [
            {"label": {"type": "plain_text", "text": "Cities"}, "options": [option]}]}),
        _ => json!({"options": [option]}),
    }
}

#[test]
fn a_menu_shows_what_its_source_offers_and_being_asked_is_no_event() {
    let fake = Fake::new();
    let application = Application::new(&fake);
    let slack = hooked(&fake, &application);
    fake.run(async {
        for mood in MOODS {
            application.feels(mood);
            let (events, answer) = told(&fake, &slack, suggestion("be")).await;
            assert!(events.is_empty(), "{mood:?}: {events:?}");
            assert_eq!(answer, offered(mood), "{mood:?}");
        }
        application.feels(Mood::Accept);
        let mut in_message = suggestion(&"\u{e9}".repeat(2000));
        in_message["channel"] = json!({"id": GROUP, "name": "general"});
        in_message.as_object_mut().unwrap().remove("view");
        told(&fake, &slack, in_message).await;
        let mut nameless = suggestion("b");
        nameless["action_id"] = json!("x".repeat(256));
        let before = application.queries.lock().unwrap().len();
        let (_, answer) = told(&fake, &slack, nameless).await;
        assert_eq!(answer, json!({"options": []}));
        assert_eq!(application.queries.lock().unwrap().len(), before);
    });
    let queries = application.queries.lock().unwrap();
    let asked = &queries[0];
    assert_eq!(
        (&*asked.action_id, &*asked.block_id, &*asked.typed),
        ("city", "b1", "be")
    );
    assert_eq!(asked.callback_id.as_deref(), Some("deploy"));
    assert_eq!(asked.sender.account.sender.as_str(), ADA);
    let last = queries.last().unwrap();
    assert_eq!((last.chat.id.as_str(), last.typed.len()), (GROUP, 3000));
}

/// What an envelope was acknowledged with; `None` if it was not.
fn acked(fake: &Fake, id: &str) -> Option<Value> {
    let state = fake.state.lock().unwrap();
    let at = state.acked.iter().position(|known| known == id)?;
    Some(state.payloads[at].clone())
}

/// The next event, which is to come soon.
async fn soon(fake: &Fake, stream: &mut Stream) -> Received {
    let clock = &fake.transport.clock;
    let next = timeout(clock, Duration::from_secs(10), next(stream));
    next.await.unwrap()
}

/// Polls the stream, in which nothing is to come, for a while.
async fn nothing_for(fake: &Fake, stream: &mut Stream, long: Duration) {
    let clock = &fake.transport.clock;
    let next = timeout(clock, long, next(stream)).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test]
async fn an_envelope_carries_the_judgement_after_its_event_is_safe() {
    let fake = Fake::new();
    let application = Application::new(&fake);
    let clock = fake.transport.clock.clone();
    let test = async {
        fake.serve();
        let builder = fake.builder().app_token(APP_TOKEN);
        let builder = builder.submission_judge(Arc::new(Hasty(application.clone())));
        let slack = builder.option_source(application.clone()).build().unwrap();
        let mut stream = slack.events();
        let moment = Duration::from_millis(1);
        for (number, mood) in MOODS.into_iter().enumerate() {
            application.feels(mood);
            let id = fake.push("interactive", submission(&format!("9.{number}")));
            let began = fake.elapsed();
            let received = soon(&fake, &mut stream).await;
            let took = fake.elapsed().saturating_sub(began);
            assert!(took <= Duration::from_secs(3), "{mood:?} took {took:?}");
            assert_eq!(received.event().unwrap().name(), "action", "{mood:?}");
            clock.sleep(moment).await;
            assert_eq!(acked(&fake, &id), None, "it is not safe yet");
            received.ack().await.unwrap();
            clock.sleep(moment).await;
            assert_eq!(acked(&fake, &id), Some(accepted(mood)), "{mood:?}");
        }
        application.feels(Mood::Refuse);
        let id = fake.push("interactive", submission("9.9.9"));
        nothing_for(&fake, &mut stream, Duration::from_secs(1)).await;
        let errors = json!({"response_action": "errors", "errors": {"b1": "too short"}});
        assert_eq!(acked(&fake, &id), Some(errors));
        // What could not be recorded is not accepted.
        application.feels(Mood::Clear);
        let id = fake.push("interactive", submission("9.9.10"));
        soon(&fake, &mut stream).await.nak().await.unwrap();
        clock.sleep(moment).await;
        assert_eq!(acked(&fake, &id), None);
        for mood in [Mood::Accept, Mood::Push, Mood::Fail, Mood::Panic] {
            application.feels(mood);
            let id = fake.push("interactive", suggestion("be"));
            nothing_for(&fake, &mut stream, Duration::from_secs(1)).await;
            assert_eq!(acked(&fake, &id), Some(offered(mood)), "{mood:?}");
        }
    };
    fake.transport.clock.clone().drive(test).await;
}

#[tokio::test]
async fn a_slow_answer_holds_up_nothing_else_and_a_crowd_is_not_asked_for_ever() {
    let fake = Fake::new();
    let application = Application::new(&fake);
    let clock = fake.transport.clock.clone();
    let test = async {
        fake.serve();
        let builder = fake.builder().app_token(APP_TOKEN);
        let slack = builder
            .submission_judge(application.clone())
            .build()
            .unwrap();
        let mut stream = slack.events();
        application.feels(Mood::Sleep(Duration::from_millis(1500)));
        let asked = fake.push("interactive", submission("9.1"));
        fake.push("events_api", envelope(1, direct("1700000000.000100", "hi")));
        let began = fake.elapsed();
        let received = soon(&fake, &mut stream).await;
        assert_eq!(received.message().unwrap().text, "hi");
        assert!(fake.elapsed().saturating_sub(began) < Duration::from_secs(1));
        received.ack().await.unwrap();
        nothing_for(&fake, &mut stream, Duration::from_secs(2)).await;
        let late = acked(&fake, &asked).unwrap();
        assert_eq!(late["errors"], json!({"b1": "too late"}));
        // Whoever comes when too many wait is accepted unasked.
        application.feels(Mood::Sleep(Duration::from_secs(60)));
        application.submitted.lock().unwrap().clear();
        for number in 0..300 {
            fake.push("interactive", submission(&format!("8.{number}")));
        }
        for _ in 0..300 {
            soon(&fake, &mut stream).await.ack().await.unwrap();
        }
        assert_eq!(application.submitted.lock().unwrap().len(), 256);
        // An envelope that takes no answer asks nobody.
        application.feels(Mood::Refuse);
        let mut frame =
            json!({"envelope_id": "mute", "type": "interactive", "payload": submission("7.1")});
        frame["accepts_response_payload"] = json!(false);
        let peer = Arc::clone(fake.state.lock().unwrap().peers.last().unwrap());
        peer.send_json(&frame);
        soon(&fake, &mut stream).await.ack().await.unwrap();
        clock.sleep(Duration::from_millis(1)).await;
        assert_eq!(acked(&fake, "mute"), Some(Value::Null));
    };
    fake.transport.clock.clone().drive(test).await;
}
