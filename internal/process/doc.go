// Package process builds the program and runs it in processes of its own, for
// tests that treat it as its users do: by flags, files, signals and the network.
//
// It knows what every such test needs. What a test makes of a server is its own.
package process
