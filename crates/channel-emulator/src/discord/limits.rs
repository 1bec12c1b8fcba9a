//! Rate limits: per bucket, per bot, and the budget of invalid requests.
//!
//! <https://docs.discord.com/developers/topics/rate-limits>

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use super::config::DiscordConfig;
use super::model::Id;

/// Buckets kept; beyond that those that have run out are forgotten.
const MAX_BUCKETS: usize = 10_000;
/// The window of the budget of invalid requests.
const INVALID_WINDOW_MS: i64 = 10 * 60 * 1000;

/// Calls allowed in a time; real ones change and are told in the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) u32, pub(crate) i64);

/// What the headers tell about a bucket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quota {
    limit: u32,
    remaining: u32,
    reset_ms: i64,
    after_ms: i64,
    bucket: String,
}

/// A call that comes too early.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wait {
    pub(crate) after_ms: i64,
    pub(crate) global: bool,
    pub(crate) shared: bool,
    pub(crate) quota: Option<Quota>,
}

/// All counters.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) on: bool,
    global_rate: u32,
    most_invalid: u32,
    /// By owner, route and major parameter: when the window ends, and calls in it.
    buckets: BTreeMap<(String, &'static str, String), (i64, u32)>,
    global: BTreeMap<String, (i64, u32)>,
    invalid: (i64, u32),
}

impl Limits {
    pub(crate) const fn new(config: &DiscordConfig) -> Self {
        Self {
            on: config.rate_limits,
            global_rate: config.global_rate,
            most_invalid: config.invalid_requests,
            buckets: BTreeMap::new(),
            global: BTreeMap::new(),
            invalid: (0, 0),
        }
    }

    /// Counts a call; `app` is absent on routes that know no bot, which have no global limit.
    pub(crate) fn take(
        &mut self,
        app: Option<Id>,
        route: &'static str,
        major: &str,
        rate: Rate,
        now: i64,
    ) -> Result<Option<Quota>, Wait> {
        if !self.on {
            return Ok(None);
        }
        let owner = app.map_or_else(String::new, |app| app.to_string());
        if app.is_some() {
            let counter = self.global.entry(owner.clone()).or_insert((now, 0));
            if now - counter.0 >= 1000 || now < counter.0 {
                *counter = (now, 0);
            }
            counter.1 += 1;
            if counter.1 > self.global_rate {
                let after_ms = counter.0 + 1000 - now;
                return Err(Wait {
                    after_ms,
                    global: true,
                    shared: false,
                    quota: None,
                });
            }
        }
        if self.buckets.len() >= MAX_BUCKETS {
            self.buckets.retain(|_, (reset, _)| *reset > now);
            if self.buckets.len() >= MAX_BUCKETS {
                self.buckets.pop_first();
            }
        }
        let key = (owner, route, major.to_owned());
        let Rate(limit, per) = rate;
        let bucket = self.buckets.entry(key).or_insert((now + per, 0));
        if bucket.0 <= now {
            *bucket = (now + per, 0);
        }
        bucket.1 = bucket.1.saturating_add(1);
        let quota = Quota {
            limit,
            remaining: limit.saturating_sub(bucket.1),
            reset_ms: bucket.0,
            after_ms: bucket.0 - now,
            bucket: hash(route),
        };
        if bucket.1 > limit {
            return Err(Wait {
                after_ms: quota.after_ms,
                global: false,
                shared: false,
                quota: Some(quota),
            });
        }
        Ok(Some(quota))
    }

    /// Milliseconds until the address is let in again, when it has made too many invalid requests.
    pub(crate) const fn banned(&self, now: i64) -> Option<i64> {
        let ends = self.invalid.0 + INVALID_WINDOW_MS;
        if self.invalid.1 >= self.most_invalid && now < ends {
            Some(ends - now)
        } else {
            None
        }
    }

    /// Counts an answer of 401, 403 or 429.
    pub(crate) const fn count_invalid(&mut self, now: i64) {
        if now - self.invalid.0 >= INVALID_WINDOW_MS {
            self.invalid = (now, 0);
        }
        self.invalid.1 = self.invalid.1.saturating_add(1);
    }

    /// Invalid requests in the present window.
    pub(crate) const fn invalid(&self) -> u32 {
        self.invalid.1
    }
}

fn hash(route: &str) -> String {
    let mut hasher = DefaultHasher::new();
    route.hash(&mut hasher);
    let half = hasher.finish();
    route.len().hash(&mut hasher);
    format!("{half:016x}{:016x}", hasher.finish())
}

/// Seconds with three digits behind the point.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.max(0) / 1000, ms.max(0) % 1000)
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

impl Quota {
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        set(headers, "x-ratelimit-limit", &self.limit.to_string());
        set(
            headers,
            "x-ratelimit-remaining",
            &self.remaining.to_string(),
        );
        set(headers, "x-ratelimit-reset", &seconds(self.reset_ms));
        set(headers, "x-ratelimit-reset-after", &seconds(self.after_ms));
        set(headers, "x-ratelimit-bucket", &self.bucket);
    }
}

impl Wait {
    pub(crate) fn body(&self) -> Value {
        json!({
            "message": "You are being rate limited.", "retry_after": super::answer::seconds(self.after_ms),
            "global": self.global,
        })
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Some(quota) = &self.quota {
            quota.write(headers);
        }
        if self.global {
            set(headers, "x-ratelimit-global", "true");
        }
        let scope = match (self.global, self.shared) {
            (true, _) => "global",
            (false, true) => "shared",
            (false, false) => "user",
        };
        set(headers, "x-ratelimit-scope", scope);
        // Whole seconds, rounded up.
        let whole = (self.after_ms.max(0) + 999) / 1000;
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole));
    }
}
