// Package bench measures Intertie against plain baselines, on this machine, in
// one run.
//
// Absolute numbers say little about a program on a shared machine, so every
// figure stands beside another one of the same run: that of a program that does
// the same transport work and nothing else, or that of Intertie itself without
// what the scenario is about. What can be measured in turns is, in slices of
// about a second, so that a slow moment hits both; the figures are medians over
// the slices, and a ratio is the median of the ratios of neighbouring slices.
//
//	this process               load generator ──▶ Intertie (child) ──▶ webhooks
//	                           load generator ──▶ baseline (child) ──▶ webhooks
//
// Intertie runs as `intertie serve` of the same binary in a temporary folder,
// the baselines ([RunBaseline]) as another child. The load generator writes raw
// HTTP/1.1 over connections that stay open, so that it takes little of the
// machine that it shares with what it measures. Throughput is measured in a
// closed loop (each connection sends when it was answered), latency in an open
// one (requests leave at a fixed rate and latency counts from the moment a
// request should have left, so a stall is not hidden).
//
// The scenarios:
//
//	parts.go batches.go match.go  one stream, against baselines (main and its parts; batch)
//	neighbour.go                  customers whose endpoints are well, beside some in trouble
//	burst.go                      more than an endpoint takes, and a crash in the middle
//	waiting.go retries.go         a million retries that are not due
//	fanout.go crowd.go copies.go  many matches, and many subscriptions that do not match
//
// What would take hours to bring about over the network (retries that wait for
// hours) or minutes (a hundred thousand subscriptions) is written into the data
// folder of a stopped server, by the packages that the server itself writes it
// with; the results say so.
//
// Every event carries the number of its run, its own number and the time it was
// sent. Webhooks behave as a scenario tells them ([manner]) and show what arrives
// to an [account], which counts by number: a repeat is not counted twice, and an
// event that is missing at the end, or arrived where it should not, fails the
// whole run. Where an endpoint is still in trouble at the end, the server's
// metrics must say that what has not arrived is still owed.
//
// All traffic stays on loopback, everything is bounded in time, and children
// and folders are gone when [Run] returns, also after an interrupt.
//
// The package must not know the management API: the caller sets Intertie up
// through [Options.Setup].
package bench
