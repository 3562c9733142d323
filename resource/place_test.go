package resource

import "testing"

func TestPlaces(t *testing.T) {
	const group = "/subscriptions/s/resourceGroups/g"
	for scope, want := range map[string]struct{ inGroup, extension, inTenant bool }{
		"/":                                  {false, false, true},
		"/providers/Microsoft.X/y/z":         {false, false, false},
		"/subscriptions/s":                   {false, true, false},
		group:                                {true, true, false},
		group + "/providers/Microsoft.X/y/z": {false, true, false},
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
		if got := Anywhere.Holds(id); got != want.extension {
			t.Errorf("anywhere at %s: %v", scope, got)
		}
		if got := InTenant.Holds(id); got != want.inTenant {
			t.Errorf("a kind of the tenant at %s: %v", scope, got)
		}
	}
}
