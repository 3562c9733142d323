package filter

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAffixesAgainstNaive(t *testing.T) {
	word := rapid.StringMatching(`[ab]{1,6}c?`)
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfNDistinct(word, 1, 12, rapid.ID).Draw(t, "texts")
		subject := rapid.StringMatching(`[abc]{0,9}`).Draw(t, "subject")
		buckets := map[string]int32{}
		var want, got []string
		for i, text := range texts {
			buckets[text] = int32(i)
			if strings.HasPrefix(subject, text) {
				want = append(want, text)
			}
		}
		a := newAffixes(buckets)
		for i := a.find([]byte(subject)); i >= 0; i = a.parents[i] {
			got = append(got, texts[a.buckets[i]])
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("prefixes of %q among %q (-want +got):\n%s", subject, texts, diff)
		}
	})
}

func TestIntervalsAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.Map(rapid.IntRange(0, 12), func(i int) float64 { return float64(i) / 2 })
		var all []interval
		for i := range rapid.IntRange(1, 20).Draw(t, "n") {
			x, y := end.Draw(t, "x"), end.Draw(t, "y")
			all = append(all, interval{low: min(x, y), high: max(x, y), entry: int32(i)})
		}
		x := end.Draw(t, "number")
		var want []int32
		for _, i := range all {
			if i.low <= x && x <= i.high {
				want = append(want, i.entry)
			}
		}
		got := newIntervals(all).find(x, nil)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
