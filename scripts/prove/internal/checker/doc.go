// Package checker judges a run of prove. It knows nothing of the services' code: it
// compares what the clients were told, what the database and the topics hold, what
// the provider received and what GET /stats says, and by which names the
// specification calls things. Collect gathers what is not in the evidence yet,
// Judge turns evidence into a verdict of one row per promise.
//
// A row blames one part of the system: the effects of a completion are judged when
// the topic has it and the group did not dead-letter it, and their order by the
// topic's. What went wrong before that is red in the row it belongs to, and a verdict
// is good only when all rows are.
//
// A row that had nothing to look at is red where the scenario expected something:
// a check that saw nothing has proved nothing.
package checker
