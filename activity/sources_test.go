package activity

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

func (s *Sources) names(id resource.ID) []string {
	var out []string
	for _, l := range s.of(id) {
		out = append(out, l.id+" of "+l.source)
	}
	return out
}

func TestSources(t *testing.T) {
	var s Sources
	if !s.none() || s.of(mustID(t, channel)) != nil {
		t.Error("the zero value has listeners")
	}
	sub, group, upper, other, storage := resource.NewUID(), resource.NewUID(), resource.NewUID(), resource.NewUID(), resource.NewUID()
	s.Set(mustID(t, group1), group, "group")
	s.Set(mustID(t, partner), sub, "sub")
	s.Set(mustID(t, "/SUBSCRIPTIONS/11111111-AAAA-4BBB-8CCC-000000000001/resourcegroups/RG-P"), upper, "upper")
	s.Set(mustID(t, customer), other, "other")
	s.Set(mustID(t, group1+"/providers/Microsoft.Storage/storageAccounts/acc"), storage, "storage")
	s.Set(resource.ID{}, storage, "root")
	for id, want := range map[string][]string{
		channel: {"sub of " + partner, "group of " + group1, "upper of /subscriptions/11111111-AAAA-4BBB-8CCC-000000000001/resourceGroups/RG-P"},
		group1:  {"sub of " + partner, "group of " + group1, "upper of /subscriptions/11111111-AAAA-4BBB-8CCC-000000000001/resourceGroups/RG-P"},
		partner: {"sub of " + partner},
		partner + "/resourceGroups/rg-p2/providers/Microsoft.EventGrid/topics/x": {"sub of " + partner},
		topic: {"other of " + customer},
		"/subscriptions/33333333-aaaa-4bbb-8ccc-000000000003":                                     nil,
		"/providers/Microsoft.Authorization/roleAssignments/11111111-aaaa-4bbb-8ccc-000000000001": nil,
		partner + "/providers/Microsoft.EventGrid/eventSubscriptions/es":                          {"sub of " + partner},
	} {
		if diff := cmp.Diff(want, s.names(mustID(t, id))); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	s.Set(mustID(t, customer), group, "moved")
	s.Remove(upper)
	s.Remove(upper)
	s.Remove(resource.NewUID())
	if diff := cmp.Diff([]string{"sub of " + partner}, s.names(mustID(t, channel))); diff != "" {
		t.Error(diff)
	}
	s.Set(mustID(t, topic), other, "no such source")
	s.Remove(sub)
	if diff := cmp.Diff([]string{"moved of " + customer}, s.names(mustID(t, topic))); diff != "" || s.none() {
		t.Error(diff)
	}
	if s.Remove(group); !s.none() || len(s.bySource) != 0 || len(s.byTopic) != 0 {
		t.Errorf("something is left: %+v", s.bySource)
	}
}

func TestSourcesAreConcurrent(t *testing.T) {
	var s Sources
	source, id := mustID(t, group1), mustID(t, channel)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 200 {
				uid := resource.NewUID()
				s.Set(source, uid, fmt.Sprint(i))
				for _, l := range s.of(id) {
					if l.source != group1 {
						t.Error(l)
					}
				}
				s.Remove(uid)
			}
		})
	}
	wg.Wait()
	if !s.none() {
		t.Error("some are left")
	}
}
