-- The record of every finished job. A job that is run again after it finished has a record per end.
-- JSON is TEXT, as it arrived.
-- Keys sort by bytes, which is the BINARY collation that SQLite uses by default.
CREATE TABLE jobs (
    queue            TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    data             TEXT    NOT NULL,
    opts             TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    result           TEXT,
    error            TEXT,
    stack            TEXT,
    attempts_made    INTEGER NOT NULL,
    attempts_started INTEGER NOT NULL,
    stalled          INTEGER NOT NULL,
    created_on       INTEGER NOT NULL,
    processed_on     INTEGER,
    finished_on      INTEGER NOT NULL,
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
