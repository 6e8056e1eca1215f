-- +goose NO TRANSACTION
-- +goose Up
-- Pages of the done and of the open tasks, by priority in both directions and then by id.
-- They are built while an older version writes tasks. A build that fails leaves an invalid
-- index, which the next attempt removes.
DROP INDEX CONCURRENTLY IF EXISTS tasks_done_priority_id;
CREATE INDEX CONCURRENTLY tasks_done_priority_id ON tasks (done, priority, id);
DROP INDEX CONCURRENTLY IF EXISTS tasks_done_priority_desc_id;
CREATE INDEX CONCURRENTLY tasks_done_priority_desc_id ON tasks (done, (-priority), id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS tasks_done_priority_desc_id;
DROP INDEX CONCURRENTLY IF EXISTS tasks_done_priority_id;
