// Package e2e holds the end-to-end tests: they start the program as its users
// do, in a process of its own, and talk to it only over the network, mostly
// with the Azure SDK for Go.
//
// What the tests share is in files named for it: process_test.go starts, stops
// and kills servers, receiver_test.go is a webhook endpoint, side_test.go makes
// partners and customers, stream_test.go connects them, wire_test.go sends raw
// requests. Everything runs on loopback and needs nothing installed but Go.
//
// The package must not look inside the program: whatever it finds, a user could
// find.
package e2e
