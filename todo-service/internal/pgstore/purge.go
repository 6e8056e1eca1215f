package pgstore

import (
	"context"
	"time"

	"example.com/todo/platform/postgres"
)

// Purge removes the oldest entries of the log, at most limit, and returns how
// many: fewer than limit means that none is left to remove. An entry goes when it
// happened longer ago than age, by the database's clock, when every cursor has
// passed it, and when all before it are gone: purged_through moves with them, so
// that a reader from further back is refused instead of missing something. Two
// callers at once do no harm.
func (s *Store) Purge(ctx context.Context, age time.Duration, limit int) (int, error) {
	var purged int
	err := s.selectOne(ctx, &purged, `
		WITH oldest AS (
			SELECT seq, at FROM events, stream
			WHERE seq > purged_through AND seq <= least(kafka_seq, live_seq)
			ORDER BY seq LIMIT $2
		), purged AS (
			DELETE FROM events WHERE seq IN (SELECT seq FROM oldest) AND seq < coalesce(
				(SELECT min(seq) FROM oldest WHERE at >= now() - $1 * interval '1 microsecond'),
				9223372036854775807)
			RETURNING seq
		), moved AS (
			UPDATE stream SET purged_through = greatest(purged_through, (SELECT max(seq) FROM purged))
			WHERE EXISTS (SELECT FROM purged)
		)
		SELECT count(*) FROM purged`, age.Microseconds(), limit)
	return purged, postgres.Classify(err)
}
