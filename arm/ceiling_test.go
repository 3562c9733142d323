package arm

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// peakOf returns how many bytes of heap were in use at once while fn ran.
func peakOf(fn func()) uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, peak := m.HeapInuse, m.HeapInuse
	done := make(chan struct{})
	go func() { fn(); close(done) }()
	for {
		select {
		case <-done:
			return peak - before
		case <-time.After(2 * time.Millisecond):
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	}
}

// Several of the largest requests at once, of the forms that take most memory, stay
// below a bound that does not grow with their number.
func TestLargeRequestsHaveACeiling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	fill := func(unit string, size int) string { return strings.Repeat(unit, size/len(unit)) }
	const size = 3900 << 10
	validate := deployments + "x/validate"
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"m%06d":%d,`, i, i)
		}
		return b.String()
	}
	for name, r := range map[string][3]string{
		"short values": {"POST", validate, wrap(`{"resources":[],"variables":{"v":[`+fill("0,", size)+`0]}}`, "", "")},
		"as many values as may be": {"POST", validate, wrap(`{"resources":[],"variables":{"v":[`+fill(`"`+strings.Repeat("x", 17)+`",`, size)+`0]},
		  "outputs":{"o":{"type":"array","value":"[variables('v')]"}}}`, "", "")},
		"members":     {"POST", validate, wrap(`{"resources":[],"variables":{"v":{`+members(190_000)+`"z":0}},"outputs":{"o":{"type":"object","value":"[variables('v')]"}}}`, "", "")},
		"expressions": {"POST", validate, wrap(`{"resources":[],"variables":{"v":[`+fill(`"[createArray(`+strings.Repeat("1,", 10_000)+`1)]",`, size)+`0]},"outputs":{"o":{"type":"array","value":"[variables('v')]"}}}`, "", "")},
		"parameters":  {"POST", validate, wrap(`{"parameters":{"p":{"type":"array"}},"resources":[]}`, `{"p":{"value":[`+fill("1,", 390_000)+`0]}}`, "")},
		"one text":    {"POST", validate, wrap(`{"parameters":{"p":{"type":"string"}},"resources":[]}`, `{"p":{"value":"`+fill("x", size)+`"}}`, "")},
		"a record":    {"PUT", customerRG + "/providers/Microsoft.Storage/storageAccounts/acct", `{"properties":{"x":[` + fill("0,", 199_000) + `0]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			peak := peakOf(func() {
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						if a := f.do("owner", r[0], r[1], r[2]); a.status == 500 {
							t.Errorf("got %.300s", a.raw)
						}
					})
				}
				all.Wait()
			})
			t.Logf("%d MB", peak>>20)
			if peak > 500<<20 {
				t.Errorf("%d MB were in use at once", peak>>20)
			}
		})
	}
}
