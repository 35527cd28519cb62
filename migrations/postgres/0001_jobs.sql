-- The record of every finished job. A job that is run again after it finished has a record per end.
-- JSON is TEXT, as it arrived: JSONB would change key order, numbers and duplicates, and refuses \u0000.
-- Keys sort by bytes (COLLATE "C"), so that pages do not depend on the locale of the server.
CREATE TABLE jobs (
    queue            TEXT   COLLATE "C" NOT NULL,
    id               TEXT   COLLATE "C" NOT NULL,
    name             TEXT   COLLATE "C" NOT NULL,
    data             TEXT   NOT NULL,
    opts             TEXT   NOT NULL,
    status           TEXT   COLLATE "C" NOT NULL,
    result           TEXT,
    error            TEXT,
    stack            TEXT,
    attempts_made    BIGINT NOT NULL,
    attempts_started BIGINT NOT NULL,
    stalled          BIGINT NOT NULL,
    created_on       BIGINT NOT NULL,
    processed_on     BIGINT,
    finished_on      BIGINT NOT NULL,
    worker           TEXT,
    -- The id first: looking up a job in any queue uses this index too.
    PRIMARY KEY (id, queue, finished_on)
);

-- Pages, newest first: of everything, of a queue, of a status, of a name.
CREATE INDEX jobs_by_time ON jobs (finished_on, queue, id);
-- With the status at its end this one also counts records per queue and status without reading the table.
CREATE INDEX jobs_by_queue ON jobs (queue, finished_on, id, status);
CREATE INDEX jobs_by_status ON jobs (status, finished_on, queue, id);
CREATE INDEX jobs_by_name ON jobs (name, finished_on, queue, id);
