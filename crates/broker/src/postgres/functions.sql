-- What the queue does, each in one call. They are functions for three reasons: several statements take one round trip;
-- each of them sees what the one before it did; and their plans are made with every detour closed, because PostgreSQL
-- keeps a plan that was right when the table was empty until long after it holds a million messages. For the same reason
-- the messages that a statement is about are named by an array, which only the index can answer: joined with a list of
-- them, the whole table may come first, and each message be compared with each of the list.
--
-- `told` is the time by the caller's clock, or null for the server's. All times are microseconds since 1970.

CREATE FUNCTION celeriac_queue_now(told bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(told, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
$$;

-- Stores messages. Returns null where all of them were new, and otherwise for each message null, or the id of the message
-- that stands in its way.
CREATE FUNCTION celeriac_queue_publish(
    ids text[], queues text[], priorities smallint[], said smallint[], dues bigint[], keys text[],
    types text[], encodings text[], properties text[], headers text[], bodies bytea[], told bigint
) RETURNS text[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now_at bigint := celeriac_queue_now(told);
    stored bigint[];
    stored_ids text[];
BEGIN
    WITH inserted AS (
        INSERT INTO celeriac_queue AS q (
            id, queue, priority, said_priority, due_at, unique_key, content_type, content_encoding, properties, headers,
            body, state, at, ready_at
        )
        SELECT m.id, m.queue, m.priority, m.said, m.due, m.key, m.type, m.encoding, m.properties, m.headers, m.body,
            CASE WHEN m.due > now_at THEN 1 ELSE 0 END,
            CASE WHEN m.due > now_at THEN m.due END,
            greatest(m.due, now_at)
        FROM unnest(ids, queues, priorities, said, dues, keys, types, encodings, properties, headers, bodies)
            WITH ORDINALITY AS m (
                id, queue, priority, said, due, key, type, encoding, properties, headers, body, place
            )
        ORDER BY m.place
        ON CONFLICT DO NOTHING
        RETURNING seq
    )
    SELECT array_agg(seq) INTO stored FROM inserted;
    IF cardinality(stored) = cardinality(ids) THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(id) INTO stored_ids FROM celeriac_queue WHERE seq = ANY (stored);
    RETURN (
        SELECT array_agg(
            CASE
                WHEN m.nth = 1 AND m.id = ANY (stored_ids) THEN NULL
                WHEN EXISTS (SELECT FROM celeriac_queue q WHERE q.id = m.id) THEN m.id
                ELSE coalesce((SELECT q.id FROM celeriac_queue q WHERE q.unique_key = m.key), m.id)
            END ORDER BY m.place)
        FROM (
            SELECT u.id, u.key, u.place, row_number() OVER (PARTITION BY u.id ORDER BY u.place) AS nth
            FROM unnest(ids, keys) WITH ORDINALITY AS u (id, key, place)
        ) AS m
    );
END
$$;

-- Leases up to `most` messages and returns them, the first in line first, from the queues in the order in which they are
-- named; then one row without a number that says the time (`ready_at`) and, where fewer were there than asked for, when
-- the next one falls due (`at`).
CREATE FUNCTION celeriac_queue_fetch(
    queues text[], most integer, lease bigint, new_fence bigint, new_holder text, told bigint
) RETURNS SETOF celeriac_queue LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now_at bigint := celeriac_queue_now(told);
    until_at bigint := now_at + lease;
    next_at bigint;
    wanted integer := most;
    taken integer;
    one text;
    straight text[] := '{}';
    leased bigint[];
    readied bigint[];
    told_row celeriac_queue;
BEGIN
    -- Nobody has to wait until the disk has a lease: should the server crash before, its messages are ready again, as
    -- they are when the worker does. Whoever settles waits for the disk, which then has all that went before.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT at INTO next_at FROM celeriac_queue WHERE state > 0 ORDER BY at LIMIT 1;
    IF next_at <= now_at THEN
        -- What has fallen due becomes ready, and what a holder let go by is ready again and counted: a few at a time, so
        -- that a flood of them does not hold up this call; the next one goes on. Those that are next in line are leased in
        -- the same step, for a second one costs as much again: where nothing is ready in their queue, nor in those before.
        FOREACH one IN ARRAY queues LOOP
            EXIT WHEN EXISTS (SELECT FROM celeriac_queue AS q WHERE q.state = 0 AND q.queue = one);
            CONTINUE WHEN EXISTS (SELECT FROM celeriac_queue_pause AS p WHERE p.queue = one);
            straight := straight || one;
        END LOOP;
        WITH late AS MATERIALIZED (
            SELECT seq, queue, priority FROM celeriac_queue
            WHERE state > 0 AND at <= now_at ORDER BY at LIMIT greatest(most, 100) FOR UPDATE SKIP LOCKED
        ), lined_up AS (
            SELECT seq, queue = ANY (straight) AS goes_straight,
                row_number() OVER (ORDER BY array_position(straight, queue), priority DESC, seq) AS place
            FROM late
        )
        -- What goes straight and is not next stays as it is, or it would be in the way of what follows it.
        SELECT array_agg(seq) FILTER (WHERE goes_straight AND place <= most),
            array_agg(seq) FILTER (WHERE NOT goes_straight)
            INTO leased, readied FROM lined_up;
        UPDATE celeriac_queue AS q
        SET state = 0, ready_at = q.at, at = NULL, fence = 0, holder = NULL, lost = q.lost + (q.state = 2)::integer
        WHERE q.seq = ANY (readied);
        RETURN QUERY
            WITH claimed AS (
                UPDATE celeriac_queue AS q
                SET state = 2, ready_at = q.at, at = until_at, fence = new_fence, holder = new_holder,
                    lost = q.lost + (q.state = 2)::integer, delivery = q.delivery + 1, attempt = q.attempt + 1
                WHERE q.seq = ANY (leased)
                RETURNING q.*
            )
            SELECT * FROM claimed ORDER BY array_position(straight, queue), priority DESC, seq;
        GET DIAGNOSTICS taken = ROW_COUNT;
        wanted := wanted - taken;
        SELECT at INTO next_at FROM celeriac_queue WHERE state > 0 ORDER BY at LIMIT 1;
    END IF;
    FOREACH one IN ARRAY queues LOOP
        EXIT WHEN wanted <= 0;
        CONTINUE WHEN EXISTS (SELECT FROM celeriac_queue_pause AS p WHERE p.queue = one);
        RETURN QUERY
            WITH picked AS MATERIALIZED (
                SELECT seq FROM celeriac_queue
                WHERE state = 0 AND queue = one ORDER BY priority DESC, seq LIMIT wanted FOR UPDATE SKIP LOCKED
            ), claimed AS (
                UPDATE celeriac_queue AS q
                SET state = 2, at = until_at, fence = new_fence, holder = new_holder,
                    delivery = q.delivery + 1, attempt = q.attempt + 1
                WHERE q.seq = ANY (ARRAY(SELECT seq FROM picked))
                RETURNING q.*
            )
            SELECT * FROM claimed ORDER BY priority DESC, seq;
        GET DIAGNOSTICS taken = ROW_COUNT;
        wanted := wanted - taken;
    END LOOP;
    told_row.ready_at := now_at;
    IF wanted > 0 THEN
        told_row.at := CASE WHEN wanted < most THEN least(next_at, until_at) ELSE next_at END;
    END IF;
    RETURN NEXT told_row;
END
$$;

-- Removes messages that are still held under their leases and returns the places of those that were.
CREATE FUNCTION celeriac_queue_ack(seqs bigint[], fences bigint[]) RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    done bigint[];
BEGIN
    WITH gone AS (
        DELETE FROM celeriac_queue AS q
        USING unnest(seqs, fences) WITH ORDINALITY AS t (seq, fence, place)
        WHERE q.seq = ANY (seqs) AND q.seq = t.seq AND q.fence = t.fence
        RETURNING t.place
    )
    SELECT array_agg(place) INTO done FROM gone;
    RETURN done;
END
$$;

-- Puts messages that are still held back: at once and at their old place, or not before `dues`; with the content that
-- is given, and `refunds` taken off their attempts. Returns the places of those that were held.
CREATE FUNCTION celeriac_queue_requeue(
    seqs bigint[], fences bigint[], dues bigint[], refunds smallint[],
    new_types text[], new_encodings text[], new_properties text[], new_headers text[], new_bodies bytea[], told bigint
) RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now_at bigint := celeriac_queue_now(told);
    done bigint[];
BEGIN
    WITH back AS (
        UPDATE celeriac_queue AS q
        SET state = CASE WHEN t.due > now_at THEN 1 ELSE 0 END,
            at = CASE WHEN t.due > now_at THEN t.due END,
            ready_at = CASE WHEN t.due IS NULL THEN q.ready_at ELSE greatest(t.due, now_at) END,
            due_at = coalesce(t.due, q.due_at),
            fence = 0, holder = NULL, lost = 0, attempt = q.attempt - t.refund,
            content_type = coalesce(t.type, q.content_type),
            content_encoding = coalesce(t.encoding, q.content_encoding),
            properties = coalesce(t.properties, q.properties),
            headers = coalesce(t.headers, q.headers),
            body = coalesce(t.body, q.body)
        FROM unnest(
            seqs, fences, dues, refunds, new_types, new_encodings, new_properties, new_headers, new_bodies
        )
            WITH ORDINALITY AS t (seq, fence, due, refund, type, encoding, properties, headers, body, place)
        WHERE q.seq = ANY (seqs) AND q.seq = t.seq AND q.fence = t.fence
        RETURNING t.place
    )
    SELECT array_agg(place) INTO done FROM back;
    RETURN done;
END
$$;

-- Moves messages that are still held to the dead letters and returns the places of those that were.
CREATE FUNCTION celeriac_queue_bury(
    seqs bigint[], fences bigint[], reasons text[], details text[], told bigint
) RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now_at bigint := celeriac_queue_now(told);
    done bigint[];
BEGIN
    WITH gone AS (
        DELETE FROM celeriac_queue AS q
        USING unnest(seqs, fences, reasons, details) WITH ORDINALITY AS t (seq, fence, reason, detail, place)
        WHERE q.seq = ANY (seqs) AND q.seq = t.seq AND q.fence = t.fence
        RETURNING q.*, t.reason, t.detail, t.place
    ), buried AS (
        INSERT INTO celeriac_queue_dead (
            died_at, due_at, delivery, attempt, said_priority, id, queue, unique_key, reason, detail, content_type,
            content_encoding, properties, headers, body
        )
        SELECT now_at, due_at, delivery, attempt, said_priority, id, queue, unique_key, reason, detail, content_type,
            content_encoding, properties, headers, body
        FROM gone ORDER BY place
    )
    SELECT array_agg(place) INTO done FROM gone;
    RETURN done;
END
$$;

-- Lengthens leases and returns the places of those that still hold, each with why its job is to be cancelled.
CREATE FUNCTION celeriac_queue_renew(seqs bigint[], fences bigint[], lease bigint, told bigint)
RETURNS TABLE (place bigint, cancel_reason text) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    until_at bigint := celeriac_queue_now(told) + lease;
BEGIN
    RETURN QUERY
        UPDATE celeriac_queue AS q SET at = until_at
        FROM unnest(seqs, fences) WITH ORDINALITY AS t (seq, fence, place)
        WHERE q.seq = ANY (seqs) AND q.seq = t.seq AND q.fence = t.fence
        RETURNING t.place, q.cancel_reason;
END
$$;

-- Marks the message of a job if it is held, or takes it out, and returns it.
CREATE FUNCTION celeriac_queue_cancel(job text, why text) RETURNS SETOF celeriac_queue LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    -- Between two statements it may be handed out or given back; nobody does so for ever.
    FOR round IN 1..10 LOOP
        RETURN QUERY
            UPDATE celeriac_queue AS q SET cancel_reason = coalesce(q.cancel_reason, why)
            WHERE q.id = job AND q.state = 2 RETURNING q.*;
        IF FOUND THEN RETURN; END IF;
        RETURN QUERY DELETE FROM celeriac_queue AS q WHERE q.id = job AND q.state < 2 RETURNING q.*;
        IF FOUND THEN RETURN; END IF;
        IF NOT EXISTS (SELECT FROM celeriac_queue AS q WHERE q.id = job) THEN RETURN; END IF;
    END LOOP;
END
$$;

-- Takes waiting messages of a queue out, those first that would be handed out first, and returns them.
CREATE FUNCTION celeriac_queue_purge(one text, most integer) RETURNS SETOF celeriac_queue LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    taken integer;
BEGIN
    RETURN QUERY
        WITH picked AS MATERIALIZED (
            SELECT seq FROM celeriac_queue
            WHERE state = 0 AND queue = one ORDER BY priority DESC, seq LIMIT most FOR UPDATE
        )
        DELETE FROM celeriac_queue AS q WHERE q.seq = ANY (ARRAY(SELECT seq FROM picked)) RETURNING q.*;
    GET DIAGNOSTICS taken = ROW_COUNT;
    RETURN QUERY
        WITH picked AS MATERIALIZED (
            SELECT seq FROM celeriac_queue
            WHERE state > 0 AND state = 1 AND queue = one ORDER BY at LIMIT most - taken FOR UPDATE
        )
        DELETE FROM celeriac_queue AS q WHERE q.seq = ANY (ARRAY(SELECT seq FROM picked)) RETURNING q.*;
END
$$;

-- Puts a dead letter back as the message that is given. Returns null where there is no such letter; else an array of one,
-- which is null where the message is in its queue, and the id of the message that stands in its way otherwise.
CREATE FUNCTION celeriac_queue_revive(
    letter bigint, id text, queue text, priority smallint, said smallint, due bigint, key text,
    type text, encoding text, properties text, headers text, body bytea, told bigint
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    occupants text[];
BEGIN
    PERFORM FROM celeriac_queue_dead AS d WHERE d.key = letter FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    occupants := celeriac_queue_publish(
        ARRAY[id], ARRAY[queue], ARRAY[priority], ARRAY[said], ARRAY[due], ARRAY[key], ARRAY[type], ARRAY[encoding],
        ARRAY[properties], ARRAY[headers], ARRAY[body], told
    );
    IF occupants IS NULL THEN
        DELETE FROM celeriac_queue_dead AS d WHERE d.key = letter;
        RETURN ARRAY[NULL::text];
    END IF;
    RETURN occupants;
END
$$;
