//! What Slack waits for when a dialog is submitted
//! (<https://docs.slack.dev/surfaces/modals/#handling_submissions>).

use std::collections::BTreeMap;
use std::fmt;

use channel_core::{Action, Result, async_trait};
use serde_json::{Value, json};

use crate::error::invalid;
use crate::limits;

/// What these errors are about.
const OPERATION: &str = "answer dialog";

/// Judges what people submit, before Slack is told that it is accepted.
///
/// Set by [`SlackBuilder::submission_judge`](crate::SlackBuilder::submission_judge). Without
/// one every submission is accepted and closes its dialog.
///
/// - What is refused is no event: no handler sees it, and the person goes on with the dialog.
///   With any other answer the submission is an event as always, and on record before Slack
///   hears of it; then its dialog does what the answer says.
/// - Slack waits 3 s. After 2 s, and if the judge fails or panics, the submission is accepted as
///   if there were no judge, so that nothing is lost: the dialog closes and the event arrives.
///   So a handler must not take for granted that its event was judged.
/// - A judgement that takes too long is dropped where it is, and the same submission may be
///   judged twice: when Slack, or a person whose answer was lost, submits it again. A judge
///   looks things up; what is to be done is the handler's.
/// - By Socket Mode the judge goes on while the stream of events is polled, as a bot of
///   `channel-runtime` always does.
/// - It comes before any [`Policy`](channel_core::Policy): the sender is whoever Slack says,
///   and has not been authorized yet.
///
/// ```
/// use channel_core::{Action, Result, async_trait};
/// use channel_slack::{SubmissionAnswer, SubmissionJudge};
///
/// #[derive(Debug)]
/// struct NeedsAName;
///
/// #[async_trait]
/// impl SubmissionJudge for NeedsAName {
///     async fn judge(&self, submission: &Action) -> Result<SubmissionAnswer> {
///         let named = |(field, value): &(String, String)| field == "name" && value.len() > 1;
///         if submission.fields.iter().any(named) {
///             Ok(SubmissionAnswer::close())
///         } else {
///             // The `block_id` of the input, and what is shown below it.
///             SubmissionAnswer::refuse([("name_block", "a name has two letters at least")])
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait SubmissionJudge: fmt::Debug + Send + Sync {
    /// Says what becomes of a submitted dialog: the action's value is the `callback_id` of the
    /// view, its fields are the inputs, and `private_metadata` if there is any.
    ///
    /// # Errors
    ///
    /// Any error accepts the submission, as if there were no judge.
    async fn judge(&self, submission: &Action) -> Result<SubmissionAnswer>;
}

/// What becomes of a submitted dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionAnswer(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Close,
    Clear,
    Update(Value),
    Push(Value),
    Refuse(BTreeMap<String, String>),
}

impl SubmissionAnswer {
    /// Accepted: this dialog closes, and the one below it is seen again.
    #[must_use]
    pub const fn close() -> Self {
        Self(Kind::Close)
    }

    /// Accepted: this dialog closes, and all those below it.
    #[must_use]
    pub const fn clear() -> Self {
        Self(Kind::Clear)
    }

    /// Accepted: this dialog shows another view, which is Slack's own JSON
    /// (<https://docs.slack.dev/reference/views/modal-views/>).
    ///
    /// # Errors
    ///
    /// `Invalid` if the view is over one of Slack's limits.
    pub fn update(view: Value) -> Result<Self> {
        check_view(&view)?;
        Ok(Self(Kind::Update(view)))
    }

    /// Accepted: another view lies over this dialog. Slack takes three of them.
    ///
    /// # Errors
    ///
    /// `Invalid` if the view is over one of Slack's limits.
    pub fn push(view: Value) -> Result<Self> {
        check_view(&view)?;
        Ok(Self(Kind::Push(view)))
    }

    /// Refused: the dialog stays, and says below each of these inputs what is wrong with it.
    /// An input is named by its `block_id`; what is said of one that the dialog does not have
    /// is shown below its first input, because Slack refuses the answer otherwise.
    ///
    /// # Errors
    ///
    /// `Invalid` if nothing is said, or more than 100 things, an id is longer than 255
    /// characters or a text longer than 2000.
    pub fn refuse<B, T>(errors: impl IntoIterator<Item = (B, T)>) -> Result<Self>
    where
        B: Into<String>,
        T: Into<String>,
    {
        let mut all = BTreeMap::new();
        for (block, text) in errors {
            let (block, text) = (block.into(), text.into());
            check("the block_id of an error", &block, limits::BLOCK_ID)?;
            check("the text of an error", &text, limits::FIELD)?;
            all.insert(block, text);
        }
        if !(1..=limits::VIEW_BLOCKS).contains(&all.len()) {
            return Err(invalid(
                "a refusal says what is wrong with one to 100 inputs",
                OPERATION,
            ));
        }
        Ok(Self(Kind::Refuse(all)))
    }

    /// Whether the submission counts.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        !matches!(self.0, Kind::Refuse(_))
    }

    /// What Slack is told; nothing where the dialog just closes.
    pub(crate) fn payload(self, inputs: &[String]) -> Option<Value> {
        Some(match self.0 {
            Kind::Close => return None,
            Kind::Clear => json!({ "response_action": "clear" }),
            Kind::Update(view) => json!({ "response_action": "update", "view": view }),
            Kind::Push(view) => json!({ "response_action": "push", "view": view }),
            Kind::Refuse(errors) => {
                json!({ "response_action": "errors", "errors": shown(errors, inputs) })
            }
        })
    }
}

/// The errors below inputs that the dialog has.
fn shown(errors: BTreeMap<String, String>, inputs: &[String]) -> BTreeMap<String, String> {
    let Some(first) = inputs.first() else {
        return errors;
    };
    let mut shown = BTreeMap::new();
    let mut strays = Vec::new();
    for (block, text) in errors {
        if inputs.contains(&block) {
            shown.insert(block, text);
        } else {
            strays.push(text);
        }
    }
    for stray in strays {
        let text: &mut String = shown.entry(first.clone()).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&stray);
    }
    shown
}

/// Checks what Slack would refuse in silence: a person whose answer is refused sees no more than
/// that something went wrong.
fn check_view(view: &Value) -> Result<()> {
    let wrong = |what: &'static str| Err(invalid(what, OPERATION));
    if view.get("type").and_then(Value::as_str) != Some("modal") {
        return wrong("the view of a dialog has the type modal");
    }
    let text = |name: &str| view.get(name).and_then(|it| it.get("text")?.as_str());
    match text("title") {
        Some(title) => check("the title of a view", title, limits::VIEW_LABEL)?,
        None => return wrong("the view has no title"),
    }
    for name in ["submit", "close"] {
        if let Some(label) = text(name) {
            check("the label of a view", label, limits::VIEW_LABEL)?;
        }
    }
    for (name, most) in [
        ("callback_id", limits::BLOCK_ID),
        ("private_metadata", limits::VIEW_METADATA),
    ] {
        match view.get(name).and_then(Value::as_str) {
            None | Some("") => {}
            Some(text) => check(name, text, most)?,
        }
    }
    let blocks = view.get("blocks").and_then(Value::as_array);
    let blocks = blocks.map(Vec::as_slice).unwrap_or_default();
    if !(1..=limits::VIEW_BLOCKS).contains(&blocks.len()) {
        return wrong("a view has one to 100 blocks");
    }
    let has_input = blocks.iter().any(is_input);
    if has_input && text("submit").is_none() {
        return wrong("a view with inputs needs a submit button");
    }
    check_ids(blocks)?;
    if view.to_string().len() > limits::VIEW_JSON {
        return wrong("the view is larger than 250 kB");
    }
    Ok(())
}

/// Whether a block is one in which something can be filled in.
fn is_input(block: &Value) -> bool {
    block.get("type").and_then(Value::as_str) == Some("input")
}

/// Blocks are told apart by their ids.
fn check_ids(blocks: &[Value]) -> Result<()> {
    let mut ids: Vec<&str> = Vec::new();
    for block in blocks {
        if let Some(id) = block.get("block_id").and_then(Value::as_str) {
            check("a block_id", id, limits::BLOCK_ID)?;
            ids.push(id);
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < count {
        return Err(invalid("two blocks have the same block_id", OPERATION));
    }
    Ok(())
}

/// A text of one character at least and `most` at most.
fn check(what: &str, text: &str, most: usize) -> Result<()> {
    limits::check_text(what, text, most, OPERATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(blocks: &Value) -> Value {
        let text = |text: &str| json!({"type": "plain_text", "text": text});
        json!({"type": "modal", "title": text("Form"), "submit": text("Go"), "blocks": blocks})
    }

    fn input(id: &str) -> Value {
        json!({"type": "input", "block_id": id})
    }

    #[test]
    fn an_error_of_an_input_that_is_not_there_is_shown_below_the_first() {
        let refused =
            SubmissionAnswer::refuse([("b", "one"), ("x", "two"), ("y", "three")]).unwrap();
        assert!(!refused.is_accepted());
        let inputs = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            refused.clone().payload(&inputs).unwrap(),
            json!({"response_action": "errors", "errors": {"b": "one", "a": "two\nthree"}})
        );
        // Without an input there is no better place.
        let errors = json!({"b": "one", "x": "two", "y": "three"});
        assert_eq!(refused.payload(&[]).unwrap()["errors"], errors);
    }

    #[test]
    fn what_slack_would_refuse_is_refused_here() {
        let good = view(&json!([input("a"), input("b")]));
        assert!(SubmissionAnswer::update(good.clone()).is_ok());
        assert!(SubmissionAnswer::push(good.clone()).is_ok());
        let changes: [fn(&mut Value); 10] = [
            |view| view["type"] = json!("home"),
            |view| view["title"] = json!(null),
            |view| view["title"]["text"] = json!("x".repeat(25)),
            |view| view["submit"]["text"] = json!("\u{1f600}".repeat(13)),
            |view| view["submit"] = json!(null),
            |view| view["callback_id"] = json!("x".repeat(256)),
            |view| view["private_metadata"] = json!("x".repeat(3001)),
            |view| view["blocks"] = json!([]),
            |view| view["blocks"] = json!(vec![input("a"); 101]),
            |view| view["blocks"][1]["block_id"] = json!("a"),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(SubmissionAnswer::update(bad.clone()).is_err(), "{index}");
            assert!(SubmissionAnswer::push(bad).is_err(), "{index}");
        }
        let mut long = good;
        long["blocks"][0]["block_id"] = json!("x".repeat(256));
        assert!(SubmissionAnswer::update(long.clone()).is_err());
        long["blocks"][0] = json!({"type": "section", "text": "x".repeat(250 * 1024)});
        assert!(SubmissionAnswer::update(long).is_err(), "too large");
    }

    #[test]
    fn a_refusal_says_something_within_the_limits() {
        let refuse = |block: &str, text: &str| SubmissionAnswer::refuse([(block, text)]);
        assert!(refuse(&"b".repeat(255), &"t".repeat(2000)).is_ok());
        assert!(refuse(&"b".repeat(256), "t").is_err());
        assert!(refuse("b", &"t".repeat(2001)).is_err());
        assert!(refuse("", "t").is_err());
        assert!(refuse("b", "").is_err());
        assert!(SubmissionAnswer::refuse::<&str, &str>([]).is_err());
        let many = (0..101).map(|n| (n.to_string(), "t"));
        assert!(SubmissionAnswer::refuse(many).is_err());
    }

    #[test]
    fn each_acceptance_has_its_payload() {
        let action = |answer: SubmissionAnswer| {
            assert!(answer.is_accepted());
            answer.payload(&[]).map(|it| it["response_action"].clone())
        };
        let next = view(&json!([{"type": "divider"}]));
        assert_eq!(action(SubmissionAnswer::close()), None);
        assert_eq!(action(SubmissionAnswer::clear()), Some(json!("clear")));
        let update = SubmissionAnswer::update(next.clone()).unwrap();
        assert_eq!(action(update), Some(json!("update")));
        let push = SubmissionAnswer::push(next.clone()).unwrap();
        assert_eq!(push.clone().payload(&[]).unwrap()["view"], next);
        assert_eq!(action(push), Some(json!("push")));
    }
}
