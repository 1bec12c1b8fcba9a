//! Bugs that are planted to see them found.
//!
//! Each sits in a wrapper at a seam, never in the code under test: a store that forgets, an
//! adapter that lies, a host of webhooks that answers too soon.

use std::fmt;
use std::str::FromStr;

use super::invariant::Invariant;

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal breaks [$($invariant:ident)+];)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Bug {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name by which it is asked for.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The promises that it breaks; finding any of them is finding the bug.
            #[must_use]
            pub const fn breaks(self) -> &'static [Invariant] {
                match self {
                    $(Self::$name => &[$(Invariant::$invariant),+],)+
                }
            }
        }
    };
}

bugs! {
    /// The store remembers an id before it has written the event, and then cannot write it.
    DedupBeforeRecord = "dedup-before-record"
        breaks [RecordedBeforeAcknowledged LegalTransitions];
    /// Of events that are recorded together the store writes the first only.
    LosesSecondRow = "loses-second-row"
        breaks [RecordedBeforeAcknowledged LegalTransitions EndsInAFinalState];
    /// The store moves the cursor even where the events could not be written.
    CursorMovedEarly = "cursor-moved-early"
        breaks [EndsInAFinalState];
    /// The store records what it has again, as something new.
    ForgetsDedup = "forgets-dedup"
        breaks [NoSecondEffect];
    /// The store lets anybody write what belongs to another worker.
    IgnoresFences = "ignores-fences"
        breaks [LeasesAndFences];
    /// The store says that a lease is renewed, and it is not.
    RenewsNothing = "renews-nothing"
        breaks [LeasesAndFences EndsInAFinalState];
    /// The store hands out what a living worker is at work on.
    ClaimsFromTheLiving = "claims-from-the-living"
        breaks [LeasesAndFences];
    /// The store gives two workers the same token.
    GivesAFenceTwice = "gives-a-fence-twice"
        breaks [LeasesAndFences];
    /// The store hands out an event of a lane twice.
    ClaimsTwice = "claims-twice"
        breaks [InOrder];
    /// The store hands out the events of a lane newest first.
    ClaimsBackwards = "claims-backwards"
        breaks [InOrder];
    /// After a crash a part that was being sent looks as if it never was.
    SendingBecomesPrepared = "sending-becomes-prepared"
        breaks [LegalTransitions DoublesAreMarked NoSecondEffect];
    /// The plan of a delivery is not written.
    DropsThePlan = "drops-the-plan"
        breaks [NoSecondEffect NoLies EndsInAFinalState];
    /// A key that was planned is planned again, as something new.
    PlansAKeyTwice = "plans-a-key-twice"
        breaks [NoSecondEffect SentOnlyAsPlanned];
    /// Every attempt is the first one.
    ForgetsAttempts = "forgets-attempts"
        breaks [LegalTransitions];
    /// The end of an attempt is not written.
    FinishIsNotWritten = "finish-is-not-written"
        breaks [NoLies LegalTransitions EndsInAFinalState];
    /// What was set aside counts as handled.
    DeadBecomesHandled = "dead-becomes-handled"
        breaks [NoLies LegalTransitions];
    /// What is to be tried again counts as handled.
    RetryBecomesHandled = "retry-becomes-handled"
        breaks [InOrder NoLies LegalTransitions];
    /// Of several parts in one write the first only is written.
    UpdatesTheFirstPartOnly = "updates-the-first-part-only"
        breaks [LegalTransitions NoLies];
    /// That a part has arrived is not written.
    DeliveredIsNotWritten = "delivered-is-not-written"
        breaks [LegalTransitions NoLies EndsInAFinalState];
    /// That a part is suppressed is not written.
    SuppressedIsNotWritten = "suppressed-is-not-written"
        breaks [LegalTransitions NoLies EndsInAFinalState];
    /// After a crash a wait that the platform asked for is forgotten.
    ForgetsWaits = "forgets-waits"
        breaks [LegalTransitions RetryAfterObeyed];
    /// A chat that refused us is forgotten.
    ForgetsDeadTargets = "forgets-dead-targets"
        breaks [DeadTargetsRemembered];
    /// The adapter acknowledges an event when it has read it.
    AcknowledgesOnReceipt = "acknowledges-on-receipt"
        breaks [RecordedBeforeAcknowledged];
    /// The adapter acknowledges what was given back.
    GivesBackAsAcknowledged = "gives-back-as-acknowledged"
        breaks [RecordedBeforeAcknowledged];
    /// The host of the webhook answers before the event is on record.
    AnswersWebhooksFirst = "answers-webhooks-first"
        breaks [RecordedBeforeAcknowledged];
    /// The host of the webhook says that it has what the bot has no room for.
    AcknowledgedThoughFull = "acknowledged-though-full"
        breaks [RecordedBeforeAcknowledged];
    /// The adapter sends twice, to be on the safe side.
    SendsTwice = "sends-twice"
        breaks [RetryAfterObeyed NoSecondEffect DoublesAreMarked];
    /// The adapter promises keys and sends none.
    DropsKeys = "drops-keys"
        breaks [NoSecondEffect];
    /// The adapter takes a lost answer for a failure, and so the message is sent again.
    LostAnswerIsAFailure = "lost-answer-is-a-failure"
        breaks [NoSecondEffect DoublesAreMarked];
    /// The adapter finds nothing that was sent.
    FindsNothing = "finds-nothing"
        breaks [NoSecondEffect];
    /// The adapter finds what was never sent.
    FindsEverything = "finds-everything"
        breaks [NoLies];
    /// The adapter forgets how long the platform asked to wait.
    DropsRetryAfter = "drops-retry-after"
        breaks [RetryAfterObeyed];
    /// The adapter says that a message has arrived, and it has not.
    SaysSentTooSoon = "says-sent-too-soon"
        breaks [NoLies];
    /// The adapter sends the next part along, before its turn.
    SendsAhead = "sends-ahead"
        breaks [SentOnlyAsPlanned];
    /// The adapter tries a failed request again by itself, much later.
    SendsAgainLater = "sends-again-later"
        breaks [BoundedMemory SentOnlyAsPlanned NoSecondEffect DoublesAreMarked RetryAfterObeyed];
    /// The adapter queues previews, and the final message behind them.
    QueuesPreviews = "queues-previews"
        breaks [FinalsBeforePreviews MarkedWhenItLeaves];
    /// The adapter does not say how fast it may send.
    DeclaresNoPace = "declares-no-pace"
        breaks [PacedAsDeclared];
    /// The adapter shows previews that nobody has asked for.
    ShowsMorePreviews = "shows-more-previews"
        breaks [PacedAsDeclared];
    /// The adapter forgets that a rate limit is the whole bot's.
    LimitsOneChat = "limits-one-chat"
        breaks [RetryAfterObeyed];
    /// The adapter spaces its requests out by itself, while they are marked as being sent.
    WaitsWhileSending = "waits-while-sending"
        breaks [MarkedWhenItLeaves PacedAsDeclared];
    /// The store does not say again what it has handed out.
    ForgetsWhatItGave = "forgets-what-it-gave"
        breaks [EndsInAFinalState InOrder];
    /// The store forgets which messages show an answer.
    ForgetsPreviews = "forgets-previews"
        breaks [NoPreviewLeftBehind];
    /// The adapter shows an answer anew instead of going on with it.
    ResumesAnew = "resumes-anew"
        breaks [NoPreviewLeftBehind DoublesAreMarked];
    /// The adapter keeps something of each message that it has sent.
    KeepsEverySend = "keeps-every-send"
        breaks [BoundedMemory];
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no bug of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownBug;

impl fmt::Display for UnknownBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no planted bug of that name")
    }
}

impl std::error::Error for UnknownBug {}

impl FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let all = Self::ALL.iter().copied();
        all.into_iter()
            .find(|bug| bug.name() == name)
            .ok_or(UnknownBug)
    }
}
