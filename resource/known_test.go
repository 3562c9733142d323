package resource

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKnows(t *testing.T) {
	for tag, versions := range map[string]map[string]bool{
		"":                     {"2018-01-01": true, "": true},
		"2020-06-01..":         {"2018-01-01": false, "2020-04-01-preview": false, "2020-06-01": true, "2020-06-01-preview": true, "2025-02-15": true, "": true},
		"..2021-10-15-preview": {"2018-01-01": true, "2021-10-15-PREVIEW": true, "2021-12-01": false},
		"2021-10-15-preview..,!2021-12-01,!2022-01-01": {"2021-06-01-preview": false, "2021-10-15-preview": true, "2021-12-01": false, "2022-01-01": false, "2022-06-15": true},
		"2020-01-01..2020-12-31":                       {"2019-12-31": false, "2020-06-01": true, "2021-01-01": false},
	} {
		for version, want := range versions {
			if got := knows(tag, version); got != want {
				t.Errorf("%q, %s: %v", tag, version, got)
			}
		}
	}
}

type keptInner struct {
	Old string
	New string `known:"2021-01-01.."`
}

type keptOuter struct {
	All     string
	Gone    List[string] `known:"..2021-12-31"`
	On      bool         `known:"2021-01-01.."`
	Plain   keptInner
	Pointer *keptInner
	Any     any
	private string //nolint:unused // what reflection cannot set is left alone
}

func TestKeep(t *testing.T) {
	old := func() *keptOuter {
		return &keptOuter{
			All: "a", Gone: List[string]{"g"}, On: true, Plain: keptInner{"po", "pn"}, Pointer: &keptInner{"qo", "qn"}, Any: &keptInner{"ao", "an"},
		}
	}
	for version, c := range map[string]struct{ sent, want keptOuter }{
		"2020-06-01": {keptOuter{Any: &keptInner{New: "sent"}}, keptOuter{On: true, Plain: keptInner{New: "pn"}, Pointer: &keptInner{New: "qn"}, Any: &keptInner{New: "sent"}}},
		"2022-06-15": {keptOuter{Pointer: &keptInner{}}, keptOuter{Gone: List[string]{"g"}, Pointer: &keptInner{}}},
		"2022-06-16": {keptOuter{}, keptOuter{Gone: List[string]{"g"}}},
		"2023-01-01": {keptOuter{Gone: List[string]{}, Any: "another type"}, keptOuter{Gone: List[string]{}, Any: "another type"}},
		"":           {keptOuter{}, keptOuter{}},
	} {
		next := c.sent
		Keep(&next, old(), version)
		if diff := cmp.Diff(c.want, next, cmp.AllowUnexported(keptOuter{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}
