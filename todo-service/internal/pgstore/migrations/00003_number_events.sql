-- +goose Up
-- The sequencer: assigns seq to at most that many events without one, in the order of
-- pos, and returns the last seq assigned, or 0. An event can be committed after one with
-- a greater pos. Of one task's events, the lesser pos is always committed first. So the
-- log keeps the order of each task, and no event is passed over.
--
-- Each statement sees what is committed when it begins. The row of stream is locked by a
-- statement before the one that assigns, which therefore sees all that the previous
-- holder assigned. A call is a short transaction of its own: no caller waits for Kafka
-- while it holds the row.
--
-- A session keeps the plans. A plan that was made while there were few events must not
-- read every event later: without hash and merge joins it looks them up by pos.
-- +goose StatementBegin
CREATE FUNCTION number_events(most bigint) RETURNS bigint LANGUAGE plpgsql
	SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
	last   bigint;
	places bigint[];
BEGIN
	PERFORM pos FROM events WHERE seq IS NULL ORDER BY pos LIMIT 1;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	SELECT head INTO STRICT last FROM stream FOR UPDATE;
	places := ARRAY(SELECT pos FROM events WHERE seq IS NULL ORDER BY pos LIMIT most);
	IF cardinality(places) = 0 THEN
		RETURN 0;
	END IF;
	UPDATE events SET seq = last + place.n
	FROM unnest(places) WITH ORDINALITY AS place (pos, n)
	WHERE events.pos = place.pos;
	last := last + cardinality(places);
	UPDATE stream SET head = last;
	RETURN last;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION number_events(bigint);
