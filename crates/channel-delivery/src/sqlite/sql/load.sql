-- Parameters are named with $: with ? and gaps between the numbers, sqlx binds the wrong ones.
-- $1 words, $2 numbers of events, $3 channel, id, lane and fence of new events, $4 numbers of
-- deliveries, $5 channel and key of new deliveries.

SELECT 'event', e.seq, e.owner, e.state, e.attempts, e.not_before, e.reason, e.touched_at
FROM json_each($2) j CROSS JOIN events e ON e.seq = j.value->>0;

-- Only what stands in the way of a new event: its name is known, or somebody else has
-- something unfinished of its conversation.
WITH v AS MATERIALIZED (
    SELECT key AS place, value->>6 AS fence,
        CAST(substr($1, value->>0, value->>1) AS TEXT) AS channel,
        CAST(substr($1, value->>2, value->>3) AS TEXT) AS id,
        CAST(substr($1, value->>4, value->>5) AS TEXT) AS lane
    FROM json_each($3)
), w AS MATERIALIZED (
    SELECT v.place, v.fence,
        (SELECT seq FROM events e WHERE e.channel = v.channel AND e.id = v.id) AS known,
        (SELECT owner FROM events e WHERE e.phase = 1 AND e.lane = v.lane
         ORDER BY owner LIMIT 1) AS least,
        (SELECT owner FROM events e WHERE e.phase = 1 AND e.lane = v.lane
         ORDER BY owner DESC LIMIT 1) AS greatest
    FROM v
)
SELECT 'name', place, known, least, greatest,
    (SELECT state FROM events e WHERE e.seq = known)
FROM w WHERE known IS NOT NULL OR least <> fence OR greatest <> fence;

SELECT 'delivery', d.id, d.owner, d.phase, d.parts, d.touched_at
FROM json_each($4) j CROSS JOIN deliveries d ON d.id = j.value->>0;

SELECT 'key', d.id, d.owner, d.phase, d.parts, d.touched_at, d.answers, d.planned_at,
    (SELECT message FROM messages m WHERE m.delivery = d.id), j.key
FROM json_each($5) j CROSS JOIN deliveries d
ON d.channel = CAST(substr($1, j.value->>0, j.value->>1) AS TEXT)
AND d.key = CAST(substr($1, j.value->>2, j.value->>3) AS TEXT);

-- Whose deliveries move, for new ones only: two steps in an index.
SELECT 'movers', (SELECT min(owner) FROM deliveries WHERE phase = 1),
    (SELECT max(owner) FROM deliveries WHERE phase = 1)
WHERE $5 <> '[]';
