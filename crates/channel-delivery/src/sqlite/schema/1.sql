-- Times are milliseconds since 1970; owner 0 is nobody; phase is 0 for what is done, 1 for what
-- still moves, 2 for what waits for somebody to look, 3 for what was dropped by hand.

-- Living workers. A fence that is not here has ended.
CREATE TABLE workers (
    fence       INTEGER PRIMARY KEY AUTOINCREMENT,
    worker      TEXT NOT NULL,
    lease_until INTEGER NOT NULL
);

CREATE TABLE cursors (
    channel TEXT PRIMARY KEY,
    cursor  TEXT NOT NULL
) WITHOUT ROWID;

-- Narrow, because each event is written three times; what happened is in payloads.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel     TEXT NOT NULL,
    id          TEXT NOT NULL,
    lane        TEXT,
    phase       INTEGER NOT NULL,
    owner       INTEGER NOT NULL,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    not_before  INTEGER NOT NULL,
    reason      TEXT,
    recorded_at INTEGER NOT NULL,
    touched_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (channel, id);
CREATE INDEX events_lane ON events (lane, owner) WHERE phase = 1;
CREATE INDEX events_owner ON events (owner) WHERE phase = 1;
CREATE INDEX events_dead ON events (seq) WHERE phase = 2;

CREATE TABLE payloads (
    seq   INTEGER PRIMARY KEY,
    event TEXT NOT NULL
);

CREATE TABLE deliveries (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel    TEXT NOT NULL,
    key        TEXT NOT NULL,
    answers    INTEGER,
    phase      INTEGER NOT NULL,
    owner      INTEGER NOT NULL,
    parts      TEXT NOT NULL,
    planned_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX deliveries_key ON deliveries (channel, key);
CREATE INDEX deliveries_owner ON deliveries (owner) WHERE phase = 1;
CREATE INDEX deliveries_dead ON deliveries (id) WHERE phase = 2;
CREATE INDEX deliveries_answers ON deliveries (answers) WHERE answers IS NOT NULL;

CREATE TABLE messages (
    delivery INTEGER PRIMARY KEY,
    message  TEXT NOT NULL
);

CREATE TABLE targets (
    channel TEXT NOT NULL,
    chat    TEXT NOT NULL,
    until   INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    PRIMARY KEY (channel, chat)
) WITHOUT ROWID;

-- How many events and parts are in each state, kept with each write.
CREATE TABLE tallies (
    name  TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) WITHOUT ROWID;
