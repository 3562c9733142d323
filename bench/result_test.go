package bench

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var samples = []Result{
	{Scenario: "main", Metric: "publish", Unit: "events/s", Better: Higher, Value: new(21234.4), Baseline: new(40000.0), Ratio: new(0.531), Want: new(0.5)},
	{Scenario: "main", Metric: "grow", Unit: "µs", Better: Lower, Value: new(4.0), Baseline: new(1.5), Ratio: new(2.667), Want: new(2.0)},
	{Scenario: "main", Metric: "memory", Unit: "MB", Better: Lower, Value: new(64.25), Want: new(80.0)},
	{Scenario: "main", Metric: "peak", Unit: "MB", Better: Lower, Value: new(1234567.0)},
	{Scenario: "main", Metric: "untold", Unit: "MB", Better: Lower, Want: new(80.0)},
}

func TestWriteTable(t *testing.T) {
	var b bytes.Buffer
	if err := WriteTable(&b, samples); err != nil {
		t.Fatal(err)
	}
	want := `METRIC   INTERTIE   BASELINE  UNIT      RATIO  WANT
publish  21,234     40,000    events/s  0.53   ≥ 0.50   met
grow     4          1.50      µs        2.67   ≤ 2      MISSED
memory   64.2       –         MB        –      ≤ 80 MB  met
peak     1,234,567  –         MB        –
untold   –          –         MB        –      ≤ 80 MB
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteJSON(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, samples[2:3]); err != nil {
		t.Fatal(err)
	}
	want := `[
  {
    "scenario": "main",
    "metric": "memory",
    "value": 64.25,
    "unit": "MB",
    "baseline": null,
    "ratio": null,
    "want": 80,
    "better": "lower"
  }
]
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := WriteJSON(&b, nil); err != nil || b.String() != "[]\n" {
		t.Errorf("no results are written as %q, %v", b.String(), err)
	}
}

func TestMet(t *testing.T) {
	tests := []struct {
		r           Result
		judged, met bool
	}{
		{Result{Better: Higher, Value: new(1.0), Baseline: new(2.0), Ratio: new(0.5), Want: new(0.5)}, true, true},
		{Result{Better: Higher, Value: new(1.0), Baseline: new(2.0), Ratio: new(0.49), Want: new(0.5)}, true, false},
		{Result{Better: Lower, Ratio: new(2.1), Baseline: new(1.0), Want: new(2.0)}, true, false},
		{Result{Better: Lower, Value: new(81.0), Want: new(80.0)}, true, false},
		{Result{Better: Lower, Value: new(79.0), Want: new(80.0)}, true, true},
		{Result{Better: Lower, Want: new(80.0)}, false, true},
		{Result{Better: Lower, Value: new(1.0)}, false, true},
	}
	for _, tt := range tests {
		if tt.r.Judged() != tt.judged || tt.r.Met() != tt.met {
			t.Errorf("%+v: judged %v, met %v", tt.r, tt.r.Judged(), tt.r.Met())
		}
	}
}

func TestNotesFollowTheTable(t *testing.T) {
	var b bytes.Buffer
	rs := []Result{
		{Metric: "a", Unit: "s", Better: Lower, Value: new(1.0), Note: "bounded by the endpoint"},
		{Metric: "b", Unit: "s", Better: Lower, Value: new(2.0)},
		{Metric: "c", Unit: "s", Better: Lower, Value: new(3.0), Note: "100 % sure"},
	}
	if err := WriteTable(&b, rs); err != nil {
		t.Fatal(err)
	}
	_, notes, _ := strings.Cut(b.String(), "\n\n")
	if diff := cmp.Diff("a: bounded by the endpoint\nc: 100 % sure\n", notes); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := WriteJSON(&b, rs[:1]); err != nil || !strings.Contains(b.String(), `"note": "bounded by the endpoint"`) {
		t.Errorf("no note in %s, %v", b.String(), err)
	}
}

// TestCompare: a drift that hits neighbours alike leaves the ratio alone.
func TestCompare(t *testing.T) {
	r := compare("m", "u", Higher, nil, []float64{100, 50, 10}, []float64{50, 25, 5})
	if *r.Value != 25 || *r.Baseline != 50 || *r.Ratio != 0.5 {
		t.Errorf("value %v, baseline %v, ratio %v", *r.Value, *r.Baseline, *r.Ratio)
	}
	r = compare("m", "u", Higher, nil, []float64{0, 0}, []float64{1, 3})
	if r.Ratio != nil || *r.Value != 2 {
		t.Errorf("a baseline of zero gives %+v", r)
	}
	if r := compare("m", "u", Higher, nil, nil, nil); r.Value != nil {
		t.Errorf("nothing measured gives %+v", r)
	}
}
