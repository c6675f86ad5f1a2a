"""Events in parts by ranges of id, so that old ones are dropped; marks, which say how old an id is.

On Postgres, appending becomes a function, so that a batch is one trip and holds its runs no longer than it takes to
store it; and epochs tell the lives of a database apart that was restored from a dump.

What the program before this one says to the database stays right, so that both may serve during an upgrade.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_MARKS = "CREATE TABLE marks (upto BIGINT NOT NULL, at BIGINT NOT NULL)"
_SERVED_SINCE = (
    "CREATE TABLE agentops_served_since (revision TEXT NOT NULL)",
    "INSERT INTO agentops_served_since VALUES ('0004')",
)

_PARTS = (
    # In the order in which an append comes to them, so that none that is under way and this wait for each other.
    "LOCK TABLE projects, runs, events",
    "ALTER TABLE events RENAME TO events_0",
    "ALTER INDEX events_pkey RENAME TO events_0_pkey",
    "ALTER INDEX events_in_feed_order RENAME TO events_0_in_feed_order",
    "ALTER INDEX events_of_project RENAME TO events_0_of_project",
    # Unique in each part. A key is looked up under its run's lock, so it is unique over all of them.
    "ALTER INDEX events_key RENAME TO events_0_key",
    """
    CREATE TABLE events (
        id BIGINT NOT NULL,
        project BIGINT NOT NULL,
        run BIGINT NOT NULL,
        body TEXT NOT NULL,
        key TEXT,
        xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (run, id)
    ) PARTITION BY RANGE (id)
    """,
    "CREATE INDEX events_in_feed_order ON events (project, xid, id)",
    "CREATE INDEX events_of_project ON events (project, id)",
    "ALTER SEQUENCE events_id OWNED BY events.id",
    """
    DO $$ BEGIN
        EXECUTE format(
            'ALTER TABLE events ATTACH PARTITION events_0 FOR VALUES FROM (MINVALUE) TO (%s)',
            (SELECT (last_value / 100000000 + 1) * 100000000 FROM events_id)
        );
    END $$
    """,
)

_EPOCHS = """
    CREATE TABLE epochs (
        number BIGINT PRIMARY KEY,
        began_at BIGINT NOT NULL,
        identity TEXT NOT NULL,
        last_id BIGINT NOT NULL,
        first_id BIGINT NOT NULL
    )
"""

# `OFFSET 0` keeps these look-ups one by one: joined freely, Postgres would go through all runs of the project,
# or all events of the run, for each.
_APPEND = """
    CREATE FUNCTION append_events(
        -- for each run, in order: its lock, its names, the title if it is new, the status it is to have
        locks BIGINT[], run_projects TEXT[], run_names TEXT[], run_titles TEXT[], run_statuses TEXT[], at BIGINT,
        -- for each event, in order: the place of its run in these, its body, its key
        places INT[], bodies TEXT[], keys TEXT[],
        -- for each run, how it was found; which events have a key that was there, and what it had; ids of the others
        OUT last_ids BIGINT[], OUT kept BIGINT[],
        OUT known_places BIGINT[], OUT known_ids BIGINT[], OUT known_bodies TEXT[], OUT ids BIGINT[],
        -- whether somebody else was at one of the runs
        OUT waited BOOLEAN
    ) LANGUAGE plpgsql AS $$
    DECLARE
        found_runs BIGINT[];
        found_projects BIGINT[];
        oldest BIGINT;
        newest BIGINT;
        wanted_lock BIGINT;
    BEGIN
        waited := false;
        FOREACH wanted_lock IN ARRAY locks LOOP
            IF NOT pg_try_advisory_xact_lock(wanted_lock) THEN
                waited := true;
                PERFORM pg_advisory_xact_lock(wanted_lock);
            END IF;
        END LOOP;
        LOOP
            SELECT array_agg(found.pk ORDER BY place), array_agg(found.project ORDER BY place),
                   array_agg(found.last_id ORDER BY place), array_agg(found.kept ORDER BY place),
                   min(found.first_id) FILTER (WHERE found.last_id > 0), max(found.last_id)
            INTO found_runs, found_projects, last_ids, kept, oldest, newest
            FROM unnest(run_projects, run_names) WITH ORDINALITY AS wanted (project, name, place)
            LEFT JOIN LATERAL (
                SELECT pk, project, first_id, last_id, event_count - pruned_count AS kept FROM runs
                WHERE runs.project = (SELECT pk FROM projects WHERE projects.name = wanted.project)
                  AND runs.name = wanted.name OFFSET 0
            ) AS found ON true;
            EXIT WHEN array_position(found_runs, NULL) IS NULL;
            INSERT INTO projects (name) SELECT DISTINCT name FROM unnest(run_projects) AS wanted (name) ORDER BY name
            ON CONFLICT (name) DO NOTHING;
            INSERT INTO runs (project, name, title, status, started_at)
            SELECT projects.pk, wanted.name, wanted.title, 'running', at
            FROM unnest(run_projects, run_names, run_titles, found_runs) AS wanted (project, name, title, found)
            JOIN projects ON projects.name = wanted.project
            WHERE wanted.found IS NULL ORDER BY projects.pk, wanted.name
            ON CONFLICT (project, name) DO NOTHING;
        END LOOP;
        IF keys IS NOT NULL THEN
            SELECT array_agg(wanted.n), array_agg(found.id), array_agg(found.body)
            INTO known_places, known_ids, known_bodies
            FROM unnest(places, keys) WITH ORDINALITY AS wanted (place, key, n), LATERAL (
                SELECT id, body FROM events
                WHERE events.run = found_runs[wanted.place] AND events.key = wanted.key
                  AND id >= oldest AND id <= newest OFFSET 0
            ) AS found
            WHERE wanted.key IS NOT NULL;
        END IF;
        WITH fresh AS (
            SELECT nextval('events_id') AS id, place, body, key
            FROM unnest(places, bodies, keys) WITH ORDINALITY AS each (place, body, key, n)
            WHERE n NOT IN (SELECT unnest(known_places))
        ), added AS (
            INSERT INTO events (id, project, run, body, key)
            SELECT id, found_projects[place], found_runs[place], body, key FROM fresh
        ), changed AS (
            UPDATE runs SET
                first_id = CASE WHEN runs.last_id = 0 THEN coalesce(news.first_id, 0) ELSE runs.first_id END,
                last_id = coalesce(news.last_id, runs.last_id),
                event_count = event_count + coalesce(news.added, 0),
                status = coalesce(news.status, runs.status),
                ended_at = CASE
                    WHEN news.status IS NULL THEN ended_at
                    WHEN news.status = 'running' THEN NULL
                    ELSE coalesce(ended_at, at)
                END
            FROM (
                SELECT found_runs[each.place] AS pk, status, stored.first_id, stored.last_id, stored.added
                FROM unnest(run_statuses) WITH ORDINALITY AS each (status, place)
                LEFT JOIN (
                    SELECT place, min(id) AS first_id, max(id) AS last_id, count(*) AS added FROM fresh GROUP BY place
                ) AS stored ON stored.place = each.place
            ) AS news
            WHERE runs.pk = news.pk
        )
        SELECT array_agg(id ORDER BY id) INTO ids FROM fresh;
    END $$
"""

_POSTGRES = (
    *_PARTS,
    # 0 where it is not known: of runs that are older than this, and of those that the program before this one makes
    "ALTER TABLE runs ADD COLUMN first_id BIGINT NOT NULL DEFAULT 0",
    _EPOCHS,
    _APPEND,
)


def upgrade() -> None:
    for statement in (_MARKS, *_SERVED_SINCE):
        op.execute(statement)
    if op.get_context().dialect.name == "postgresql":
        for statement in _POSTGRES:
            op.execute(statement)
