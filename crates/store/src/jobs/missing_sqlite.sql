-- $2 is a JSON array of [id, finished_on]; json_each calls the position key.
SELECT wanted.key
FROM json_each($2) AS wanted
WHERE NOT EXISTS (
    SELECT 1 FROM jobs
    WHERE jobs.id = wanted.value ->> 0 AND jobs.queue = $1 AND jobs.finished_on = wanted.value ->> 1
)
