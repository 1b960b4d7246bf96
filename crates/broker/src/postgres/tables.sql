-- The queue's tables. `state`: 0 ready, 1 delayed until `at`, 2 held until `at`; `fence` is 0 unless held.
--
-- Text that is compared is compared byte by byte: it is no language. A body that is too long for its row is kept aside
-- as it is, because packing it takes longer than it lies there.
CREATE TABLE celeriac_queue (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint,
    ready_at bigint NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    due_at bigint,
    delivery integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    lost integer NOT NULL DEFAULT 0,
    state smallint NOT NULL,
    priority smallint NOT NULL,
    said_priority smallint,
    id text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    unique_key text COLLATE "C",
    holder text,
    cancel_reason text,
    content_type text NOT NULL,
    content_encoding text NOT NULL,
    properties text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_threshold = -1
);

ALTER TABLE celeriac_queue ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE UNIQUE INDEX celeriac_queue_id ON celeriac_queue (id);

CREATE UNIQUE INDEX celeriac_queue_unique_key ON celeriac_queue (unique_key) WHERE unique_key IS NOT NULL;

-- What a claim walks: queue, highest priority, oldest.
CREATE INDEX celeriac_queue_ready ON celeriac_queue (queue, priority DESC, seq) WHERE state = 0;

-- Whatever waits for an instant: due times and ends of leases.
CREATE INDEX celeriac_queue_timed ON celeriac_queue (at) WHERE state > 0;

CREATE TABLE celeriac_queue_dead (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    died_at bigint NOT NULL,
    due_at bigint,
    delivery integer NOT NULL,
    attempt integer NOT NULL,
    said_priority smallint,
    id text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    unique_key text COLLATE "C",
    reason text NOT NULL,
    detail text NOT NULL,
    content_type text NOT NULL,
    content_encoding text NOT NULL,
    properties text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL
);

CREATE INDEX celeriac_queue_dead_id ON celeriac_queue_dead (id);

CREATE TABLE celeriac_queue_pause (
    queue text COLLATE "C" PRIMARY KEY,
    paused_at bigint NOT NULL
);
