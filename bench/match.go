package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/intertie/intertie/filter"
)

// matching compares an event against many filters with the same event against
// few, inside this process: the cost must follow the matches, not the filters.
const (
	manyFilters = 10_000
	fewFilters  = 100
	// wantMatch is the time for one event against manyFilters of which one
	// matches, in µs; wantGrowth how much longer that may take than fewFilters.
	wantMatch  = 5.0
	wantGrowth = 2.0
)

var match = part{weight: 1.5, run: runMatch}

// matchKinds are the shapes of filters that occur in masses, each with a hole
// for a number. The event is [eventJSON] and matches number 7 alone.
var matchKinds = []struct {
	name string
	spec string
	// parses tells that matching has to look into the event's JSON, whose cost
	// is not the index's; there is no goal in µs then.
	parses bool
}{
	{name: "event type", spec: `{"includedEventTypes":["Contoso.Orders.Kind%05d"]}`},
	{name: "subject prefix", spec: `{"subjectBeginsWith":"/tenants/t-%05d/"}`},
	{name: "advanced filter", spec: `{"advancedFilters":[{"operatorType":"StringIn","key":"data.tenant","values":["t-%05d"]}]}`, parses: true},
}

func runMatch(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	l.sayf("match one event against %d filters, %v", manyFilters, budget.Round(100*time.Millisecond))
	body := eventJSON()
	var rs []Result
	for i, k := range matchKinds {
		began := time.Now()
		few, err := newIndex(k.spec, fewFilters)
		if err != nil {
			return nil, err
		}
		many, err := newIndex(k.spec, manyFilters)
		if err != nil {
			return nil, err
		}
		mine := (budget - time.Since(began)) / time.Duration(len(matchKinds)-i)
		budget -= mine + time.Since(began)
		const rounds = 9
		lasts := max(mine/(2*rounds), 2*time.Millisecond)
		var fewTimes, manyTimes []float64
		for range rounds {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			for _, side := range []struct {
				ix    *filter.Index[int]
				times *[]float64
			}{{few, &fewTimes}, {many, &manyTimes}} {
				d, err := timeMatch(side.ix, body, lasts)
				if err != nil {
					return nil, fmt.Errorf("match by %s: %w", k.name, err)
				}
				*side.times = append(*side.times, float64(d.Nanoseconds())/1000)
			}
		}
		if !k.parses {
			rs = append(rs, Result{
				Metric: "match 1 of 10,000 by " + k.name, Unit: "µs", Better: Lower,
				Value: new(median(manyTimes)), Want: new(wantMatch),
			})
		}
		rs = append(rs, compare("match 10,000 beside 100 by "+k.name, "µs", Lower, new(wantGrowth), fewTimes, manyTimes))
	}
	return rs, nil
}

func newIndex(spec string, n int) (*filter.Index[int], error) {
	entries := make([]filter.Entry[int], n)
	for i := range entries {
		var s filter.Spec
		if err := json.Unmarshal(fmt.Appendf(nil, spec, i), &s); err != nil {
			return nil, fmt.Errorf("read a filter: %w", err)
		}
		f, err := filter.Compile(s)
		if err != nil {
			return nil, fmt.Errorf("compile a filter: %w", err)
		}
		entries[i] = filter.Entry[int]{Filter: f, Value: i}
	}
	return filter.NewIndex(entries), nil
}

// timeMatch returns the time one match takes, averaged over as many as fit in
// lasts.
func timeMatch(ix *filter.Index[int], body []byte, lasts time.Duration) (time.Duration, error) {
	var dst []int
	start, n := time.Now(), 0
	for {
		for range 32 { // the clock costs as much as a match
			in := filter.Input{Type: "Contoso.Orders.Kind00007", Subject: "/tenants/t-00007/orders/4711", JSON: body}
			dst = ix.Match(&in, dst[:0])
			n++
		}
		if len(dst) != 1 || dst[0] != 7 {
			return 0, fmt.Errorf("the index answers %v instead of [7]", dst)
		}
		if spent := time.Since(start); spent >= lasts {
			return spent / time.Duration(n), nil
		}
	}
}
