// Package netproxy implements a TCP fault proxy: it forwards connections to one server, and on
// request delays, stalls, drops, resets or rejects them. Only DropResponses and resets lose data.
//
//	            +--------- Proxy ---------+
//	            |  read -> wait -> write  |
//	client <--> |                         | <--> server
//	            |  write <- wait <- read  |
//	            +-------------------------+
//
//	mode           requests         responses        new connections
//	Forward        forwarded        forwarded        accepted
//	Stall          held             held             accepted, held; what is held is forwarded later
//	DropResponses  forwarded        discarded        accepted
//	Reject         reset            reset            reset
//
// A wait ends when the latency has passed and the mode is not Stall. Meanwhile nothing is read from the
// sender.
package netproxy
