-- Adds only: the record of background runs. Locks: none of note, the table is new. Back: drop it.

CREATE TABLE job_runs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job        text NOT NULL,
    instance   text NOT NULL,
    epoch      bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at   timestamptz,
    outcome    text CHECK (outcome IN ('done', 'failed', 'abandoned')),
    details    text
);
CREATE INDEX job_runs_newest ON job_runs (job, id);
CREATE INDEX job_runs_unfinished ON job_runs (job) WHERE outcome IS NULL;
