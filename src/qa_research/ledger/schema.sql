-- The ledger of runs: an index of every run.json, made again from them by `qa-research runs scan`.
-- user_version counts the versions of this layout; a program refuses one that is newer than its own.

CREATE TABLE runs (
    id                     TEXT PRIMARY KEY,     -- of run.json; stays when a directory is moved
    directory              TEXT NOT NULL UNIQUE, -- from the ledger's own folder on, or absolute outside it
    status                 TEXT NOT NULL,        -- as run.json says; "running" may mean killed hard
    study                  TEXT NOT NULL,
    seed                   INTEGER,
    started                TEXT,                 -- ISO 8601, UTC
    finished               TEXT,
    command                TEXT NOT NULL,        -- JSON: a list of words
    data                   TEXT,                 -- the name of the questions' source
    train_fingerprint      TEXT,
    validation_fingerprint TEXT,
    weights_fingerprint    TEXT,                 -- of all tensors before training
    questions              TEXT NOT NULL,        -- JSON: how many of each split
    versions               TEXT NOT NULL,        -- JSON: package -> version
    git_commit             TEXT,
    git_modified           INTEGER,              -- 1: the code differed from that commit
    steps                  INTEGER,              -- optimizer steps
    best_step              INTEGER,
    train_s                REAL,
    validation_s           REAL,
    error                  TEXT,                 -- why it ended, where it did not finish
    config                 TEXT NOT NULL         -- JSON: resolved
);

-- What the best checkpoint scored: val/f1 and the like, in percent; val/loss in nats.
CREATE TABLE scores (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    value  REAL,                                 -- NULL: not a number
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;

PRAGMA user_version = 1;
