-- +goose Up
CREATE TABLE tasks (
	id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	title        text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 500),
	priority     integer     NOT NULL CHECK (priority BETWEEN 0 AND 100),
	done         boolean     NOT NULL,
	created_at   timestamptz NOT NULL,
	completed_at timestamptz,
	version      bigint      NOT NULL CHECK (version >= 1),
	CONSTRAINT tasks_completed_while_done CHECK (done = (completed_at IS NOT NULL))
);

-- Pages of the done and of the open tasks, by id.
CREATE INDEX tasks_done_id ON tasks (done, id);

-- The event log: each change, with the task as it was afterwards.
CREATE TABLE events (
	-- Drawn after the row lock of the task, so it grows with each change of one
	-- task. CACHE 1 keeps that true across connections.
	pos          bigint      GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
	id           uuid        NOT NULL UNIQUE,
	-- The position in the event log: without gaps, assigned after the commit.
	seq          bigint      CHECK (seq >= 1),
	type         text        NOT NULL CHECK (type <> ''),
	task_id      bigint      NOT NULL,
	title        text        NOT NULL,
	priority     integer     NOT NULL,
	done         boolean     NOT NULL,
	created_at   timestamptz NOT NULL,
	completed_at timestamptz,
	version      bigint      NOT NULL,
	at           timestamptz NOT NULL,
	user_id      bigint,
	traceparent  text        NOT NULL,
	-- One event for each version; in this order, they are the task's history.
	UNIQUE (task_id, version)
);

CREATE UNIQUE INDEX events_seq ON events (seq) WHERE seq IS NOT NULL;

-- Events without a seq.
CREATE INDEX events_unnumbered ON events (pos) WHERE seq IS NULL;

-- One row: the last seq, and the cursors. Every batch of the relay updates it; the free
-- space keeps the updates within one page.
CREATE TABLE stream (
	one            boolean PRIMARY KEY DEFAULT true CHECK (one),
	head           bigint  NOT NULL DEFAULT 0,
	kafka_seq      bigint  NOT NULL DEFAULT 0,
	live_seq       bigint  NOT NULL DEFAULT 0,
	purged_through bigint  NOT NULL DEFAULT 0 CHECK (purged_through >= 0),
	CONSTRAINT stream_sent_is_numbered CHECK (greatest(kafka_seq, live_seq) <= head),
	CONSTRAINT stream_purged_is_sent CHECK (purged_through <= least(kafka_seq, live_seq))
) WITH (fillfactor = 10);

INSERT INTO stream DEFAULT VALUES;

-- +goose Down
DROP TABLE stream;
DROP TABLE events;
DROP TABLE tasks;
