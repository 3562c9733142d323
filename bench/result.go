package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Better says in which direction a figure improves.
type Better string

// The directions.
const (
	Higher Better = "higher"
	Lower  Better = "lower"
)

// Result is one figure. What there is not, is nil: Value on a system that does
// not tell it, Baseline and Ratio where there is nothing to compare with, Want
// where there is no goal.
type Result struct {
	Scenario string   `json:"scenario"`
	Metric   string   `json:"metric"`
	Value    *float64 `json:"value"`
	Unit     string   `json:"unit"`
	Baseline *float64 `json:"baseline"`
	// Ratio is Intertie over baseline: the median over pairs of neighbouring
	// slices where there are such, so it may differ a little from
	// Value/Baseline.
	Ratio *float64 `json:"ratio"`
	// Want is the goal for Ratio, or for Value where there is no ratio.
	Want   *float64 `json:"want"`
	Better Better   `json:"better"`
	// Note says what bounds the figure, or what else has to be known of it.
	Note string `json:"note,omitempty"`
}

// Judged reports whether r has a goal and a figure to hold against it.
func (r Result) Judged() bool { return r.Want != nil && r.judged() != nil }

// Met reports whether the goal is reached; true when there is none.
func (r Result) Met() bool {
	if !r.Judged() {
		return true
	}
	if r.Better == Higher {
		return *r.judged() >= *r.Want
	}
	return *r.judged() <= *r.Want
}

// judged is the figure that the goal is for.
func (r Result) judged() *float64 {
	if r.Baseline != nil || r.Ratio != nil {
		return r.Ratio
	}
	return r.Value
}

// WriteJSON writes results as one JSON array, for scripts.
func WriteJSON(w io.Writer, results []Result) error {
	if results == nil {
		results = []Result{}
	}
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// WriteTable writes results as a table, for people.
func WriteTable(w io.Writer, results []Result) error {
	var b bytes.Buffer // writing to it cannot fail
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(tw, strings.Join(cells, "\t")) }
	row("METRIC", "INTERTIE", "BASELINE", "UNIT", "RATIO", "WANT", "")
	for _, r := range results {
		verdict := ""
		if r.Judged() {
			verdict = "met"
			if !r.Met() {
				verdict = "MISSED"
			}
		}
		row(r.Metric, number(r.Value), number(r.Baseline), r.Unit, number(r.Ratio), r.goal(), verdict)
	}
	_ = tw.Flush()
	for i, r := range slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Note == "" }) {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %s\n", r.Metric, r.Note)
	}
	for line := range bytes.Lines(b.Bytes()) {
		if _, err := fmt.Fprintf(w, "%s\n", bytes.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (r Result) goal() string {
	if r.Want == nil {
		return ""
	}
	sign := "≤ "
	if r.Better == Higher {
		sign = "≥ "
	}
	if r.Baseline == nil && r.Ratio == nil {
		return sign + number(r.Want) + " " + r.Unit
	}
	return sign + number(r.Want)
}

// number writes a figure with as many digits as a measurement deserves.
func number(v *float64) string {
	if v == nil {
		return "–"
	}
	switch a := math.Abs(*v); {
	case a >= 100:
		return thousands(*v)
	case a == math.Trunc(a):
		return strconv.FormatFloat(*v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(*v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(*v, 'f', 2, 64)
	}
}

func thousands(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// compare makes a result of figures taken in turns: base[i] and own[i] are
// neighbours in time.
func compare(metric, unit string, better Better, want *float64, base, own []float64) Result {
	r := Result{Metric: metric, Unit: unit, Better: better, Want: want}
	if len(own) == 0 || len(own) != len(base) {
		return r
	}
	r.Value, r.Baseline = new(median(own)), new(median(base))
	ratios := make([]float64, 0, len(own))
	for i := range own {
		if base[i] > 0 {
			ratios = append(ratios, own[i]/base[i])
		}
	}
	if len(ratios) > 0 {
		r.Ratio = new(median(ratios))
	}
	return r
}

// median returns the middle of vs, which it leaves as it was; 0 when empty.
func median(vs []float64) float64 {
	if len(vs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(vs))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
