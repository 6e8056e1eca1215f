package redisstore

import "context"

// SettleBatch settles users as of a generation.
func (s *Store) SettleBatch(ctx context.Context, generation string, users []string) (current bool, err error) {
	return s.settleBatch(ctx, generation, users)
}
