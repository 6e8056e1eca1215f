-- +goose Up
-- The name of this event log. Announcements carry it: another log may use the same
-- channel, with other events under the same seq. A copy of the database has the same
-- name.
ALTER TABLE stream ADD COLUMN log uuid NOT NULL DEFAULT gen_random_uuid();

-- +goose Down
ALTER TABLE stream DROP COLUMN log;
