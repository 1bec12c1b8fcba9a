-- What shows an answer that is not finished: a receipt as JSON, without messages until the
-- first is shown.
CREATE TABLE previews (
    channel  TEXT NOT NULL,
    key      TEXT NOT NULL,
    shown    TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (channel, key)
) WITHOUT ROWID;
CREATE INDEX previews_noted ON previews (noted_at);
