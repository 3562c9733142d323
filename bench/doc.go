// Package bench measures Intertie against plain baselines, on this machine, in
// one run.
//
// Absolute numbers say little about a program on a shared machine, so every
// figure stands beside that of a program that does the same transport work and
// nothing else, under the same load. Baseline and Intertie are measured in
// turns, in slices of about a second, so that a slow moment hits both; the
// figures are medians over the slices, and a ratio is the median of the ratios
// of neighbouring slices.
//
//	this process               load generator ──▶ Intertie (child) ──▶ receiver
//	                           load generator ──▶ baseline (child) ──▶ receiver
//
// Intertie runs as `intertie serve` of the same binary in a temporary folder,
// the baselines ([RunBaseline]) as another child. The load generator writes raw
// HTTP/1.1 over connections that stay open, so that it takes little of the
// machine that it shares with what it measures. Throughput is measured in a
// closed loop (each connection sends when it was answered), latency in an open
// one (requests leave at a fixed rate and latency counts from the moment a
// request should have left, so a stall is not hidden).
//
// Every event carries the number of its slice, its own number and the time it
// was sent. The receiver counts by number: a repeat is not counted twice, and
// an event that is missing at the end of a slice fails the whole run.
//
// All traffic stays on loopback, everything is bounded in time, and children
// and folders are gone when [Run] returns, also after an interrupt.
//
// The package must not know the management API: the caller sets Intertie up
// through [Options.Setup].
package bench
