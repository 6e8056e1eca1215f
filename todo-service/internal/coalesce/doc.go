// Package coalesce implements request coalescing: concurrent calls share the work
// that answers them.
//
// Batcher collects keys. Calls that arrive while enough batches run join the next
// one, which answers all of them by one statement or one round trip:
//
//	calls    A      B C D            E F
//	         │      └─┴─┴──────┐     └─┴──────┐
//	batches  [A··········]     [B C D········][E F·····]    MaxInFlight: 1
//
// A batch always starts after its calls began, so each call sees every write that
// was confirmed before it.
//
// Flights is single flight: equal calls share one running call, or its result while
// that is fresh. golang.org/x/sync/singleflight has no freshness, and ends the
// process when a call panics.
//
// The work belongs to no caller: it runs in a goroutine of its own, which may run several
// batches. Its context keeps the values of the call that started the goroutine, and drops
// that call's cancellation. A panic in the work is an error for its callers.
package coalesce
