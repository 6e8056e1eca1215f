-- +goose Up
-- Gives a place in the log to at most this many events that have none, in the
-- order of pos, and returns the last place given, or 0. An event can be committed
-- after one with a greater pos, but of one task's events the lesser pos is always
-- committed first: so the order in the log is that of each task, and nothing is
-- passed over.
--
-- Each statement in here sees what is committed when it begins. The row of stream
-- is locked by one before the one that numbers, which so sees all that the
-- previous holder numbered. A call is a transaction of its own, and short: nobody
-- waits for Kafka while it holds the row.
--
-- Its plans are kept for as long as a session. One that was made while there were few
-- events must not be to read them all: without hash and merge joins they are looked
-- up by their pos.
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
