-- Runs on SQLite and on PostgreSQL. Times are milliseconds since 1970, JSON is text.

CREATE TABLE channel_connect_codes (
    code_hash VARCHAR(64) NOT NULL PRIMARY KEY,
    owner_user_id VARCHAR(64) NOT NULL,
    platform VARCHAR(32) NOT NULL,
    expires_at BIGINT NOT NULL,
    consumed_at BIGINT,
    -- A digest of the message that carried the code.
    consumed_by VARCHAR(64)
);
CREATE INDEX channel_connect_codes_owner ON channel_connect_codes (owner_user_id, platform);
CREATE INDEX channel_connect_codes_expiry ON channel_connect_codes (expires_at);

CREATE TABLE channel_bindings (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    owner_user_id VARCHAR(64) NOT NULL,
    platform VARCHAR(32) NOT NULL,
    status VARCHAR(32) NOT NULL,
    external_account_id VARCHAR(128) NOT NULL,
    external_account_name VARCHAR(256),
    workspace_id VARCHAR(128) NOT NULL DEFAULT '',
    workspace_name VARCHAR(256),
    bot_user_id VARCHAR(128),
    proof VARCHAR(32) NOT NULL,
    scopes TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_seen_at BIGINT,
    last_error_at BIGINT,
    UNIQUE (owner_user_id, platform, external_account_id, workspace_id)
);
-- An account belongs to one owner at a time.
CREATE UNIQUE INDEX channel_bindings_active
    ON channel_bindings (platform, external_account_id, workspace_id)
    WHERE status <> 'revoked';

CREATE TABLE channel_binding_credentials (
    binding_id VARCHAR(64) NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE channel_conversations (
    binding_id VARCHAR(64) NOT NULL,
    external_conversation_id VARCHAR(128) NOT NULL,
    external_topic_id VARCHAR(128) NOT NULL DEFAULT '',
    thread_id VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (binding_id, external_conversation_id, external_topic_id)
);

CREATE TABLE channel_binding_trail (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    owner_user_id VARCHAR(64) NOT NULL,
    at BIGINT NOT NULL,
    action VARCHAR(32) NOT NULL,
    platform VARCHAR(32) NOT NULL,
    external_account_id VARCHAR(128),
    binding_id VARCHAR(64)
);
CREATE INDEX channel_binding_trail_owner ON channel_binding_trail (owner_user_id, at);
CREATE INDEX channel_binding_trail_at ON channel_binding_trail (at);

-- Rows to be locked: whoever updates one has its number to itself until the end of the
-- transaction, on both databases.
CREATE TABLE channel_binding_locks (
    slot INTEGER NOT NULL PRIMARY KEY,
    taken BIGINT NOT NULL
);
INSERT INTO channel_binding_locks (slot, taken)
WITH RECURSIVE slots (slot) AS (
    SELECT 0
    UNION ALL
    SELECT slot + 1 FROM slots WHERE slot < 127
)
SELECT slot, 0 FROM slots;
