package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRunMain(t *testing.T) {
	o := fakeOptions(t, honest)
	o.Duration = 4 * time.Second
	results, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	assertClean(t, o)
	seen := map[string]Result{}
	for _, r := range results {
		if _, twice := seen[r.Metric]; twice {
			t.Errorf("%q occurs twice", r.Metric)
		}
		seen[r.Metric] = r
		if r.Scenario != "main" || r.Unit == "" || r.Better != Higher && r.Better != Lower {
			t.Errorf("incomplete: %+v", r)
		}
	}
	for _, metric := range []string{
		"publish, 64 connections", "publish, batches of 100", "publish to webhook, delivered",
		"publish p50 at half load", "publish p99 at half load",
		"publish to receive p50 at half load", "publish to receive p99 at half load",
		"match 10,000 beside 100 by event type",
	} {
		r, ok := seen[metric]
		if !ok {
			t.Errorf("no %q", metric)
			continue
		}
		if r.Value == nil || *r.Value <= 0 || r.Baseline == nil || *r.Baseline <= 0 || r.Ratio == nil || *r.Ratio <= 0 {
			t.Errorf("%q has no figures", metric)
		}
	}
	for metric, want := range map[string]float64{
		"publish, 64 connections": 0.5, "publish, batches of 100": 0.5, "publish to webhook, delivered": 0.5,
		"memory, idle": 80, "match 1 of 10,000 by event type": 5, "match 10,000 beside 100 by event type": 2,
	} {
		if r := seen[metric]; r.Want == nil || *r.Want != want {
			t.Errorf("%q: want is %v, not %v", metric, r.Want, want)
		}
	}
}

// TestRunBatches: what goes in as batches must come out as such, on both sides.
func TestRunBatches(t *testing.T) {
	o := fakeOptions(t, honest)
	o.Scenario, o.Duration = "batch", 4*time.Second
	results, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	assertClean(t, o)
	for _, r := range results {
		switch r.Metric {
		case "batches of 1,000 in and out, delivered":
			if r.Ratio == nil || *r.Ratio <= 0 || *r.Want != 0.4 {
				t.Errorf("%+v", r)
			}
		case "events in a delivery":
			if *r.Value != batchEvents || *r.Baseline != batchEvents {
				t.Errorf("%v events in a delivery of Intertie, %v of the baseline", *r.Value, *r.Baseline)
			}
			return
		}
	}
	t.Error("the size of deliveries is not reported")
}

func TestRunFaults(t *testing.T) {
	tests := []struct {
		how, scenario string
		is            error
		contains      string
	}{
		{how: forgetful, scenario: "deliver", is: errMissing, contains: "Intertie"},
		{how: refusing, scenario: "publish", contains: "answered 503"},
		{how: unstarted, scenario: "publish", contains: "the data folder is used by another process"},
		{how: shortLived, scenario: "publish", contains: "out of luck"},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			o := fakeOptions(t, tt.how)
			o.Scenario, o.drain = tt.scenario, 500*time.Millisecond
			results, err := Run(t.Context(), o)
			if err == nil || results != nil {
				t.Fatalf("results %v, error %v; want an error alone", results, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.contains) {
				t.Errorf("error: %v", err)
			}
			assertClean(t, o)
		})
	}
}

func TestRunCountsRepeats(t *testing.T) {
	o := fakeOptions(t, repeating)
	o.Scenario = "deliver"
	results, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Metric == "publish to webhook, repeated deliveries" {
			if *r.Value < 1 {
				t.Error("no repeat was noticed")
			}
			return
		}
	}
	t.Error("repeats are not reported")
}

func TestRunCancelled(t *testing.T) {
	why := errors.New("interrupted")
	t.Run("while it starts", func(t *testing.T) {
		o := fakeOptions(t, mute)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, why)
		defer cancel()
		began := time.Now()
		if _, err := Run(ctx, o); !errors.Is(err, why) {
			t.Errorf("error: %v", err)
		}
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("took %v", d)
		}
		assertClean(t, o)
	})
	t.Run("under load", func(t *testing.T) {
		o := fakeOptions(t, honest)
		o.Duration = time.Minute
		o.Scenario = "publish"
		ctx, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, why)
		defer cancel()
		began := time.Now()
		if _, err := Run(ctx, o); !errors.Is(err, why) {
			t.Errorf("error: %v", err)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
		assertClean(t, o)
	})
}

// TestStubbornChild: a child that does not want to end is made to.
func TestStubbornChild(t *testing.T) {
	o := fakeOptions(t, stubborn)
	o.Scenario = "memory"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	if _, err := Run(ctx, o); err == nil {
		t.Error("no error")
	}
	if d := time.Since(began); d > stopTimeout+5*time.Second {
		t.Errorf("took %v", d)
	}
	assertClean(t, o)
}

func TestRunRefuses(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"unknown scenario": func(o *Options) { o.Scenario = "nonsense" },
		"too short":        func(o *Options) { o.Duration = time.Second },
		"too large":        func(o *Options) { o.Size = maxSize + 1 },
		"negative":         func(o *Options) { o.Size = -1 },
		"no setup":         func(o *Options) { o.Setup = nil },
		"no executable":    func(o *Options) { o.Executable = "/nonexistent/intertie" },
		"setup fails": func(o *Options) {
			o.Setup = func(context.Context, Target) (Endpoint, error) { return Endpoint{}, errors.New("no such topic") }
		},
		"setup points elsewhere": func(o *Options) {
			o.Setup = func(context.Context, Target) (Endpoint, error) {
				return Endpoint{URL: "http://192.0.2.1:80/api/events"}, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := fakeOptions(t, honest)
			o.Scenario = "publish"
			change(&o)
			if _, err := Run(t.Context(), o); err == nil {
				t.Error("no error")
			}
			assertClean(t, o)
		})
	}
}

func TestSetupIsTold(t *testing.T) {
	o := fakeOptions(t, honest)
	o.Scenario = "deliver"
	var got Target
	o.Setup = func(ctx context.Context, target Target) (Endpoint, error) {
		got = target
		return fakeSetup(ctx, target)
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(got.Subscriptions) != 1 || !strings.HasPrefix(got.Subscriptions[0].URL, "http://127.0.0.1:") || got.BaseURL == "" || got.HTTPURL == "" ||
		!strings.HasSuffix(got.CAFile, "ca.pem") || !strings.HasSuffix(got.AdminEnvFile, "admin.env") || got.Name == "" || got.Partner == "" {
		t.Errorf("setup was told %+v", got)
	}
}

func TestScenarios(t *testing.T) {
	list := Scenarios()
	if list[0].Name != "main" {
		t.Errorf("the default is not listed first: %v", list)
	}
	for _, s := range list {
		if s.Name == "" || s.Summary == "" {
			t.Errorf("%+v is not described", s)
		}
		grace := max(overrun, s.Duration/6)
		switch most := s.Duration + grace; {
		case s.Name == "main" && most > 50*time.Second, most > 175*time.Second && !strings.Contains(s.Name, "long"):
			t.Errorf("%s may take %v", s.Name, most)
		}
	}
}

func TestShare(t *testing.T) {
	parts := []part{{weight: 1}, {weight: 3}}
	if got := share(parts, 8500*time.Millisecond); got != 2*time.Second {
		t.Errorf("a quarter of 8 s is %v", got)
	}
	if got := share(parts[1:], 6500*time.Millisecond); got != 6*time.Second {
		t.Errorf("the last part gets %v of 6 s", got)
	}
	if got := share(parts, -time.Second); got != 0 {
		t.Errorf("time that is over shares to %v", got)
	}
	if got := share([]part{{}}, time.Second); got != 0 {
		t.Errorf("a part without weight gets %v", got)
	}
}

// TestOverrun: a run that does not get on is ended with an error that says so.
func TestOverrun(t *testing.T) {
	o := fakeOptions(t, mute)
	o.Grace = -o.Duration + 300*time.Millisecond
	_, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("error: %v", err)
	}
	assertClean(t, o)
}
