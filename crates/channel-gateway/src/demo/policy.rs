//! A policy around a policy: writes down each verdict.

use channel_core::{Bound, ChannelInfo, Event, Hold, Policy, Result, Verdict, async_trait};

use super::recorder::Recorder;

#[derive(Debug)]
pub(crate) struct Minuted<P> {
    pub(crate) inner: P,
    pub(crate) recorder: Recorder,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: Policy + 'static> Policy for Minuted<P> {
    async fn judge(&self, event: &Event) -> Verdict {
        let verdict = self.inner.judge(event).await;
        self.recorder.judged(event, &verdict);
        verdict
    }

    fn check(&self, channels: &[&ChannelInfo]) -> Result<()> {
        self.inner.check(channels)
    }

    async fn still_holds(&self, bound: &Bound) -> bool {
        self.inner.still_holds(bound).await
    }

    async fn hold(&self, bound: &Bound) -> Result<Option<Hold>> {
        self.inner.hold(bound).await
    }

    fn is_secret(&self, event: &Event) -> bool {
        self.inner.is_secret(event)
    }

    fn foretell(&self, event: &Event) -> Verdict {
        self.inner.foretell(event)
    }

    fn judges_groups(&self) -> bool {
        self.inner.judges_groups()
    }
}
