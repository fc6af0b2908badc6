-- The ledger. `runs` and `scores` are an index of every run.json, which `qa-research runs scan` rebuilds;
-- everything else is what was asked and sampled, which is stored nowhere else.
-- user_version is the version of this schema; a program refuses one that is newer than its own.
-- A ledger of version 1 has only the first two tables, one of version 2 no told_row, one of version 3 no stacks,
-- one of version 4 no examples of sources: what is missing is added.

-- Every run, as described by its run.json.
CREATE TABLE IF NOT EXISTS runs (
    id                     TEXT PRIMARY KEY,     -- of run.json; stays the same when a directory is moved
    directory              TEXT NOT NULL UNIQUE, -- relative to the ledger's folder, or absolute outside it
    status                 TEXT NOT NULL,        -- as in run.json; "running" may mean that it was killed
    study                  TEXT NOT NULL,
    seed                   INTEGER,
    started                TEXT,                 -- ISO 8601, UTC
    finished               TEXT,
    command                TEXT NOT NULL,        -- JSON: list of words
    data                   TEXT,                 -- the name of the data source
    train_fingerprint      TEXT,
    validation_fingerprint TEXT,
    weights_fingerprint    TEXT,                 -- of all tensors before training
    questions              TEXT NOT NULL,        -- JSON: split -> number of examples
    versions               TEXT NOT NULL,        -- JSON: package -> version
    git_commit             TEXT,
    git_modified           INTEGER,              -- 1: there were uncommitted changes
    steps                  INTEGER,              -- optimizer steps
    best_step              INTEGER,
    train_s                REAL,
    validation_s           REAL,
    error                  TEXT,                 -- why it ended, if it did not finish
    config                 TEXT NOT NULL         -- JSON: resolved
);

-- What the best checkpoint scored: val/f1 and the like, in percent; val/loss in nats.
CREATE TABLE IF NOT EXISTS scores (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    value  REAL,                                 -- NULL: not a number
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;

-- A database of the old lab that was imported.
CREATE TABLE IF NOT EXISTS imports (
    id       INTEGER PRIMARY KEY,
    file     TEXT NOT NULL,                      -- file name
    sha256   TEXT NOT NULL UNIQUE,               -- so that nothing is imported twice
    imported TEXT NOT NULL,                      -- ISO 8601, UTC
    notes    TEXT NOT NULL                       -- JSON: list of sentences on what was odd
);

-- A network in one state: the weights of a run at one step. No REFERENCES runs: that table is rebuilt
-- from the disk, and what was asked outlives the run's directory.
CREATE TABLE IF NOT EXISTS states (
    id         INTEGER PRIMARY KEY,
    run_id     TEXT,                             -- of run.json; NULL: imported
    run        TEXT NOT NULL,                    -- the run's name when it was last asked
    step       INTEGER,                          -- optimizer steps; NULL: unknown
    weights    TEXT,                             -- sha256 of all tensors; NULL: imported
    pretrained INTEGER CHECK (pretrained IN (0, 1)), -- 1: its training started from pretrained weights
    import_id  INTEGER REFERENCES imports (id) ON DELETE CASCADE,
    told_row   INTEGER,                          -- imported: the id of its row of model_efficacy
    UNIQUE (run_id, step, weights),
    CHECK (import_id IS NOT NULL OR (run_id IS NOT NULL AND weights IS NOT NULL))
);

-- A split that questions are drawn from.
CREATE TABLE IF NOT EXISTS sources (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,                   -- builtin, a file name, or a data set of the hub
    split       TEXT NOT NULL,                   -- validation, train, or file
    fingerprint TEXT,                            -- sha256 of all questions; NULL: imported, unknown
    questions   INTEGER,                         -- how many it has; NULL: unknown
    examples    TEXT NOT NULL DEFAULT 'questions', -- what they are called, such as pairs
    UNIQUE (name, split, fingerprint)
);

-- The questions of a source that were asked at least once.
CREATE TABLE IF NOT EXISTS questions (
    source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,                  -- index in its split, from 0
    id        TEXT,                              -- NULL from here on: imported
    kind      TEXT,
    question  TEXT,
    golds     TEXT,                              -- JSON: all gold answers, in order; []: no answer
    PRIMARY KEY (source_id, number)
) WITHOUT ROWID;

-- Questions asked to one state, in rounds, until a goal is reached. Consecutive searches share a draw: a
-- random order of the split, without replacement.
CREATE TABLE IF NOT EXISTS searches (
    id           INTEGER PRIMARY KEY,
    state_id     INTEGER NOT NULL REFERENCES states (id) ON DELETE CASCADE,
    source_id    INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    seed         INTEGER,                        -- NULL: imported, not seeded
    draw         INTEGER NOT NULL,               -- which order of this seed, from 0
    first        INTEGER NOT NULL DEFAULT 0,     -- the place in this order where it starts
    goal         TEXT NOT NULL CHECK (goal IN ('right', 'questions', 'width')),
    started      TEXT,                           -- ISO 8601, UTC
    -- right: an answer was right; done: enough were asked, or the interval is narrow; exhausted: the order
    -- has no more questions; bound: the limit of questions or minutes; stopped: by a signal; failed: the
    -- model failed on many in a row. NULL: it is still running, or was killed.
    ending       TEXT CHECK (ending IN ('right', 'done', 'exhausted', 'bound', 'stopped', 'failed')),
    told_counted INTEGER,                        -- imported: questions that the old lab counted
    told_right   INTEGER,                        -- imported: right answers that it counted
    told_row     INTEGER,                        -- imported: the id of its row of sample_indices, if it has one
    UNIQUE (state_id, source_id, seed, draw, first)
);

-- Every asked question.
CREATE TABLE IF NOT EXISTS asked (
    search_id   INTEGER NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    place       INTEGER NOT NULL,                -- in the order of the search, from 0
    round       INTEGER NOT NULL,                -- from 0; a round is asked at once and written in one transaction
    source_id   INTEGER NOT NULL,
    number      INTEGER,                         -- NULL: imported and lost in a crash
    -- 'not kept': imported; it was not recorded what was answered, nor what was right
    status      TEXT NOT NULL CHECK (status IN ('answered', 'failed', 'not kept')),
    reason      TEXT,                            -- why it failed
    -- 1: part of the ratio. In a search for a right answer: up to and including the first right one
    counted     INTEGER NOT NULL CHECK (counted IN (0, 1)),
    answer      TEXT,                            -- '': no answer
    exact_match INTEGER CHECK (exact_match IN (0, 1)), -- with any gold answer, by SQuAD's rules
    f1          REAL,                            -- in [0, 1], the best over all gold answers
    first_gold  INTEGER CHECK (first_gold IN (0, 1)),  -- equal to the first gold answer, ignoring case
    char_start  INTEGER,                         -- of the answer in the context
    char_end    INTEGER,                         -- exclusive
    score       REAL,                            -- start logit + end logit
    probability REAL,                            -- among all spans that are possible answers
    seconds     REAL,                            -- its share of the round's time
    PRIMARY KEY (search_id, place),
    FOREIGN KEY (source_id, number) REFERENCES questions (source_id, number),
    CHECK ((status = 'answered') = (answer IS NOT NULL AND exact_match IS NOT NULL)),
    CHECK (status = 'answered' OR counted = 0)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS asked_by_question ON asked (source_id, number);

-- Every asked question with all that is known about it: what `qa-research ledger export` writes.
CREATE VIEW IF NOT EXISTS asked_questions AS
SELECT states.run, states.run_id, states.step, states.weights, states.pretrained,
       sources.name AS data, sources.split, sources.fingerprint,
       searches.id AS search, searches.seed, searches.draw, searches.goal, searches.ending,
       searches.started, asked.round, asked.place, asked.number AS question_index, questions.id,
       questions.kind, questions.question, questions.golds, asked.status, asked.reason, asked.counted,
       asked.answer, asked.exact_match, asked.f1, asked.first_gold, asked.char_start, asked.char_end,
       asked.score, asked.probability, asked.seconds
FROM asked
JOIN searches ON searches.id = asked.search_id
JOIN states ON states.id = searches.state_id
JOIN sources ON sources.id = searches.source_id
LEFT JOIN questions ON questions.source_id = asked.source_id AND questions.number = asked.number
ORDER BY searches.id, asked.place;

-- What each search came to.
CREATE VIEW IF NOT EXISTS search_counts AS
SELECT searches.id AS search_id, state_id, searches.source_id, seed, draw, first, goal, ending, started,
       count(asked.place) AS asked,
       coalesce(told_counted, sum(counted), 0) AS counted,
       coalesce(told_right, sum(counted AND exact_match), 0) AS correct,
       coalesce(sum(counted AND first_gold), 0) AS first_gold,
       coalesce(sum(CASE WHEN counted THEN f1 END), 0.0) AS f1,
       coalesce(sum(status = 'failed'), 0) AS failed,
       coalesce(sum(seconds), 0.0) AS seconds
FROM searches LEFT JOIN asked ON asked.search_id = searches.id
GROUP BY searches.id;

-- What each state answered to each question, once however often it was asked, because it always answers the
-- same. counted: 1 if it counts in any search.
CREATE VIEW IF NOT EXISTS known_answers AS
SELECT state_id, asked.source_id, asked.number, kind, golds = '[]' AS unanswerable,
       max(counted) AS counted, max(exact_match) AS exact_match, max(first_gold) AS first_gold,
       max(f1) AS f1
FROM asked
JOIN searches ON searches.id = asked.search_id
JOIN questions ON questions.source_id = asked.source_id AND questions.number = asked.number
WHERE status = 'answered'
GROUP BY state_id, asked.source_id, asked.number;

-- What each state came to on each source: by searches, and by questions, each once. all_: including those
-- that count in no search. Imported: what the old lab counted.
CREATE VIEW IF NOT EXISTS state_counts AS
SELECT state_id, source_id, searches, ended_right, asked, failed, seconds,
       iif(answered IS NULL, told_counted, known_counted) AS counted,
       iif(answered IS NULL, told_correct, known_correct) AS correct,
       coalesce(known_first_gold, 0) AS first_gold, coalesce(known_f1, 0.0) AS f1,
       coalesce(answered, 0) AS all_counted, coalesce(all_correct, 0) AS all_correct,
       coalesce(all_first_gold, 0) AS all_first_gold, coalesce(all_f1, 0.0) AS all_f1
FROM (
    SELECT state_id, source_id, count(*) AS searches, sum(ending IS 'right') AS ended_right,
           sum(asked) AS asked, sum(failed) AS failed, sum(seconds) AS seconds,
           sum(counted) AS told_counted, sum(correct) AS told_correct
    FROM search_counts GROUP BY state_id, source_id
) LEFT JOIN (
    SELECT state_id, source_id, count(*) AS answered, sum(exact_match) AS all_correct,
           sum(first_gold) AS all_first_gold, sum(f1) AS all_f1, sum(counted) AS known_counted,
           sum(counted AND exact_match) AS known_correct,
           sum(counted AND first_gold) AS known_first_gold,
           sum(CASE WHEN counted THEN f1 END) AS known_f1
    FROM known_answers GROUP BY state_id, source_id
) USING (state_id, source_id);

-- The same by kind of question; if there are both, answerable and unanswerable are also kinds.
CREATE VIEW IF NOT EXISTS kind_counts AS
SELECT state_id, source_id, kind, sum(counted) AS counted, sum(counted AND exact_match) AS correct,
       count(*) AS all_counted, sum(exact_match) AS all_correct
FROM known_answers GROUP BY state_id, source_id, kind
UNION ALL
SELECT state_id, source_id, iif(unanswerable, 'unanswerable', 'answerable'), sum(counted),
       sum(counted AND exact_match), count(*), sum(exact_match)
FROM known_answers
WHERE source_id IN (SELECT source_id FROM questions
                    GROUP BY source_id HAVING count(DISTINCT golds = '[]') > 1)
GROUP BY state_id, source_id, unanswerable;

-- Questions that a state was asked more than once.
CREATE VIEW IF NOT EXISTS repeats AS
SELECT state_id, searches.source_id, number, count(*) AS times
FROM asked JOIN searches ON searches.id = asked.search_id
WHERE number IS NOT NULL
GROUP BY state_id, searches.source_id, number HAVING count(*) > 1;

-- Python stacks of a process that trained (or of another program), sampled at random times: one rank of one
-- run. Sampled times are seconds since the process was started, at exponentially distributed distances.
CREATE TABLE IF NOT EXISTS stack_recordings (
    id         INTEGER PRIMARY KEY,
    run_id     TEXT,                             -- of run.json; NULL: imported, or no run of qa_research
    run        TEXT NOT NULL,                    -- the run's name, or the command; imported: the file
    rank       INTEGER NOT NULL,                 -- of several processes that train together, from 0
    started    TEXT,                             -- ISO 8601, UTC
    command    TEXT NOT NULL,                    -- JSON: list of words
    mean_s     REAL,                             -- mean distance of two samples; NULL: imported
    seed       INTEGER,
    from_s     REAL,                             -- sampled from then on
    to_s       REAL,                             -- and until then
    ending     TEXT,                             -- of the training: ended or died; stopped: only the sampling
    facts      TEXT NOT NULL,                    -- JSON: processors and the like; imported: samples of backward
    import_id  INTEGER REFERENCES imports (id) ON DELETE CASCADE
);

-- Every line of code that was seen in any stack.
CREATE TABLE IF NOT EXISTS stack_frames (
    id       INTEGER PRIMARY KEY,
    file     TEXT NOT NULL,                      -- without the folder of installed packages
    line     INTEGER NOT NULL,                   -- 0: unknown
    function TEXT NOT NULL,
    text     TEXT NOT NULL,                      -- the line itself; '': unknown
    UNIQUE (file, line, function, text)
);

-- Every stack that was seen, once.
CREATE TABLE IF NOT EXISTS stacks (
    id     INTEGER PRIMARY KEY,
    frames TEXT NOT NULL UNIQUE                  -- JSON: ids of stack_frames, the outermost first; []: none yet
);

-- Every sample, with the stack of the main thread.
CREATE TABLE IF NOT EXISTS stack_samples (
    recording_id      INTEGER NOT NULL REFERENCES stack_recordings (id) ON DELETE CASCADE,
    place             INTEGER NOT NULL,          -- from 0
    at_s              REAL,                      -- NULL: imported
    step              INTEGER,                   -- optimizer steps done by then; NULL: unknown, or not training
    phase             TEXT NOT NULL,             -- what the process was doing
    stack_id          INTEGER NOT NULL REFERENCES stacks (id),
    is_cut            INTEGER NOT NULL CHECK (is_cut IN (0, 1)), -- 1: its outermost frames are not known
    memory_mb         REAL,                      -- resident
    cpu_s             REAL,                      -- processor time spent until then
    training_function TEXT,                      -- imported: of the trainer, as the old lab grouped them
    PRIMARY KEY (recording_id, place)
) WITHOUT ROWID;

-- What other threads of Python did at the time of a sample.
CREATE TABLE IF NOT EXISTS stack_threads (
    recording_id INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    thread       INTEGER NOT NULL,               -- from 0
    stack_id     INTEGER NOT NULL REFERENCES stacks (id),
    PRIMARY KEY (recording_id, place, thread),
    FOREIGN KEY (recording_id, place) REFERENCES stack_samples (recording_id, place) ON DELETE CASCADE
) WITHOUT ROWID;

-- Which stacks were seen how often: the old lab's table of this name, over all recordings. What it sampled itself
-- could hardly see backward; the notes in imports say how often it did.
CREATE VIEW IF NOT EXISTS call_sequence AS
SELECT recording_id, run, coalesce(training_function, phase) AS training_function, stack_id,
       frames AS seq_ids, count(*) AS tally
FROM stack_samples
JOIN stack_recordings ON stack_recordings.id = recording_id
JOIN stacks ON stacks.id = stack_id
GROUP BY recording_id, coalesce(training_function, phase), stack_id;

-- Which lines were seen how often: the old lab's tables, one for each training function. Its tally counts a
-- line as often as it is in a stack, twice in a recursion of two; samples counts it once a sample.
CREATE VIEW IF NOT EXISTS function_tally AS
SELECT recording_id, run, training_function, stack_frames.id, file, line, function,
       sum(times * tally) AS tally, sum(tally) AS samples
FROM call_sequence
JOIN (SELECT stacks.id AS stack_id, value AS frame_id, count(*) AS times
      FROM stacks, json_each(stacks.frames) GROUP BY stacks.id, value) USING (stack_id)
JOIN stack_frames ON stack_frames.id = frame_id
GROUP BY recording_id, training_function, stack_frames.id;

PRAGMA user_version = 5;
