package bench

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const exposition = `# HELP eventgrid_matched_events_total Events that matched an event subscription.
# TYPE eventgrid_matched_events_total counter
eventgrid_matched_events_total{event_subscription="a",topic="/t/one"} 12
eventgrid_matched_events_total{event_subscription="b c",topic="/t/one"} 3
eventgrid_matched_events_total{event_subscription="a",topic="/t/one-more"} 100
eventgrid_delivery_success_total{event_subscription="a",topic="/t/one"} 1.1e+01
eventgrid_delivery_attempt_fail_total{error="503",error_type="Busy",event_subscription="a",topic="/t/one"} 3
eventgrid_delivery_attempt_fail_total{error="429",error_type="Busy",event_subscription="b c",topic="/t/one"} 2
eventgrid_delivery_attempt_fail_total{error="TimedOut",error_type="TimedOut",event_subscription="a",topic="/t/one"} 1
go_goroutines 7

intertie_eventlog_waiting_records{queue="retry"} 40
intertie_eventlog_waiting_records{queue="events"} 2
`

func TestScrape(t *testing.T) {
	s, err := parseScrape([]byte(exposition))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(owed{matched: 15, delivered: 11}, s.owed("/t/one"), cmp.AllowUnexported(owed{})); diff != "" {
		t.Error(diff)
	}
	const all = "the server matched 115, delivered 11, dead-lettered 0 and dropped 0; 5 attempts ended in Busy; 1 attempts ended in TimedOut"
	if diff := cmp.Diff(all, s.account()); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct {
		name, labels string
		want         float64
	}{
		{"go_goroutines", "", 7},
		{"intertie_eventlog_waiting_records", `queue="retry"`, 40},
		{"intertie_eventlog_waiting_records", "", 42},
		{"intertie_eventlog", "", 0},
		{"no_such_metric", "", 0},
	} {
		if got := s.sum(tt.name, tt.labels); got != tt.want {
			t.Errorf("%s with %s is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	for _, bad := range []string{"novalue", "name x", `name{a="b"} 1 2 three`} {
		if _, err := parseScrape([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzScrape(f *testing.F) {
	f.Add([]byte(exposition))
	f.Add([]byte("a{b=\"} \"} NaN\n{ 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseScrape(text)
		if err == nil {
			s.sum("a", "b")
		}
	})
}

func TestOwedAccounts(t *testing.T) {
	for name, tt := range map[string]struct {
		owed               owed
		published, arrived uint64
		waiting            uint64
		bad                bool
	}{
		"all there":                 {owed{matched: 10, delivered: 10}, 10, 10, 0, false},
		"some wait":                 {owed{matched: 10, delivered: 4}, 10, 4, 6, false},
		"one counted soon":          {owed{matched: 10, delivered: 4}, 10, 5, 6, false},
		"one never matched":         {owed{matched: 9, delivered: 9}, 10, 9, 0, true},
		"one was dropped":           {owed{matched: 10, delivered: 9, dropped: 1}, 10, 9, 0, true},
		"one is a dead letter":      {owed{matched: 10, delivered: 9, deadLettered: 1}, 10, 9, 0, true},
		"one was delivered nowhere": {owed{matched: 10, delivered: 10}, 10, 9, 0, true},
	} {
		waiting, err := tt.owed.check(tt.published, tt.arrived)
		if waiting != tt.waiting || (err != nil) != tt.bad || err != nil && !errors.Is(err, errMissing) {
			t.Errorf("%s: %d waiting, %v", name, waiting, err)
		}
	}
}
