-- What the policies remember: who is paired, who waits, who is locked, what is settled.

CREATE TABLE channel_pairing_requests (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    platform VARCHAR(32) NOT NULL,
    workspace_id VARCHAR(128) NOT NULL DEFAULT '',
    external_account_id VARCHAR(128) NOT NULL,
    external_account_name VARCHAR(256),
    -- Salt and SHA-256 of the code, in hex.
    code_hash VARCHAR(128) NOT NULL,
    requested_at BIGINT NOT NULL,
    UNIQUE (platform, workspace_id, external_account_id)
);

CREATE TABLE channel_pairing_asked (
    platform VARCHAR(32) NOT NULL,
    workspace_id VARCHAR(128) NOT NULL DEFAULT '',
    external_account_id VARCHAR(128) NOT NULL,
    asked_at BIGINT NOT NULL,
    PRIMARY KEY (platform, workspace_id, external_account_id)
);
CREATE INDEX channel_pairing_asked_at ON channel_pairing_asked (asked_at);

CREATE TABLE channel_pairings (
    platform VARCHAR(32) NOT NULL,
    workspace_id VARCHAR(128) NOT NULL DEFAULT '',
    external_account_id VARCHAR(128) NOT NULL,
    -- Aliases of one account share it.
    pairing_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (platform, workspace_id, external_account_id)
);
CREATE INDEX channel_pairings_id ON channel_pairings (pairing_id);

CREATE TABLE channel_pairing_invites (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    platform VARCHAR(32) NOT NULL,
    code_hash VARCHAR(128) NOT NULL,
    issued_at BIGINT NOT NULL,
    issued_by VARCHAR(128) NOT NULL
);

CREATE TABLE channel_policy_tries (
    kind VARCHAR(32) NOT NULL,
    -- A digest of who tries.
    key_hash VARCHAR(64) NOT NULL,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (kind, key_hash)
);
CREATE INDEX channel_policy_tries_last ON channel_policy_tries (last_at);

CREATE TABLE channel_settled_commands (
    -- A digest of the message that carried the command.
    digest VARCHAR(64) NOT NULL PRIMARY KEY,
    settled_at BIGINT NOT NULL
);
CREATE INDEX channel_settled_commands_at ON channel_settled_commands (settled_at);
