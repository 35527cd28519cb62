-- Rows as they are after migration 2, for both databases.
INSERT INTO sweep_marks (queue, terminal_set, finished_on) VALUES ('default', 'completed', 1700000000020);
