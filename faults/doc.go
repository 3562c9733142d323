// Package faults holds the tests that break what the program stands on: they kill
// it, cut its power, let its disk fail and hang, and damage its files.
//
// Every test is of one form: a server under load, of which the driver keeps a
// ledger (world_test.go, ledger_test.go); a fault; a start; and a look whether
// everything is there that was acknowledged. The rule: no fault loses an
// acknowledged event or management write in silence. What cannot be kept is
// named by a start that is refused, or by an error in the log.
//
// The disk is a file system in memory (disk_test.go), mounted through FUSE, which
// knows what was synced. It takes Linux, /dev/fuse, and the right to mount or
// fusermount3; its tests are skipped without, and fail in CI.
//
//	go test ./faults                                      what CI does, some two minutes
//	go test ./faults -faults.rounds 100 -faults.seed 7    more, elsewhere
//
// A seed decides what is broken where. What the program has under way at that
// moment is up to the machine.
//
// The package must not look inside the program, as in e2e. The engine's own
// suites go through every operation and every byte in memory; these here are for
// what only the whole program shows. Two faults are elsewhere: a disk that fills up
// in e2e, and a wrong clock, which no process can be given from outside, in app.
package faults
