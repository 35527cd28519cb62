INSERT INTO jobs (
    queue, id, name, data, opts, status, result, error, stack,
    attempts_made, attempts_started, stalled, created_on, processed_on, finished_on, worker
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (id, queue, finished_on) DO NOTHING
