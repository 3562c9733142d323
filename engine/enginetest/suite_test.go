package enginetest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSuite runs the suite on an engine that makes no mistake, or, as
// TestTheSuiteFinds wants it, one.
func TestSuite(t *testing.T) {
	h := enginetest.Harness{
		New:    func(testing.TB) enginetest.Place { return newMemory(os.Getenv(mistake)) },
		Atomic: true, SettledSurvives: true, Patience: time.Minute,
	}
	if os.Getenv(mistake) != "" {
		h.Patience = 2 * time.Second
	}
	enginetest.Run(t, h)
}

const mistake = "INTERTIE_TEST_MISTAKE"

// TestTheSuiteFinds runs a part of the suite on an engine with one mistake each.
func TestTheSuiteFinds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a process for each mistake")
	}
	for what, where := range map[string]string{
		"stores twice":                      "Append",
		"any size":                          "Append/LargestRecord",
		"loses the last record":             "Append/InOrder",
		"hands out the newest first":        "Events",
		"hands out again and again":         "Events/EachOnce",
		"calls all its own":                 "Events/FormerBeforeNew",
		"no limit":                          "Events/StandsStill",
		"forgets what was out":              "Settle/Unsettled",
		"forgets settled":                   "Settle/Partly",
		"always marks":                      "Settle/Partly",
		"counts twice":                      "Settle/OneTwice",
		"settles the whole record":          "Settle/Partly",
		"settles before it refuses":         "Move/Largest",
		"stores one of a Move":              "Move/FromEvents",
		"does not settle what it moves":     "Move/FromDeliveries",
		"keeps slices":                      "Move/Keeps",
		"truncates times":                   "Move/Fields",
		"counts heads only":                 "Move/Held",
		"a moment early":                    "Due/NeverEarly",
		"in order of writing":               "Due",
		"mixes queues":                      "Due/QueuesAreApart",
		"believes every clock":              "Due/FarAhead",
		"sleeps until something is written": "Due",
		"ends when all is out":              "Spilled",
		"drops without a word":              "Drop",
		"drops what is out":                 "Drop/WhatIsOut",
		"believes every position":           "Commit/Conflict",
		"half a transaction":                "Commit",
		"is fresh when it is empty":         "Commit/Fresh",
		"revisions begin again":             "Follow/Revisions",
		"skips transactions":                "Follow",
		"closes like a crash":               "Settle/Nothing",
		"takes after close":                 "Close/NothingIsTaken",
		"does not look at the room":         "Space",
		"":                                  "Append",
	} {
		t.Run(what, func(t *testing.T) {
			run := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSuite$/"+where, "-test.failfast", "-test.timeout=60s")
			run.Env = append(os.Environ(), mistake+"="+what)
			out, err := run.CombinedOutput()
			switch found := err != nil; {
			case strings.Contains(string(out), "no tests to run"):
				t.Fatalf("%s is no test", where)
			case found != (what != ""):
				t.Errorf("found something: %v\n%s", found, out)
			default:
				t.Logf("%s", out)
			}
		})
	}
}
