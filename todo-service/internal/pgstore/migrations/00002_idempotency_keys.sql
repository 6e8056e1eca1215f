-- +goose Up
-- The creations that their clients named by a key. A row holds the first answer
-- whole, so that the answer outlives the task, and the purging of its event.
CREATE TABLE idempotency_keys (
	key        text        COLLATE "C" PRIMARY KEY CHECK (char_length(key) BETWEEN 1 AND 255),
	event_id   uuid        NOT NULL,
	task_id    bigint      NOT NULL,
	title      text        NOT NULL,
	priority   integer     NOT NULL,
	created_at timestamptz NOT NULL
);

-- The oldest are forgotten first.
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- +goose Down
DROP TABLE idempotency_keys;
