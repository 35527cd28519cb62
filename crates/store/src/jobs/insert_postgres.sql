-- One array per column, one element per record: one statement and one plan for a batch of any size.
INSERT INTO jobs (
    queue, id, name, data, opts, status, result, error, stack,
    attempts_made, attempts_started, stalled, created_on, processed_on, finished_on, worker
)
SELECT * FROM UNNEST(
    $1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TEXT[],
    $10::BIGINT[], $11::BIGINT[], $12::BIGINT[], $13::BIGINT[], $14::BIGINT[], $15::BIGINT[], $16::TEXT[]
)
ON CONFLICT (id, queue, finished_on) DO NOTHING
