-- Rows as they are after migration 1, for both databases.
INSERT INTO jobs (
    queue, id, name, data, opts, status, result, error, stack,
    attempts_made, attempts_started, stalled, created_on, processed_on, finished_on, worker
)
VALUES
    ('default', 'sample-1', 'system.echo', '{"b": 1, "a": 2}', '{}', 'completed', '{"b": 1, "a": 2}', NULL, NULL,
     1, 1, 0, 1700000000000, 1700000000010, 1700000000020, 'host:1'),
    ('default', 'sample-2', 'system.fail', 'null', '{"attempts":3}', 'failed', NULL, 'it broke', '["at step 1"]',
     3, 4, 1, 1700000000000, NULL, 1700000000030, NULL);
