-- How far each finished set of a queue was compared with the records: every job that finished up to this time has one.
CREATE TABLE sweep_marks (
    queue        TEXT    NOT NULL,
    terminal_set TEXT    NOT NULL,
    finished_on  INTEGER NOT NULL,
    PRIMARY KEY (queue, terminal_set)
);
