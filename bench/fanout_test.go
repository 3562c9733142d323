package bench

import (
	"slices"
	"testing"
	"time"
)

// TestClassesAndFiltersAgree: whom an event is expected to reach is whose filter
// names its type.
func TestClassesAndFiltersAgree(t *testing.T) {
	f := fan{n: 40, some: 10}
	hooks := make([]*hook, f.n)
	for i := range hooks {
		hooks[i] = &hook{number: 7 + i}
	}
	for i, c := range f.classes(nil, hooks) {
		if want := []int{1, 10, 40}[i]; c.matches != want {
			t.Errorf("class %s matches %d, want %d", c.name, c.matches, want)
		}
		for seq := range uint64(100) {
			reached := 0
			for sub, h := range hooks {
				expected := c.wants(seq, h.number)
				if named := slices.Contains(f.types(sub), eventType(c.kind(seq))); named != expected {
					t.Fatalf("class %s, event %d, subscription %d: expected %v, filtered %v", c.name, seq, sub, expected, named)
				}
				if expected {
					reached++
				}
			}
			if reached != c.matches {
				t.Fatalf("class %s: event %d reaches %d", c.name, seq, reached)
			}
		}
		if n := c.fanEvents(); n < 1 || n*c.matches > 1<<20 {
			t.Errorf("class %s: %d events in a slice", c.name, n)
		}
	}
	subs := f.subscriptions(hooks)
	if len(subs) != f.n || subs[3].EventTypes[0] != "Contoso.Orders.Kind10003" || subs[3].Name == subs[4].Name {
		t.Errorf("subscriptions: %+v", subs[3:5])
	}
}

func TestFanResults(t *testing.T) {
	of := func(matches int, deliveries ...float64) *class {
		c := &class{matches: matches, hooks: make([]*hook, 500)}
		for _, d := range deliveries {
			c.done = append(c.done, fanned{deliveries: d, events: d / float64(matches), count: 10, cpu: time.Duration(matches) * time.Millisecond, repeats: 1})
		}
		return c
	}
	rs := fanResults([]*class{
		of(1, 1000, 2000, 3000), of(10, 900, 1800, 2700), of(500, 500, 1000, 1500), of(1, 2000, 4000, 6000),
	})
	want := map[string]float64{
		"matches 1 of 500, beside 1 of 1":              0.5,
		"matches 10 of 500, beside 1, deliveries":      0.9,
		"matches 500 of 500, beside 1, deliveries":     0.5,
		"matches 500 of 500, events":                   2,
		"fan-out, repeated deliveries":                 12,
		"matches 1 of 500, events":                     2000,
		"server CPU per event, 1 of 500 beside 1 of 1": 1,
		"matches 10 of 500, events":                    180,
	}
	for _, r := range rs {
		got := r.Value
		if r.Ratio != nil {
			got = r.Ratio
		}
		if w, ok := want[r.Metric]; !ok || *got != w {
			t.Errorf("%s is %v, want %v", r.Metric, *got, w)
		}
		delete(want, r.Metric)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}
