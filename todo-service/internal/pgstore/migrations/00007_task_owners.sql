-- +goose NO TRANSACTION
-- +goose Up
-- The column user_id is NULL, for no owner, in every row, and an older version leaves it
-- so: it is added without a scan. An idempotency key of a user is the user's id, a space,
-- and the key of the request, which has no space.
--
-- While this waits for the lock of a table, every later statement on it waits, too. So it
-- waits for a moment, and tries again. Each step can be repeated after a failure.
-- +goose StatementBegin
DO $$
BEGIN
	SET LOCAL lock_timeout = '100ms';
	FOR attempt IN REVERSE 300 .. 0 LOOP
		BEGIN
			ALTER TABLE idempotency_keys DROP CONSTRAINT IF EXISTS idempotency_keys_key_check,
				ADD CONSTRAINT idempotency_keys_key_check CHECK (char_length(key) BETWEEN 1 AND 275) NOT VALID;
			ALTER TABLE tasks ADD COLUMN IF NOT EXISTS user_id bigint REFERENCES users (id);
			EXIT;
		EXCEPTION WHEN lock_not_available THEN
			IF attempt = 0 THEN
				RAISE;
			END IF;
			PERFORM pg_sleep(0.2);
		END;
	END LOOP;
END
$$;
-- +goose StatementEnd
ALTER TABLE idempotency_keys VALIDATE CONSTRAINT idempotency_keys_key_check;

-- Pages of an owner's tasks, done and open, by id and by priority, and their numbers. A
-- task without an owner is in none of these indexes. Those by priority have expressions that
-- no index of all tasks has, so that none of these is read for an owner's page. They are
-- built while an older version writes tasks. A build that fails leaves an invalid index,
-- which the next attempt removes.
DROP INDEX CONCURRENTLY IF EXISTS tasks_user_done_id;
CREATE INDEX CONCURRENTLY tasks_user_done_id ON tasks (user_id, done, id) WHERE user_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS tasks_user_done_priority_id;
CREATE INDEX CONCURRENTLY tasks_user_done_priority_id ON tasks (user_id, done, (0 + priority), id) WHERE user_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS tasks_user_done_priority_desc_id;
CREATE INDEX CONCURRENTLY tasks_user_done_priority_desc_id ON tasks (user_id, done, (0 - priority), id) WHERE user_id IS NOT NULL;

-- The event log of an owner.
DROP INDEX CONCURRENTLY IF EXISTS events_user_seq;
CREATE INDEX CONCURRENTLY events_user_seq ON events (user_id, seq) WHERE user_id IS NOT NULL AND seq IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS events_user_seq;
DROP INDEX CONCURRENTLY IF EXISTS tasks_user_done_priority_desc_id;
DROP INDEX CONCURRENTLY IF EXISTS tasks_user_done_priority_id;
DROP INDEX CONCURRENTLY IF EXISTS tasks_user_done_id;
DELETE FROM idempotency_keys WHERE key LIKE '% %';
ALTER TABLE idempotency_keys DROP CONSTRAINT IF EXISTS idempotency_keys_key_check,
	ADD CONSTRAINT idempotency_keys_key_check CHECK (char_length(key) BETWEEN 1 AND 255);
ALTER TABLE tasks DROP COLUMN IF EXISTS user_id;
