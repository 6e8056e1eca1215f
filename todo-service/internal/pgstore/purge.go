package pgstore

import (
	"context"
	"time"

	"example.com/todo/platform/postgres"
)

// Purge deletes at most limit of the oldest entries of the event log and returns how
// many: fewer than limit means that no other can be deleted. A deleted entry is older
// than age by the database's clock, and every cursor has passed it. All entries before
// it are deleted too. purged_through moves along, so a reader from further back is
// refused instead of missing entries. It is safe for concurrent use.
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
