-- Who is alive, and the last numbers that were given.
SELECT 'worker', fence, lease_until FROM workers
UNION ALL SELECT name, seq, 0 FROM sqlite_sequence;
