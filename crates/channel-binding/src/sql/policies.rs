//! What the policies remember, in the same database.

use std::time::SystemTime;

use async_trait::async_trait;
use channel_core::{AccountRef, Platform, Result};
use channel_policy::{Asked, Invite, PairingRequest, PolicyStore, Tries};

use super::{SqlBindings, TRIES, again, collided, failed};

#[async_trait]
impl PolicyStore for SqlBindings {
    async fn begin(&self, tries: Tries, key: &str, now: SystemTime) -> Result<bool> {
        self.forget_tries(now).await;
        again!("begin a try", self.begin_once(tries, key, now))
    }
    async fn succeeded(&self, tries: Tries, key: &str) -> Result<()> {
        again!("settle a try", self.succeeded_once(tries, key))
    }
    async fn withdraw(&self, tries: Tries, key: &str) -> Result<()> {
        again!("withdraw a try", self.withdraw_once(tries, key))
    }
    async fn settle(&self, digest: &str, now: SystemTime) -> Result<bool> {
        again!("settle a command", self.settle_once(digest, now))
    }
    async fn unsettle(&self, digest: &str) -> Result<()> {
        again!("unsettle a command", self.unsettle_once(digest))
    }
    async fn is_paired(&self, account: &AccountRef) -> Result<bool> {
        let found = self.is_paired_once(account).await;
        found.map_err(|error| failed("read pairing", &error))
    }
    async fn ask(&self, request: &PairingRequest) -> Result<Asked> {
        again!("ask for pairing", self.ask_once(request))
    }
    async fn requests(&self, now: SystemTime) -> Result<Vec<PairingRequest>> {
        let found = self.requests_once(now).await;
        found.map_err(|error| failed("read requests", &error))
    }
    async fn approve(&self, id: &str, now: SystemTime) -> Result<Option<AccountRef>> {
        again!("approve", self.approve_once(id, now))
    }
    async fn reject(&self, id: &str) -> Result<Option<AccountRef>> {
        again!("reject", self.reject_once(id))
    }
    async fn add_alias(&self, account: &AccountRef, alias: &AccountRef) -> Result<bool> {
        again!("add alias", self.add_alias_once(account, alias))
    }
    async fn revoke(&self, account: &AccountRef) -> Result<bool> {
        again!("revoke pairing", self.revoke_pairing_once(account))
    }
    async fn issue(&self, invite: &Invite) -> Result<bool> {
        again!("issue an invite", self.issue_once(invite))
    }
    async fn invites(&self, platform: &Platform, now: SystemTime) -> Result<Vec<Invite>> {
        let found = self.invites_once(platform, now).await;
        found.map_err(|error| failed("read invites", &error))
    }
    async fn use_invite(&self, id: &str, account: &AccountRef, now: SystemTime) -> Result<bool> {
        again!("use an invite", self.use_invite_once(id, account, now))
    }
}
