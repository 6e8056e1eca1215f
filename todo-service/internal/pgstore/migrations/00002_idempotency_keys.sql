-- +goose Up
-- The creations with an idempotency key. A row holds the first response whole, so the
-- response outlives the task and the purged event.
CREATE TABLE idempotency_keys (
	key        text        COLLATE "C" PRIMARY KEY CHECK (char_length(key) BETWEEN 1 AND 255),
	event_id   uuid        NOT NULL,
	task_id    bigint      NOT NULL,
	title      text        NOT NULL,
	priority   integer     NOT NULL,
	created_at timestamptz NOT NULL
);

-- The oldest are deleted first.
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- +goose Down
DROP TABLE idempotency_keys;
