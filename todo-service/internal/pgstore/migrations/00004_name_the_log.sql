-- +goose Up
-- The name of this log. Announcements carry it: others may use the same channel, and
-- give other events the same places. A copy of the database has the same name.
ALTER TABLE stream ADD COLUMN log uuid NOT NULL DEFAULT gen_random_uuid();

-- +goose Down
ALTER TABLE stream DROP COLUMN log;
