//! A policy around a policy: writes down each verdict.

use channel_core::{Event, Policy, Verdict, async_trait};

use super::recorder::Recorder;

#[derive(Debug)]
pub(crate) struct Minuted<P> {
    pub(crate) inner: P,
    pub(crate) recorder: Recorder,
}

#[async_trait]
impl<P: Policy + 'static> Policy for Minuted<P> {
    async fn judge(&self, event: &Event) -> Verdict {
        let verdict = self.inner.judge(event).await;
        self.recorder.judged(event, &verdict);
        verdict
    }
}
