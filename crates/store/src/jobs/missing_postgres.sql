SELECT wanted.position - 1
FROM UNNEST($2::TEXT[], $3::BIGINT[]) WITH ORDINALITY AS wanted (id, finished_on, position)
WHERE NOT EXISTS (
    SELECT 1 FROM jobs
    WHERE jobs.id = wanted.id AND jobs.queue = $1 AND jobs.finished_on = wanted.finished_on
)
