package arm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

func lockAt(scope, name string) string {
	return scope + "/providers/Microsoft.Authorization/locks/" + name
}

func lockBody(level string) string { return `{"properties":{"level":"` + level + `"}}` }

func TestLocks(t *testing.T) {
	f := newFixture(t).partnerFlow()
	for _, scope := range []string{customerID, customerRG, topic, eventSub} {
		at := lockAt(scope, "l1")
		f.get("owner", at).wantError(404, "ResourceNotFound")
		a := f.put("owner", at+"?api-version=2016-09-01", `{"properties":{"level":"cannotdelete","notes":"why","owners":[{"applicationId":"x"}]}}`).want(201)
		for _, a := range []*answer{a, f.get("owner", at+"?api-version=2020-05-01").want(200)} {
			delete(a.body, "systemData")
			if diff := cmp.Diff(map[string]any{
				"id": at, "name": "l1", "type": resource.TypeLock,
				"properties": map[string]any{"level": "CanNotDelete", "notes": "why", "owners": []any{map[string]any{"applicationId": "x"}}},
			}, a.body); diff != "" {
				t.Errorf("%s: %s", scope, diff)
			}
		}
		if a := f.put("owner", at, lockBody("ReadOnly")).want(200); a.at("properties", "level") != "ReadOnly" || a.at("properties", "notes") != nil {
			t.Errorf("got %s", a.raw)
		}
		f.put("owner", at, lockBody("CanNotDelete")).want(200)
	}
	all := []string{customerID, customerRG, topic, eventSub}
	for path, want := range map[string]int{
		lockAt(customerID, ""): 4, lockAt(customerRG, ""): 4, lockAt(topic, ""): 4, lockAt(eventSub, ""): 4, lockAt(config, ""): 2,
		lockAt(customerID, "") + "?$filter=atScope()": 1, lockAt(customerRG, "") + "?$filter=atScope()": 2, lockAt(topic, "") + "?$filter=atScope()": 3,
		lockAt("/subscriptions/"+partnerSub, ""): 0,
	} {
		if got := f.get("owner", strings.Replace(path, "locks/", "locks", 1)).want(200).names(); len(got) != want {
			t.Errorf("%s: %d locks, want %d", path, len(got), want)
		}
	}
	for _, scope := range all {
		f.delete("owner", lockAt(scope, "l1")).want(200)
		f.delete("owner", lockAt(scope, "l1")).want(204)
	}

	for body, text := range map[string]string{`{}`: "level", lockBody("Sometimes"): "CanNotDelete, ReadOnly", `{"properties":{"level":"ReadOnly","notes":"` + strings.Repeat("x", 513) + `"}}`: "513"} {
		f.put("owner", lockAt(topic, "l1"), body).wantError(400, "InvalidRequest", text)
	}
	f.put("owner", lockAt(topic+"9", "l1"), lockBody("ReadOnly")).wantError(404, "ResourceNotFound", "pt19")
	f.put("owner", lockAt(customerRG+"9", "l1"), lockBody("ReadOnly")).wantError(404, "ResourceGroupNotFound")
	f.put("owner", lockAt("", "l1"), lockBody("ReadOnly")).wantError(404, "InvalidResourceType")
	f.get("owner", "/providers/"+resource.TypeLock).wantError(404, "InvalidResourceType")
	f.get("owner", topic+"9/providers/"+resource.TypeLock).wantError(404, "ResourceNotFound")
	f.role("contributor", access.RoleContributor, customerRG)
	f.put("contributor", lockAt(topic, "l1"), lockBody("ReadOnly")).wantError(403, "AuthorizationFailed", "Microsoft.Authorization/locks/write")
	f.get("contributor", topic+"/providers/"+resource.TypeLock).want(200)
}

func TestWhatLocksForbid(t *testing.T) {
	role := assignmentAt(topic, guid1)
	sub2 := topic + "/eventSubscriptions/es2"
	type act struct{ method, path, body string }
	writes := []act{
		{"PUT", eventSub, hookBody},
		{"PATCH", topic, `{"tags":{}}`},
		{"PUT", sub2, hookBody},
		{"POST", topic + "/deactivate", ""},
		{"POST", eventSub + "/getFullUrl", ""},
		{"PUT", tagsAt(topic), `{"properties":{"tags":{}}}`},
		{"DELETE", tagsAt(topic), ""},
	}
	deletes := []act{{"DELETE", eventSub, ""}, {"DELETE", topic, ""}, {"DELETE", customerRG, ""}, {"DELETE", role, ""}}
	for name, c := range map[string]struct {
		scope, level string
		refused      []act
		allowed      []act
	}{
		"no deletion in the subscription": {customerID, "CanNotDelete", deletes, writes},
		"no deletion in the group":        {customerRG, "CanNotDelete", deletes, writes},
		"no deletion of the topic":        {topic, "CanNotDelete", deletes, writes},
		"no deletion of the one inside":   {eventSub, "CanNotDelete", deletes[:3], append(writes, deletes[3])},
		"no deletion of something else":   {config, "CanNotDelete", []act{{"DELETE", config, ""}, {"DELETE", customerRG, ""}}, append(writes, deletes[0], deletes[3], deletes[1])},
		"no change in the subscription":   {customerID, "ReadOnly", append(deletes, append(writes, act{"PUT", customerRG, `{"location":"westeurope"}`}, act{"POST", customerID + provider + "/unregister", ""})...), nil},
		"no change in the group":          {customerRG, "ReadOnly", append(deletes, append(writes, act{"PUT", customerRG + provider + "/topics/new", `{"location":"westeurope"}`})...), nil},
		"no change of the one inside":     {eventSub, "ReadOnly", append(deletes[:3:3], writes[0], writes[4]), []act{writes[1], writes[2], writes[3], deletes[3]}},
		"somebody else's subscription":    {"/subscriptions/" + partnerSub, "ReadOnly", nil, append(writes, deletes[0], deletes[3])},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t).partnerFlow()
			f.put("owner", role, `{"properties":{"roleDefinitionId":"`+access.RoleReader+`","principalId":"`+f.principal("guest")+`"}}`).want(201)
			at := lockAt(c.scope, "keep")
			f.put("owner", at, lockBody(c.level)).want(201)
			whole := f.store.view()
			for _, a := range c.refused {
				f.do("owner", a.method, a.path, a.body).wantError(409, "ScopeLocked", at)
				if len(f.store.view()) != len(whole) {
					t.Fatalf("%s %s changed something", a.method, a.path)
				}
			}
			f.get("owner", topic).want(200)
			for _, a := range c.allowed {
				if got := f.do("owner", a.method, a.path, a.body); got.status >= 300 {
					t.Errorf("%s: %d %s", got.what, got.status, got.raw)
				}
			}
			f.store.replace(whole)
			f.delete("owner", at).want(200)
			for _, a := range c.refused {
				if got := f.do("owner", a.method, a.path, a.body); got.status >= 400 && got.status != 404 && !strings.Contains(a.path, "unregister") {
					t.Errorf("without the lock %s: %d %s", got.what, got.status, got.raw)
				}
			}
		})
	}
}

// An event subscription on a group is stored in a system topic, wherever that is:
// a lock there counts, and so does one at the group.
func TestLocksOfTheOtherAddress(t *testing.T) {
	f := newFixture(t)
	at := customerRG + provider + "/eventSubscriptions/es1"
	f.put("owner", at, hookBody).want(201)
	system := f.store.List(eventgrid.TypeSystemTopic, resource.SubscriptionID(customerSub))[0].ID.String()
	f.put("owner", lockAt(system, "l1"), lockBody("ReadOnly")).want(201)
	f.delete("owner", at).wantError(409, "ScopeLocked", lockAt(system, "l1"))
	f.put("owner", at, hookBody).wantError(409, "ScopeLocked")
	f.delete("owner", lockAt(system, "l1")).want(200)
	f.put("owner", lockAt(customerRG, "l1"), lockBody("CanNotDelete")).want(201)
	f.put("owner", at, hookBody).want(201)
	f.delete("owner", at).wantError(409, "ScopeLocked", lockAt(customerRG, "l1"))
}

// A lock does not outlive what it is on, and neither does a role.
func TestLocksGoWithWhatTheyLock(t *testing.T) {
	f := newFixture(t).partnerFlow().storage()
	f.role("guest", access.RoleReader, topic)
	f.put("owner", lockAt(topic, "l1"), lockBody("CanNotDelete")).want(201)
	// The partner takes its channel back: that is the service's doing here.
	f.delete("owner", channel).want(200)
	f.put("owner", channel, channelBody("pt1")).want(200)
	f.get("guest", topic).want(403)
	if got := f.get("owner", topic+"/providers/"+resource.TypeLock).want(200).names(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	f.delete("owner", topic).want(200)
}
