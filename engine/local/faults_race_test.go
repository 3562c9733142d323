//go:build race

package local_test

// underRace says that everything takes ten times as long.
const underRace = true
