package pgstore

// ListQuery is what List asks, for EXPLAIN.
var ListQuery = listQuery
