// Package e2e holds the end-to-end tests: they start the program as its users
// do, in a process of its own, and talk to it only over the network, mostly
// with the Azure SDK for Go.
//
// What the tests share is in files named for it: process_test.go starts, stops
// and kills servers, receiver_test.go is a webhook endpoint, side_test.go makes
// partners and customers, stream_test.go connects them, source_test.go makes
// custom topics and domains, wire_test.go sends raw requests, node_test.go runs
// the scripts in js, which are written with the Azure SDK for JavaScript,
// az_cli_test.go runs the Azure CLI.
//
// Everything runs on loopback. Most tests need nothing installed but Go. Those
// that need node and npm packages (the folder is in INTERTIE_NODE_MODULES), az,
// curl, or the right to mount a file system are skipped without it, and fail
// where INTERTIE_REQUIRE_EXTERNAL=1.
//
// The package must not look inside the program: whatever it finds, a user could
// find.
package e2e
