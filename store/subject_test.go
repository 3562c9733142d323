package store

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/resource"
)

func TestSubjectsOfOddNames(t *testing.T) {
	for key, want := range map[string]string{
		"/subscriptions/s1":                    "intertie.state.r.subscriptions.s1",
		"/subscriptions/s1/resourcegroups/a.b": "intertie.state.r.subscriptions.s1.resourcegroups.a=2Eb",
		"/x/(*)":                               "intertie.state.r.x.=28=2A=29",
		"/x/>":                                 "intertie.state.r.x.=3E",
		"/x/ä b=":                              "intertie.state.r.x.=C3=A4=20b=3D",
		"/x/_-":                                "intertie.state.r.x._-",
	} {
		if got := subjectOf(key); got != want {
			t.Errorf("%q: got %s, want %s", key, got, want)
		}
	}
}

func TestSubjectsAreValidAndNeverCollide(t *testing.T) {
	name := rapid.StringMatching(`[a-z0-9.()=*> \x{00e4}\x{1f600}_-]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		a := resource.GroupID(name.Draw(t, "s"), name.Draw(t, "g")).Key()
		b := resource.GroupID(name.Draw(t, "s2"), name.Draw(t, "g2")).Key()
		sa, sb := subjectOf(a), subjectOf(b)
		if (a == b) != (sa == sb) {
			t.Fatalf("%q → %s, %q → %s", a, sa, b, sb)
		}
		if !server.IsValidLiteralSubject(sa) || !strings.HasPrefix(sa, subjectPrefix) {
			t.Fatalf("%q → %s", a, sa)
		}
	})
}

func TestOddNamesSurviveReopening(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := openStore(t, e)
	names := []string{"a.b", "a(b)", "a*b", "a>b", "ä", "İ", "a=2Eb", "a b", "名前"}
	for _, n := range names {
		put(t, s, &resource.Resource{ID: groupID(n), UID: resource.NewUID(), Type: resource.TypeGroup})
	}
	remove(t, s, groupID("a*b"))
	s.Close()
	s = openStore(t, e)
	for _, n := range names {
		if r, ok := s.Get(groupID(n)); ok == (n == "a*b") || ok && r.ID.Group != n {
			t.Errorf("%q: %v, %v", n, ok, r)
		}
	}
}
