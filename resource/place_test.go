package resource

import "testing"

func TestPlaces(t *testing.T) {
	const group = "/subscriptions/s/resourceGroups/g"
	for scope, want := range map[string]struct{ inGroup, extension bool }{
		"/":                                  {false, false},
		"/providers/Microsoft.X/y/z":         {false, false},
		"/subscriptions/s":                   {false, true},
		group:                                {true, true},
		group + "/providers/Microsoft.X/y/z": {false, true},
	} {
		id, err := ParseID(scope)
		if err != nil {
			t.Fatal(err)
		}
		if got := InGroup.Holds(id); got != want.inGroup {
			t.Errorf("a kind of groups at %s: %v", scope, got)
		}
		if got := Extension.Holds(id); got != want.extension {
			t.Errorf("an extension at %s: %v", scope, got)
		}
	}
}
