-- Parameters are named with $: with ? and gaps between the numbers, sqlx binds the wrong ones.
-- $1 words, $2 new events, $3 events, $4 finished events, $5 new deliveries, $6 deliveries,
-- $7 deliveries whose phase or owner changes, $8 cursors, $9 tallies.

INSERT INTO events (seq, owner, recorded_at, touched_at, channel, id, lane, phase, state,
    attempts, not_before)
SELECT value->>0, value->>1, value->>2, value->>2,
    CAST(substr($1, value->>3, value->>4) AS TEXT),
    CAST(substr($1, value->>5, value->>6) AS TEXT),
    CAST(substr($1, value->>7, value->>8) AS TEXT), 1, 'received', 0, 0
FROM json_each($2);

INSERT INTO payloads (seq, event)
SELECT value->>0, CAST(substr($1, value->>9, value->>10) AS TEXT) FROM json_each($2);

-- Leaves the phase alone, and so all indexes.
UPDATE events SET attempts = j.value->>1, not_before = j.value->>2, touched_at = j.value->>3,
    state = CAST(substr($1, j.value->>4, j.value->>5) AS TEXT),
    reason = CAST(substr($1, j.value->>6, j.value->>7) AS TEXT)
FROM json_each($3) j WHERE events.seq = j.value->>0;

UPDATE events SET attempts = j.value->>1, not_before = j.value->>2, touched_at = j.value->>3,
    state = CAST(substr($1, j.value->>4, j.value->>5) AS TEXT),
    reason = CAST(substr($1, j.value->>6, j.value->>7) AS TEXT),
    phase = j.value->>8
FROM json_each($4) j WHERE events.seq = j.value->>0;

INSERT INTO deliveries (id, owner, planned_at, touched_at, answers, phase, channel, key, parts)
SELECT value->>0, value->>1, value->>2, value->>2, nullif(value->>3, 0), value->>4,
    CAST(substr($1, value->>5, value->>6) AS TEXT),
    CAST(substr($1, value->>7, value->>8) AS TEXT),
    CAST(substr($1, value->>9, value->>10) AS TEXT)
FROM json_each($5);

INSERT INTO messages (delivery, message)
SELECT value->>0, CAST(substr($1, value->>11, value->>12) AS TEXT) FROM json_each($5);

-- Leaves the phase alone, and so all indexes.
UPDATE deliveries SET touched_at = j.value->>1,
    parts = CAST(substr($1, j.value->>2, j.value->>3) AS TEXT)
FROM json_each($6) j WHERE deliveries.id = j.value->>0;

UPDATE deliveries SET touched_at = j.value->>1,
    parts = CAST(substr($1, j.value->>2, j.value->>3) AS TEXT),
    phase = j.value->>4, owner = j.value->>5
FROM json_each($7) j WHERE deliveries.id = j.value->>0;

INSERT INTO cursors (channel, cursor)
SELECT CAST(substr($1, value->>0, value->>1) AS TEXT),
    CAST(substr($1, value->>2, value->>3) AS TEXT)
FROM json_each($8) WHERE true
ON CONFLICT (channel) DO UPDATE SET cursor = excluded.cursor;

INSERT INTO tallies (name, count)
SELECT CAST(substr($1, value->>1, value->>2) AS TEXT), value->>0
FROM json_each($9) WHERE true
ON CONFLICT (name) DO UPDATE SET count = count + excluded.count;
