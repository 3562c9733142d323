// Package app wires the program together and owns its life: [New] checks the
// options, Start opens everything and returns when the server is ready, Stop
// lets it end without losing anything. Several Apps can run in one process.
//
// The wiring is one visible list of steps in start.go. Nothing else imports this package
// but the commands; no other package knows it.
package app
