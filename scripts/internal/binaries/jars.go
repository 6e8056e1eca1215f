package binaries

import "context"

// Jars downloads the pinned jars of a program, such as "kafka", and returns their paths. The folder of each is named
// by the jar's checksum.
func (f Finder) Jars(ctx context.Context, program string) ([]string, error) {
	pins, err := artifactsOf(program)
	if err != nil {
		return nil, err
	}
	return f.Cache.ensure(ctx, "the jars of "+program, pins)
}
