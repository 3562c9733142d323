//go:build race

package e2e

// raceEnabled: the server is built like the tests.
const raceEnabled = true
